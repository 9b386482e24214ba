import { randomBytes } from 'node:crypto'
import type { Command } from 'commander'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { FakeClock } from '../../../test/support/fake-clock.ts'
import { runInProcess } from '../../../test/support/recorded-io.ts'
import { anyFacts, entryAt, recordFor } from '../../../test/support/stored-records.ts'
import { openAdminRoom } from '../../../test/support/workload-room.ts'
import { AttestdError } from '../../base/errors.ts'
import type { EnrolmentRecord } from '../../registry/enrolment-record.ts'
import { MemoryStore } from '../../registry/memory-store.ts'
import { pageLength, type RegistryStore } from '../../registry/registry-store.ts'
import { storeErrors } from '../../registry/store-errors.ts'
import { TpmRegistry } from '../../registry/tpm-registry.ts'
import { imaCountNames } from '../../verifier/ima/ima-progress.ts'
import { encodeImaCheckpoint, type ImaCounts } from '../../verifier/index.ts'
import type { RegistryActions } from '../../workload-api/registry-routes.ts'
import { renderEnrolments } from '../presentation/registry.ts'
import type { CommandIo } from '../presentation/terminal.ts'
import { AgentRegistryActions } from '../registry-actions.ts'
import { describeInList } from '../registry-view.ts'
import { registryCommand } from './registry.ts'

const at = Date.UTC(2026, 0, 31, 12)
const others = { status: () => ({}), refresh: () => undefined, invalidate: () => 0, reload: async () => [] }

/** What commander refuses is thrown here, and does not end the process. */
function thrownUpon(io: CommandIo): Command {
  const command = registryCommand(io)
  for (const sub of command.commands) sub.exitOverride().configureOutput({ writeErr: () => undefined })
  return command
}

async function socketOf(registry: RegistryActions) {
  const socket = await openAdminRoom({ admin: { ...others, registry } })
  return (name: string, ...args: string[]) => runInProcess(thrownUpon, name, '--socket', socket, ...args)
}

/** The command over the routes of the admin socket, over a registry with these records. */
async function openRegistry(records: readonly EnrolmentRecord[], store: RegistryStore = new MemoryStore()) {
  for (const record of records) await store.commit([{ record, expected: null }])
  const renewed: boolean[] = []
  const renewTokens = (hard: boolean) => renewed.push(hard) + 1
  const lines: object[] = []
  const clock = new FakeClock(at)
  const registry = new TpmRegistry({ store, clock, random: (size) => new Uint8Array(randomBytes(size)) })
  const log = { warn: (line: object) => void lines.push(line) } as never
  const run = await socketOf(new AgentRegistryActions({ registry, renewTokens, log }))
  return { run, store, renewed, lines, registry }
}

const counters = { resetCount: 7, restartCount: 2, clock: 2n ** 63n + 1n, safe: false }
const one = recordFor(1, 1, {
  ...{
    anchor: 'aliyun',
    identity: 'i-2ze\u001b[2J',
    instanceId: 'i-2ze',
    counters,
    firmwareVersion: '0123456789abcdef',
  },
  ...{ created: at, lastSeen: at + 1000, ekNotAfter: at + 2000, crlStatus: 'fresh', checkpoint: Uint8Array.of(1, 2) },
})
const two = recordFor(0x20, 2, { created: at, lastSeen: at, simulated: true })
const revoked = recordFor(0x30, 3, { state: { is: 'revoked', reason: 'operator', since: at } })

describe('attestd registry list', () => {
  it('names each TPM with its state; what a certificate says cannot write on the terminal', async () => {
    const { run } = await openRegistry([one, two, revoked])
    const { out, error } = await run('list')
    expect(error).toBeNull()
    const [head, ...lines] = out.trimEnd().split('\n')
    expect(head?.split(/ {2,}/)).toEqual(['AK', 'STATE', 'TRUST', 'LAST SEEN', 'BOOT', 'IDENTITY'])
    expect(lines.map((line) => line.split(/ {2,}/))).toEqual([
      [one.akName, 'active', 'ek-certificate', '2026-01-31T12:00:01Z', '7/2', 'i-2ze\\x1b[2J'],
      [two.akName, 'active', 'ek-certificate', '2026-01-31T12:00:00Z', '-', '- SIMULATED'],
      [revoked.akName, 'revoked (operator)', 'ek-certificate', expect.any(String), '-', '-'],
    ])
  })

  it('cuts names for a person, and paints states', () => {
    const shown = [one, revoked].map(describeInList)
    const out = renderEnrolments(shown, { terminal: true, colour: true })
    expect(out).not.toContain(one.akName)
    expect(out).toContain(`${one.akName.slice(0, 20)}  \u001b[32mactive`)
    expect(out).toContain('\u001b[31mrevoked (operator)\u001b[0m')
  })

  it.each([pageLength - 1, pageLength, pageLength + 1, 2 * pageLength])('shows all of %i', async (count) => {
    const { run } = await openRegistry(Array.from({ length: count }, (_, index) => recordFor(index, index)))
    const { out } = await run('list', '--json')
    const { enrolments } = JSON.parse(out)
    expect(enrolments.map(({ akName }: { akName: string }) => akName)).toEqual(
      Array.from({ length: count }, (_, index) => recordFor(index, index).akName),
    )
  })

  it('says so when there is none', async () => {
    const { run } = await openRegistry([])
    expect((await run('list')).out).toBe('no TPM is enrolled\n')
    expect((await run('list', '--json')).out).toBe('{"enrolments":[]}\n')
  })

  it('cuts names that are longer than names are; `show` has all of them', async () => {
    const long = 'n'.repeat(129)
    const record = recordFor(1, 1, { anchor: long, identity: long.slice(1), instanceId: long })
    const { run } = await openRegistry([record])
    const cut = { anchor: `${long.slice(1)}…`, identity: long.slice(1), instanceId: `${long.slice(1)}…` }
    expect(JSON.parse((await run('list', '--json')).out).enrolments).toEqual([expect.objectContaining(cut)])
    const { enrolment } = JSON.parse((await run('show', record.akName, '--json')).out)
    expect(enrolment).toMatchObject({ anchor: long, identity: long.slice(1), instanceId: long })
  })

  it('gives a page that a client takes, whatever stands in certificates, and no blobs', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(anyFacts, { minLength: 1, maxLength: 3 }), async (facts) => {
        const shown = facts.map((some, index) => describeInList(recordFor(index, index, some)))
        const text = JSON.stringify(shown)
        expect(Buffer.byteLength(text) / shown.length).toBeLessThan((1 << 20) / pageLength)
        expect(Object.keys(shown[0] ?? {}).sort()).toEqual(Object.keys(describeInList(one)).sort())
        expect(text).not.toMatch(/public|certificates|"\d+":\d/i)
      }),
      { numRuns: 50 },
    )
  })
})

describe('attestd registry show', () => {
  it('shows everything about one, found by the beginning of its name, with its history', async () => {
    const { run, registry } = await openRegistry([one, two])
    const ak = Buffer.from(one.akName, 'hex')
    const base = { counters, firmwareVersion: '0123456789abcdef', evidenceSha256: 'cc'.repeat(32) }
    await registry.keepOutcome(ak, { ...base, at, affirmed: false, failed: ['tpm.ima.replay', 'tpm.quote.nonce'] })
    const rebooted = { ...counters, resetCount: 8 }
    await registry.keepOutcome(ak, { ...base, at: at + 1000, affirmed: true, failed: [], counters: rebooted })
    const { out, error } = await run('show', one.akName.slice(0, -1))
    expect(error).toBeNull()
    expect(out).toBe(
      [
        `AK         ${one.akName}`,
        `EK         ${one.ekName}`,
        'state      active',
        'trust      ek-certificate, anchor aliyun',
        'identity   i-2ze\\x1b[2J',
        'instance   i-2ze',
        'EK cert    valid until 2026-01-31T12:00:02Z, revocation lists fresh',
        'enrolled   2026-01-31T12:00:00Z',
        'last seen  2026-01-31T12:00:01Z',
        'counters   reset 7, restart 2, clock 9223372036854775809 ms, not safe',
        'firmware   0123456789abcdef',
        'IMA        none: the next IMA log is judged whole',
        'history    2 appraisals, newest first',
        '  2026-01-31T12:00:01Z  affirmed  boot 8/2  reboot',
        '  2026-01-31T12:00:00Z  REFUSED   boot 7/2  failed: tpm.ima.replay, tpm.quote.nonce',
        '',
      ].join('\n'),
    )
    const { out: json } = await run('show', one.akName, '--json')
    const { enrolment, history } = JSON.parse(json)
    expect(enrolment).toMatchObject({
      akName: one.akName,
      identity: one.identity,
      counters: { clock: '9223372036854775809' },
    })
    expect(history).toHaveLength(2)
    expect(json).not.toContain('cc'.repeat(32))
  })

  it('says how far the IMA log was judged', async () => {
    const counts = Object.fromEntries(imaCountNames.map((name) => [name, 0])) as ImaCounts
    const checkpoint = encodeImaCheckpoint({
      ...{ judgedBy: '', pcr: 10, records: 12, running: [], bootAggregate: null, counts, named: [], keys: [] },
      ...{ akName: Uint8Array.of(0, 11), resetCount: 4, restartCount: 5, pending: null },
    })
    const { run } = await openRegistry([recordFor(1, 1, { checkpoint })])
    expect((await run('show', recordFor(1, 1).akName)).out).toContain('IMA        12 records of boot 4/5 judged\n')
  })

  it('refuses a beginning of several names, of none, and what is no name', async () => {
    const { run } = await openRegistry([one, two])
    expect((await run('show', one.akName.slice(0, 10))).error).toMatchObject({ code: 'USAGE', exitCode: 78 })
    expect((await run('show', '000bffff')).error).toMatchObject({ code: 'ENROLMENT_ABSENT', exitCode: 77 })
    expect((await run('show', recordFor(9, 9).akName)).error).toMatchObject({ code: 'ak_unknown', exitCode: 77 })
    for (const text of ['000ba00', one.akName.toUpperCase(), '../status', `${one.akName}\n`, '']) {
      await expect(run('show', text)).rejects.toThrow(/must be the name of a key/)
    }
  })
})

describe('attestd registry suspend, resume, revoke', () => {
  it('decide, and end the tokens of what does not stand any more before they answer', async () => {
    const { run, renewed, store, lines } = await openRegistry([one, two])
    expect((await run('suspend', one.akName)).out).toContain(
      'state      suspended (operator) since 2026-01-31T12:00:00Z\n',
    )
    expect((await store.findByAk(one.akName))?.record.state).toMatchObject({ is: 'suspended', reason: 'operator' })
    expect((await run('resume', one.akName)).out).toContain('state      active\n')
    const { out } = await run('revoke', one.akName, '--json')
    expect(JSON.parse(out)).toMatchObject({ enrolment: { state: 'revoked', reason: 'operator' }, tokens: 4 })
    expect(renewed).toEqual([true, false, true])
    expect((await store.findByAk(two.akName))?.record.state).toEqual({ is: 'active' })
    expect(lines).toEqual(
      ['suspend', 'resume', 'revoke'].map((decision) =>
        expect.objectContaining({ event: 'enrolment_decided', decision, ak_name: one.akName }),
      ),
    )
  })

  it.each(['suspend', 'resume', 'revoke'])('%s what was revoked is refused, with what helps', async (decision) => {
    const { run, renewed } = await openRegistry([revoked])
    const { out, error } = await run(decision, revoked.akName)
    expect([out, renewed]).toEqual(['', []])
    expect(error).toMatchObject({
      code: 'enrolment_state',
      exitCode: 77,
      message: 'the enrolment is revoked (operator)',
      remedy: expect.stringContaining('attestd registry release'),
    })
  })

  it('tell what is wrong with the database', async () => {
    const store = new MemoryStore()
    const { run, renewed } = await openRegistry([one], store)
    store.commit = async () => {
      throw storeErrors.error('registry_unavailable', 'no connection')
    }
    expect((await run('revoke', one.akName)).error).toMatchObject({ code: 'registry_unavailable', exitCode: 75 })
    expect(renewed).toEqual([])
  })
})

describe('attestd registry release', () => {
  it('frees an EK once', async () => {
    const { run, renewed, store } = await openRegistry([one, revoked])
    expect((await run('release', revoked.ekName)).out).toBe('released 1 enrolment; 2 tokens are obtained anew\n')
    expect((await store.findByAk(revoked.akName))?.record.state).toMatchObject({ reason: 'released' })
    expect((await run('release', revoked.ekName)).error).toMatchObject({ code: 'ENROLMENT_ABSENT', exitCode: 77 })
    expect((await run('release', recordFor(9, 9).ekName)).error).toMatchObject({ code: 'ENROLMENT_ABSENT' })
    expect(renewed).toEqual([true])
    await expect(run('release', one.ekName.slice(0, 40))).rejects.toThrow(/must be the whole name/)
  })
})

describe('who answers otherwise', () => {
  const answering = (answer: unknown) => {
    const always = async () => answer
    return socketOf({ list: always, show: always, decide: always, release: always })
  }
  const shown = describeInList(one)

  it.each<[string, string[], unknown]>([
    ['a page without records', ['list'], { next: null }],
    ['pages that do not end', ['list'], { enrolments: [], next: '00'.repeat(22) }],
    ['a state that writes on the terminal', ['list'], { enrolments: [{ ...shown, state: 'a\u001b[2J' }], next: null }],
    [
      'a check that writes on the terminal',
      ['show', one.akName],
      { enrolment: shown, history: [entryAt(1, { failed: ['\n'] })] },
    ],
    ['another object', ['revoke', one.akName], { revoked: true }],
    ['a negative number', ['release', one.ekName], { released: -1, tokens: 0 }],
  ])('with %s is refused', async (_, [name = '', ...args], answer) => {
    const run = await answering(answer)
    const { out, error } = await run(name, ...args)
    expect(error).toBeInstanceOf(AttestdError)
    expect([error?.code, out]).toEqual(['AGENT_ANSWER', ''])
  })
})
