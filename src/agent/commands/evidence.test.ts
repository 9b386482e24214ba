import { chmodSync, existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeEach, describe, expect, it } from 'vitest'
import { runInProcess } from '../../../test/support/recorded-io.ts'
import { loadLibc } from '../../platform/c-library.ts'
import { takeLock } from '../../platform/lock-file.ts'
import { evidenceCommand } from './evidence.ts'

const folder = mkdtempSync(join(tmpdir(), 'attestd-evidence-'))
const state = join(folder, 'state')
const config = join(folder, 'attestd.toml')
const output = join(folder, 'evidence.json')
afterAll(() => rmSync(folder, { recursive: true, force: true }))

/** A TPM that is not there: whoever gets as far as asking it fails with TPM_UNAVAILABLE. */
function configure(tpm: string): void {
  const text = `[agent]\nstate_directory = "${state}"\n[tpm]\n${tpm}\n[issuer]\nurl = "https://issuer.example"\n`
  writeFileSync(config, text, { mode: 0o600 })
}
const simulated = `tcti = "swtpm:path=${join(folder, 'none')}"\nsimulator = true\ntransport = "swtpm"`
const device = `tcti = "device:${join(folder, 'none')}"\ntransport = "device"`

const collect = (...args: string[]) => runInProcess(evidenceCommand, '--config', config, ...args)

beforeEach(() => {
  rmSync(state, { recursive: true, force: true })
  configure(device)
})

describe('evidence', () => {
  it('of a TPM that is not there is an error, and nothing is written', async () => {
    const { error, out } = await collect('--output', output)
    expect(error).toMatchObject({ code: 'TPM_UNAVAILABLE', exitCode: 75 })
    expect([out, existsSync(output), readdirSync(state)]).toEqual(['', false, ['lock']])
  })

  it('lets go of the state directory whatever happens', async () => {
    await collect()
    const lock = await takeLock(join(state, 'lock'), loadLibc())
    await lock.release()
  })

  it('is not made in a state directory that others can enter; the remedy names whose directory it is', async () => {
    mkdirSync(state)
    chmodSync(state, 0o750)
    const { error } = await collect()
    expect(error).toMatchObject({ code: 'STATE_DIRECTORY', exitCode: 78 })
    expect(error?.remedy).toContain('runuser -u attestd')
  })

  it.each([7, 65])('does not take a nonce of %i bytes', async (size) => {
    await expect(collect('--nonce', '00'.repeat(size))).rejects.toThrow(/must be 8 to 64 bytes/)
  })

  describe('while an agent holds the state directory', () => {
    const held = async (act: () => Promise<void>) => {
      mkdirSync(state, { mode: 0o700 })
      await using _lock = await takeLock(join(state, 'lock'), loadLibc())
      await act()
    }

    it('is not asked of a simulated TPM, which serves one client', () =>
      held(async () => {
        configure(simulated)
        const { error } = await collect()
        expect(error).toMatchObject({ code: 'AGENT_HOLDS_STATE', exitCode: 75 })
        expect(error?.message).toContain('the simulated TPM')
      }))

    it('needs the key that the agent made: no other is made, and nothing is written', () =>
      held(async () => {
        const { error } = await collect()
        expect(error).toMatchObject({ code: 'AGENT_HOLDS_STATE' })
        expect(error?.message).toContain('no attestation key is kept')
        expect(error?.remedy).toContain('wait until the agent has enrolled')
        expect(readdirSync(state)).toEqual(['lock'])
      }))
  })
})
