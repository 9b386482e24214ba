import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { openFilesIn } from '../../../test/support/open-files.ts'
import { useServedVerifier } from '../../../test/support/served-verifier.ts'

/** A verifier service that is never served: what it has opened until then is closed. */

const { prepare, open, state, folder } = useServedVerifier()
const collateral = join(state, 'collateral')

describe('a verifier service that cannot be opened', () => {
  it('leaves nothing open in its state directory', async () => {
    const { parts } = prepare({ registry: ['store = "memory"', 'directory = "/elsewhere"'] })
    await expect(open(parts)).rejects.toThrow('registry.directory is for store = "embedded"')
    expect(existsSync(collateral)).toBe(true)
    expect(openFilesIn(state)).toEqual([])
  })
})

describe('a verifier service that is told to stop before it is open (BRK-143)', () => {
  it('serves nothing, and leaves nothing open in its state directory', async () => {
    const { parts, told } = prepare()
    const service = await open(parts)
    expect(openFilesIn(state)).toContain(collateral)
    await service.run(AbortSignal.abort())
    expect(openFilesIn(state)).toEqual([])
    expect(told().slice(-1)).toEqual(['stopped'])
    expect(told()).not.toContain('listening')
    for (const socket of ['api.sock', 'admin.sock']) expect(existsSync(join(folder(), socket))).toBe(false)
  })
})
