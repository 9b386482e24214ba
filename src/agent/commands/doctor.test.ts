import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeEach, describe, expect, it } from 'vitest'
import { FakeClock } from '../../../test/support/fake-clock.ts'
import { runInProcess } from '../../../test/support/recorded-io.ts'
import type { ExaminedHost } from '../doctor/examine.ts'
import type { Item } from '../doctor/item.ts'
import { doctorCommand } from './doctor.ts'

const folder = mkdtempSync(join(tmpdir(), 'attestd-doctor-'))
const home = join(folder, 'home')
const config = join(folder, 'attestd.toml')
afterAll(() => rmSync(folder, { recursive: true, force: true }))

const hostOf =
  (changes: Partial<ExaminedHost> = {}) =>
  (file?: string): ExaminedHost => ({
    file: file ?? join(folder, 'default.toml'),
    explicit: file !== undefined,
    host: { clock: new FakeClock(), random: (size) => new Uint8Array(size), libc: null, testMode: null },
    uid: process.geteuid?.() ?? 0,
    nodeVersion: '22.1.0',
    callers: { identity: 'pidfd', degraded: null },
    collectFacts: async () => ({
      kernel: '6.12',
      distribution: 'Debian',
      architecture: 'x64',
      hypervisor: null,
      devices: [],
      libraries: [],
      hidepid: null,
    }),
    ...changes,
  })

const examine = (args: string[], changes?: Partial<ExaminedHost>) =>
  runInProcess((io) => doctorCommand(io, hostOf(changes)), ...args)

function configure(tpm: readonly string[]): void {
  const own = [`event_log = "${folder}/bios"`, `ima_log = "${folder}/ima"`]
  const tables = [
    ['agent', `state_directory = "${home}"`],
    ['listen', `api = "${home}/api.sock"`, `admin = "${home}/admin.sock"`],
    ['tpm', ...own, ...tpm],
    ['issuer', 'url = "https://issuer.example"'],
  ]
  const text = tables.map(([name, ...lines]) => `[${name}]\n${lines.join('\n')}\n`).join('')
  writeFileSync(config, text, { mode: 0o600 })
}

describe('doctor on a machine without a TPM', () => {
  beforeEach(() => configure([`tcti = "device:${folder}/tpmrm0"`, 'transport = "device"']))

  it('finds the problem, says how to mend it, and ends with 69; nothing is made', async () => {
    const { out, error } = await examine(['--config', config])
    expect(error).toMatchObject({ code: 'HOST_CANNOT_ATTEST', exitCode: 69, message: 'tpm.device' })
    expect(out).toContain(`problem  tpm.device      ${folder}/tpmrm0 does not exist\n`)
    expect(out).toMatch(/\n {25}remedy: attach a vTPM/)
    expect(out.trimEnd().split('\n').at(-1)).toMatch(/^this machine cannot attest as it is: 1 problem, \d warnings$/)
    expect(readdirSync(folder)).toEqual(['attestd.toml'])
  })

  it('gives the same items as JSON', async () => {
    const { out, error } = await examine(['--config', config, '--json'])
    const { able, items } = JSON.parse(out) as { able: boolean; items: Item[] }
    expect([able, error?.exitCode]).toEqual([false, 69])
    const device = items.find(({ id }) => id === 'tpm.device')
    expect(device).toEqual({
      id: 'tpm.device',
      state: 'problem',
      says: `${folder}/tpmrm0 does not exist`,
      remedy: expect.stringContaining('attach a vTPM'),
    })
    for (const { state, remedy } of items) expect(remedy === null).toBe(state === 'ok')
  })

  it('does not ask a TPM that it cannot have', async () => {
    const { items } = JSON.parse((await examine(['--config', config, '--json'])).out) as { items: Item[] }
    const ids = items.map(({ id }) => id)
    expect(ids.filter((id) => /^(?:tpm\.answers|tpm\.banks|ek)/.test(id))).toEqual([])
    expect(ids.slice(-2)).toEqual(['log.event', 'log.ima'])
  })
})

describe('doctor', () => {
  it('works without a configuration, which is a warning', async () => {
    const { out } = await examine([])
    expect(out).toContain(`warning  configuration   ${folder}/default.toml does not exist`)
  })

  it('takes a file that was named and is not there for a problem', async () => {
    const { out } = await examine(['--config', join(folder, 'none.toml')])
    expect(out).toContain('problem  configuration')
  })

  it.each<[string, string[], string, string]>([
    ['a TCTI that is refused', ['tcti = "cmd:sh"'], 'tpm.way', 'TPM_TCTI_CONFIG'],
    ['a simulator that is not allowed', ['tcti = "swtpm:path=/x"'], 'tpm.way', 'TPM_SIMULATOR'],
    [
      'a TPM that does not answer',
      [`tcti = "swtpm:path=${folder}/none"`, 'simulator = true', 'transport = "swtpm"'],
      'tpm.answers',
      'TPM_UNAVAILABLE',
    ],
  ])('with %s names the code and goes on with the logs', async (_, tpm, id, code) => {
    configure(tpm)
    const { items } = JSON.parse((await examine(['--config', config, '--json'])).out) as { items: Item[] }
    expect(items.find((item) => item.id === id)).toMatchObject({
      state: 'problem',
      says: expect.stringContaining(code),
    })
    expect(items.at(-1)?.id).toBe('log.ima')
  })

  it('does not let what it found drive the terminal', async () => {
    const collectFacts: ExaminedHost['collectFacts'] = async () => ({
      ...(await hostOf()().collectFacts()),
      distribution: 'evil\u001b[2J',
    })
    expect((await examine([], { collectFacts })).out).toContain('evil\\x1b[2J')
  })
})
