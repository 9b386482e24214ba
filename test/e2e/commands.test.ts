import { existsSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { beforeEach, describe, expect, it } from 'vitest'
import type { Item } from '../../src/agent/doctor/item.ts'
import { AgentHome, AgentProcess, audience } from '../support/agent-process.ts'
import { builtProgram } from '../support/built-program.ts'
import { type CommandResult, runAttestd, runCommand } from '../support/run-command.ts'
import { haveSwtpm } from '../support/swtpm.ts'
import { useTpmMachine } from '../support/tpm-machine.ts'

/** The built `attestd` as an operator uses it: evidence, appraise, status and doctor on one machine. */

const nonce = '5a'.repeat(32)
const parsed = ({ out }: CommandResult) => JSON.parse(out)
const idsOf = (items: readonly Item[], state: Item['state']) =>
  items.filter((item) => item.state === state).map(({ id }) => id)

describe.skipIf(!haveSwtpm)('an operator before a machine with a simulated TPM', () => {
  const { machine, folder } = useTpmMachine()
  let homes = 0
  let home: AgentHome
  beforeEach(() => {
    home = new AgentHome(join(folder, `home-${homes++}`), machine())
  })

  const collect = (...args: string[]) => runAttestd(['evidence', '--config', home.configurationFile, ...args])
  const examine = (...args: string[]) => runAttestd(['doctor', '--config', home.configurationFile, ...args])
  const status = (...args: string[]) => runAttestd(['status', '--socket', home.path('admin.sock'), ...args])
  const saved = async (name: string): Promise<{ path: string; akName: string }> => {
    const path = home.path(name)
    const result = await collect('--nonce', nonce, '--output', path, '--json')
    expect(result.code).toBe(0)
    return { path, akName: parsed(result).ak_name }
  }
  const makers = () => [
    ...['--trust-anchors', machine().made.rootCertificate],
    ...['--intermediates', machine().made.issuerCertificate],
  ]
  const appraise = (path: string, ...args: string[]) => runAttestd(['appraise', path, '--simulator', ...args])

  it('collects evidence into a private file, and has it affirmed by what he knows', async () => {
    const { path, akName } = await saved('evidence.json')
    expect(statSync(path).mode & 0o777).toBe(0o600)
    expect(JSON.parse(readFileSync(path, 'utf8'))).toMatchObject({
      tee: 'tpm',
      runtime_data: { raw: Buffer.from(nonce, 'hex').toString('base64url') },
    })
    const logs = ['--require-event-log', '--require-ima']
    const result = await appraise(path, '--nonce', nonce, '--ak-name', akName, ...makers(), ...logs)
    expect([result.code, result.err]).toEqual([0, ''])
    expect(result.out).toContain('trust in the attestation key: ek-certificate\n')
    expect(result.out.trimEnd().split('\n').at(-1)).toMatch(/^affirmed: /)
  })

  it('draws a nonce where none is given and shows it; the key is made once and stays', async () => {
    const first = await collect()
    const shown = /^nonce: ([0-9a-f]{64})$/m.exec(first.err)?.[1] ?? ''
    expect(first.code).toBe(0)
    expect(first.err).toContain('note: a new attestation key was made')
    expect(parsed(first).runtime_data.raw).toBe(Buffer.from(shown, 'hex').toString('base64url'))
    const { akName } = await saved('second.json')
    const args = ['appraise', '-', '--simulator', '--nonce', shown, '--ak-name', akName]
    expect((await runAttestd(args, { input: first.out })).code).toBe(0)
    expect((await collect('--nonce', nonce)).err).not.toContain('a new attestation key')
  })

  it('gets an exit code, a remedy and JSON errors for what is not affirmed', async () => {
    const { path, akName } = await saved('refused.json')
    const wrong = await appraise(path, '--nonce', '00'.repeat(32), '--ak-name', akName)
    expect([wrong.code, wrong.err]).toEqual([1, expect.stringMatching(/^error NOT_AFFIRMED: tpm\.quote\.nonce: /)])
    expect(wrong.out).toMatch(/^FAILED {5}tpm\.quote\.nonce/m)
    const bare = await appraise(path)
    expect([bare.code, bare.out]).toEqual([78, ''])
    expect(bare.err).toContain('any old recording would pass')
    const real = await runAttestd(['appraise', path, '--nonce', nonce, '--ak-name', akName, '--json'])
    expect([real.code, JSON.parse(real.err).error.code]).toEqual([1, 'NOT_AFFIRMED'])
    expect((await runAttestd(['appraise', path, '--nonce', 'xyz'])).code).toBe(64)
    writeFileSync(path, '{}')
    expect((await appraise(path, '--nonce', nonce)).code).toBe(65)
  })

  it('leaves logs out that he does not want to show', async () => {
    const without = home.path('without.json')
    expect((await collect('--nonce', nonce, '--no-ima', '--no-event-log', '--output', without)).code).toBe(0)
    const args = ['--nonce', nonce, '--allow-unenrolled', '--json']
    const { claims } = parsed(await appraise(without, ...args))
    expect([claims.tpm.eventlog_present, claims.ima]).toEqual([false, undefined])
    expect((await appraise(without, ...args, '--require-ima')).code).toBe(1)
  })

  it('sees an agent that is ready; its key is the one of before, and the quote is the one that was asked for', async () => {
    const { akName } = await saved('before.json')
    const agent = await AgentProcess.start(home)
    try {
      await agent.token()
      const shown = await status()
      expect([shown.code, shown.err]).toEqual([0, ''])
      expect(shown.out).toMatch(/^ready\n/)
      expect(shown.out).toMatch(new RegExp(`^  ${audience}  fresh, expires `, 'm'))
      expect(shown.out).toMatch(/^evidence +\S+ {2}affirmed: /m)
      const { appraisals, tpm } = parsed(await status('--json'))
      expect(tpm.simulated).toBe(true)
      expect(appraisals.evidence.findings).toContainEqual({ id: 'tpm.quote.asked', outcome: 'passed' })
      expect(agent.log).toContain(akName)
    } finally {
      await agent.stop()
    }
  })

  it('cannot take the simulated TPM from a running agent, and disturbs nothing by trying', async () => {
    const agent = await AgentProcess.start(home)
    try {
      await agent.token()
      const result = await collect('--nonce', nonce)
      expect([result.code, result.out]).toEqual([75, ''])
      expect(result.err).toMatch(/^error AGENT_HOLDS_STATE: /)
      const { items } = parsed(await examine('--json')) as { items: Item[] }
      const asked = items.find(({ id }) => id === 'tpm.answers')
      expect(asked).toMatchObject({ state: 'warning', says: expect.stringContaining(`process ${agent.pid} `) })
      expect(items.find(({ id }) => id === 'socket.api')?.says).toContain('is listened on')
      await agent.token({ fresh: true })
    } finally {
      await agent.stop()
    }
  })

  it('sees why an agent is not ready, with exit code 75', async () => {
    await machine().powerOff()
    home.configure({ broker: [`warm = ["${audience}"]`] })
    const agent = await AgentProcess.start(home)
    try {
      await agent.until(async () => (await status()).code === 75, 'seen not to be ready')
      const { out, err } = await status()
      expect(out).toMatch(/^NOT ready: .*warm:0:/)
      expect(err).toMatch(/^error AGENT_NOT_READY: /)
    } finally {
      await agent.stop()
      await machine().powerOn()
    }
    const none = await status()
    expect([none.code, none.out]).toEqual([75, ''])
    expect(none.err).toContain('AGENT_NOT_REACHED')
  })

  describe('asks the doctor', () => {
    it('who finds a machine that can attest, and makes nothing', async () => {
      const { code, out, err } = await examine('--json')
      expect([code, err]).toEqual([0, ''])
      const { able, items } = JSON.parse(out) as { able: boolean; items: Item[] }
      expect([able, idsOf(items, 'problem')]).toEqual([true, []])
      const fine = idsOf(items, 'ok')
      expect(fine).toEqual(
        expect.arrayContaining([
          'configuration',
          'tpm.answers',
          'tpm.banks',
          'tpm.measured',
          'ek.trust',
          'log.event',
          'log.ima',
        ]),
      )
      expect(existsSync(home.stateDirectory)).toBe(false)
      expect(readdirSync(home.folder)).toEqual(['attestd.toml'])
    })

    it('who finds a firmware that measured nothing, and logs of another boot', async () => {
      await machine().powerOff()
      await machine().powerOn({ measured: false })
      const { code, out } = await examine('--json')
      await machine().measure()
      const { items } = JSON.parse(out) as { items: Item[] }
      expect(idsOf(items, 'problem')).toEqual(['tpm.measured', 'log.event', 'log.ima'])
      expect(code).toBe(69)
    })

    it('who finds a bank that is not active, and names those that are', async () => {
      home.configure({ tpm: ['banks = ["sha512"]'] })
      const { items } = parsed(await examine('--json')) as { items: Item[] }
      expect(items.find(({ id }) => id === 'tpm.banks')).toMatchObject({
        state: 'problem',
        says: expect.stringContaining('TPM_BANK_INACTIVE'),
      })
      expect(items.find(({ id }) => id === 'tpm.active')?.says).toBe('active banks: sha1, sha256, sha384')
    })

    it('whose pin makes a machine trusted without its maker', async () => {
      const { items } = parsed(await examine('--json')) as { items: Item[] }
      const pin = /[0-9a-f]{64}/.exec(items.find(({ id }) => id === 'ek')?.says ?? '')?.[0] ?? ''
      const { path, akName } = await saved('pinned.json')
      const { out } = await appraise(path, '--nonce', nonce, '--ak-name', akName, '--pinned-ek', pin, '--json')
      expect(JSON.parse(out)).toMatchObject({ affirmed: true, ak_trust: 'ek-pinned' })
    })
  })
})

describe('a machine without a TPM', () => {
  it('is told what is missing, without a configuration', async () => {
    const { code, out, err } = await runAttestd(['doctor'])
    expect(out).toMatch(/^ok {7}node /)
    expect(out).toMatch(/^(?:ok|warning|problem) +configuration /m)
    if (existsSync('/dev/tpmrm0')) return
    expect(code).toBe(69)
    expect(out).toMatch(/^problem {2}tpm\.device {6}\/dev\/tpmrm0 does not exist\n +remedy: /m)
    expect(err).toMatch(/^error HOST_CANNOT_ATTEST: /)
  })

  it.skipIf(process.geteuid?.() !== 0)('is told the same where nobody is root', async () => {
    const program = await builtProgram()
    const nobody = ['--reuid=65534', '--regid=65534', '--clear-groups', process.execPath, program, 'doctor', '--json']
    const { out, code } = await runCommand('setpriv', nobody)
    const { able, items } = JSON.parse(out) as { able: boolean; items: Item[] }
    expect(code).toBe(able ? 0 : 69)
    expect(items.map(({ id }) => id)).toEqual(expect.arrayContaining(['node', 'callers', 'configuration', 'tpm.way']))
  })

  it('has no evidence, for want of a configuration', async () => {
    const { code, out, err } = await runAttestd(['evidence', '--config', '/none/attestd.toml'])
    expect([code, out]).toEqual([78, ''])
    expect(err).toMatch(/^error CONFIGURATION_UNREADABLE: \/none\/attestd\.toml: does not exist\n {2}remedy: /)
  })
})
