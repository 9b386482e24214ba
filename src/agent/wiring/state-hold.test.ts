import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { loadLibc } from '../../platform/c-library.ts'
import { holdState } from './state-hold.ts'

let folder: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'attestd-hold-'))
})
afterEach(() => rmSync(folder, { recursive: true, force: true }))

describe('the state directory', () => {
  it('is held by one at a time, and the other is told', async () => {
    const libc = loadLibc()
    const first = await holdState(folder, { libc })
    expect(first.by).toBe('ours')
    expect(await holdState(folder, { libc })).toEqual({ by: 'agent' })
    if (first.by === 'ours') await first.lock.release()
    const again = await holdState(folder, { libc })
    expect(again.by).toBe('ours')
    if (again.by === 'ours') await again.lock.release()
  })

  it('is nobody’s to write without native code, and no lock is made that would bind nobody', async () => {
    expect(await holdState(folder, { libc: null })).toEqual({ by: 'unguarded' })
    expect(readdirSync(folder)).toEqual([])
  })

  it('that is not there is an error, not a lock of somebody', async () => {
    await expect(holdState(join(folder, 'none'), { libc: loadLibc() })).rejects.toMatchObject({ code: 'FILE_UNUSABLE' })
  })
})
