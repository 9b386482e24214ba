import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { createServer, type Server } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, describe, expect, it } from 'vitest'
import { runInProcess } from '../../../test/support/recorded-io.ts'
import type { AgentStatus, TdStatus, TpmStatus } from '../agent-status.ts'
import { statusCommand } from './status.ts'

const folder = mkdtempSync(join(tmpdir(), 'attestd-status-'))
const socket = join(folder, 'admin.sock')
let server: Server | undefined
afterEach(() => server?.close())
afterAll(() => rmSync(folder, { recursive: true, force: true }))

const at = Date.UTC(2026, 0, 31, 12) / 1000
const tpm: TpmStatus = {
  place: '/dev/tpmrm0',
  simulated: false,
  connection: {
    transport: 'device',
    place: '/dev/tpmrm0',
    simulated: false,
    generation: 1,
    open: true,
    lastError: null,
  },
}
const td: TdStatus = {
  place: '/sys/kernel/config/tsm/report',
  simulated: false,
  quotes: { queued: 0, stuck: false, inFlightMs: null },
  collateral: [{ item: 'root-crl', issuedAt: at, expiresAt: at + 86_400, source: null, failures: 0 }],
}
const healthy: AgentStatus = {
  version: '9.8.7',
  testMode: false,
  pid: 4711,
  startedAt: at,
  ready: true,
  reasons: [],
  tpm,
  td: null,
  identity: 'pidfd',
  issuer: { url: 'https://issuer.example', keys: [{ kid: 'key-1', alg: 'RS256', state: 'active', since: at }] },
  appraisals: { enrolment: null, evidence: null },
  batches: { ended: 0, requests: 0, largest: 0, underWay: 0, usualMs: 0 },
  broker: {
    ready: true,
    reasons: [],
    clock: 'safe',
    draining: false,
    flights: 0,
    waiters: 0,
    issuers: [],
    entries: [],
    counts: { started: 0, landed: 0, failed: 0, lateResultsDropped: 0, joins: 0 },
  },
  configurationError: null,
}

/** An agent that answers this to the one question. */
async function answering(body: unknown, status = 200): Promise<string[]> {
  const asked: string[] = []
  server = createServer((request, response) => {
    asked.push(`${request.method} ${request.url}`)
    response.writeHead(status, { 'content-type': 'application/json', connection: 'close' })
    response.end(typeof body === 'string' ? body : JSON.stringify(body))
  }).listen(socket)
  await once(server, 'listening')
  return asked
}

const show = (...args: string[]) => runInProcess(statusCommand, '--socket', socket, ...args)

describe('the state of an agent', () => {
  it('that is ready is shown, with exit code 0', async () => {
    const asked = await answering(healthy)
    const { out, error } = await show()
    expect(error).toBeNull()
    expect(asked).toEqual(['GET /v1/admin/status'])
    expect(out).toBe(
      [
        'ready',
        'agent      attestd 9.8.7, process 4711, since 2026-01-31T12:00:00Z',
        'TPM        /dev/tpmrm0, open',
        'callers    known by pidfd',
        'issuer     https://issuer.example',
        '  RS256 active since 2026-01-31T12:00:00Z  key-1',
        'enrolment  not yet',
        'evidence   not yet',
        'tokens     none asked for yet',
        '',
      ].join('\n'),
    )
  })

  it('of a TD names its way to quotes, what is stuck in it, and until when its collateral counts', async () => {
    const stuck = { ...td, simulated: true, quotes: { queued: 3, stuck: true, inFlightMs: 40_000 } }
    const failing = [{ item: 'root-crl', issuedAt: at, expiresAt: at + 86_400, source: null, failures: 2 }]
    await answering({ ...healthy, tpm: null, td: { ...stuck, collateral: failing } })
    const { out } = await show()
    expect(out).not.toContain('TPM')
    const place = '/sys/kernel/config/tsm/report'
    expect(out).toContain(`TD         ${place}, a quote is STUCK in the kernel, SIMULATED: protects nothing\n`)
    expect(out).toContain('  root-crl  expires 2026-02-01T12:00:00Z, 2 refreshes failed\n')
  })

  it('of a TD whose quotes wait says how many', async () => {
    await answering({ ...healthy, td: { ...td, quotes: { queued: 3, stuck: false, inFlightMs: 12 } } })
    expect((await show()).out).toContain('TD         /sys/kernel/config/tsm/report, 3 waiting\n')
  })

  it('that is not ready says why first, with exit code 75', async () => {
    const reasons = ['warm:0:failed', 'tpm:TPM_TIMEOUT']
    const connection = tpm.connection && { ...tpm.connection, open: false, lastError: 'TPM_TIMEOUT' }
    const broker = { ...healthy.broker, clock: 'unsafe' }
    await answering({ ...healthy, ready: false, reasons, broker, tpm: { ...tpm, connection } })
    const { out, error } = await show()
    expect(error).toMatchObject({ code: 'AGENT_NOT_READY', exitCode: 75, message: reasons.join(', ') })
    expect(out).toMatch(/^NOT ready: warm:0:failed, tpm:TPM_TIMEOUT\n/)
    expect(out).toContain('TPM        /dev/tpmrm0, closed, last error TPM_TIMEOUT\n')
    expect(out).toContain('clock      unsafe\n')
  })

  it('shows what each appraisal policy said, and where one that does not permit stops (POL-820)', async () => {
    const [hash, quiet] = ['ab'.repeat(32), { lines: [], missed: [], rule: null, message: null }]
    const said = [
      { ...quiet, id: 'site', verdict: 'permit', lines: [2] },
      { ...quiet, id: 'strict', verdict: 'deny-rule', lines: [3, 9] },
      { ...quiet, id: 'silent', verdict: 'no-permit', missed: [{ rule: 4, condition: 6 }] },
      {
        ...quiet,
        id: 'broken',
        verdict: 'error',
        lines: [5],
        rule: 'POL-412',
        message: "'<' needs two Integers\u001b",
      },
      { ...quiet, id: 'compiled', verdict: 'no-permit', opposed: [{ name: 'hardware', tier: 'absent' }] },
    ]
    const engineOf = (id: string) => (id === 'compiled' ? 'rego-wasm' : 'text')
    const ids = [...said.map(({ id }) => id), 'idle']
    const policies = ids.map((id) => ({ id, hash, engine: engineOf(id), usual: id !== 'idle' }))
    const evidence = { affirmed: true, at, findings: [], policies: said }
    await answering({ ...healthy, appraisals: { enrolment: null, evidence }, policies })
    const { out } = await show()
    expect(out).toContain(
      [
        'policies   6 configured',
        `  site  permits, sha256 ${hash}`,
        `  strict  DENIES: deny-rule, line 3, 9, sha256 ${hash}`,
        `  silent  DENIES: no-permit; the rule of line 4 stops at line 6, sha256 ${hash}`,
        `  broken  ERROR POL-412: '<' needs two Integers\\x1b, line 5, sha256 ${hash}`,
        `  compiled  DENIES: no-permit; hardware is absent, Rego bundle, sha256 ${hash}`,
        `  idle  not asked yet, sha256 ${hash}, only where it is named`,
        '',
      ].join('\n'),
    )
  })

  it('shows findings with what failed first and its remedy, and only counts what passed', async () => {
    const findings = [
      { id: 'tpm.ak.known', outcome: 'passed' },
      { id: 'tpm.hardware', outcome: 'waived', detail: 'the verifier runs in simulator mode' },
      { id: 'tpm.ima.replay', outcome: 'unreached' },
      { id: 'tpm.quote.nonce', outcome: 'failed', detail: 'the qualifying data is not that of this request' },
    ]
    const evidence = { affirmed: false, at, findings }
    await answering({ ...healthy, appraisals: { enrolment: null, evidence } })
    const lines = (await show()).out.split('\n')
    const start = lines.findIndex((line) => line.startsWith('evidence '))
    expect(lines[start]).toBe(
      'evidence   2026-01-31T12:00:00Z  NOT affirmed: 1 of 4 checks failed, 1 unreached, 1 waived',
    )
    const told = lines.slice(start + 1, start + 5).map((line) => line.trim().split(/ {2,}/)[0])
    expect(told).toEqual(['FAILED', expect.stringMatching(/^TPM-20: fetch a new challenge/), 'unreached', 'waived'])
  })

  it('shows entries with their last error, and marks what is simulated', async () => {
    const entry = {
      issuer: 'local',
      audience: ['https://rp.example'],
      warm: true,
      state: 'degraded',
      expiresAt: at + 900,
      refreshAt: null,
      generation: 3,
      lastError: { code: 'TPM_TIMEOUT', at },
    }
    const broker = { ...healthy.broker, entries: [entry] }
    await answering({ ...healthy, broker, tpm: { place: 'swtpm', simulated: true, connection: null } })
    const { out } = await show()
    expect(out).toContain('TPM        swtpm, not used yet, SIMULATED: protects nothing\n')
    expect(out).toContain(
      '  https://rp.example  degraded, expires 2026-01-31T12:15:00Z, last error TPM_TIMEOUT at 2026-01-31T12:00:00Z, kept warm\n',
    )
  })

  it('shows token files with their state and what is wrong with them (BRK-119)', async () => {
    const file = {
      name: 'aws',
      path: '/run/attestd/tokens/aws/token',
      state: 'current',
      expiresAt: at + 900,
      error: null,
    }
    const error = { code: 'sink_write_failed', detail: 'ENOSPC\u001b[2J', at }
    await answering({
      ...healthy,
      sinks: [file, { ...file, name: 'gcp', state: 'waiting', expiresAt: null, error }, null],
    })
    const { out } = await show()
    expect(out).toContain(
      [
        'files      3 kept',
        '  aws  /run/attestd/tokens/aws/token  current, expires 2026-01-31T12:15:00Z',
        '  gcp  /run/attestd/tokens/aws/token  waiting, sink_write_failed: ENOSPC\\x1b[2J',
        '',
      ].join('\n'),
    )
  })

  it('shows a reload that was refused, and nothing that a terminal would obey', async () => {
    await answering({ ...healthy, configurationError: 'attestd.toml:3: \u001b[2Jtpm', identity: 'a\nb' })
    const { out } = await show()
    expect(out).toContain('refused    the last reload: attestd.toml:3: \\x1b[2Jtpm\n')
    expect(out).toContain('callers    known by a\\x0ab\n')
  })

  it('as JSON is what the agent gave, with the same exit code', async () => {
    await answering({ ...healthy, ready: false, further: 1 })
    const { out, error } = await show('--json')
    expect(JSON.parse(out)).toEqual({ ...healthy, ready: false, further: 1 })
    expect(error?.message).toBe('it gives no reason')
  })
})

describe('who answers otherwise', () => {
  it.each<[string, unknown]>([
    ['another object', { ready: true }],
    ['no object', []],
    ['no JSON', 'ok'],
    ['a state without reasons', { ...healthy, reasons: undefined }],
    ['a time beyond all times', { ...healthy, startedAt: 1e18 }],
    [
      'an outcome that there is not',
      {
        ...healthy,
        appraisals: { enrolment: null, evidence: { affirmed: true, at, findings: [{ id: 'a', outcome: 'fine' }] } },
      },
    ],
  ])('with %s is refused', async (_, body) => {
    await answering(body)
    const { error, out } = await show()
    expect(['AGENT_ANSWER', 'MALFORMED']).toContain(error?.code)
    expect(out).toBe('')
  })

  it('with a problem is reported as that problem', async () => {
    const problem = { code: 'policy_denied', title: 'not for you', detail: 'no rule', remedy: 'add a rule' }
    await answering(problem, 403)
    expect((await show()).error).toMatchObject({ code: 'policy_denied', exitCode: 77, remedy: 'add a rule' })
  })

  it('with nothing at all is AGENT_NOT_REACHED', async () => {
    const absent = ['--socket', join(folder, 'none.sock')]
    expect((await runInProcess(statusCommand, ...absent)).error).toMatchObject({
      code: 'AGENT_NOT_REACHED',
      exitCode: 75,
    })
  })
})
