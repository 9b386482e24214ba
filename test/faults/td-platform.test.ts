import { randomBytes } from 'node:crypto'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { type EnclaveStatus, type PlatformStatus, teeTcbSvn } from '../../mocks/tdx/platform.ts'
import { debugAttributes, type QuoteOptions } from '../../mocks/tdx/quotes.ts'
import { type AgentProcess, partOf } from '../support/agent-process.ts'
import { logged, readiness, startEager, toldAnew } from '../support/td-agent.ts'
import { useTdMachine } from '../support/td-machine.ts'

/** What the maker says against the platform of a running TD, and what its registers say against its log. */

type Said = Omit<QuoteOptions, 'reportData' | 'rtmr'>

const tcb = (platform: PlatformStatus, module: EnclaveStatus = 'UpToDate'): Said => ({
  teeTcbSvn: teeTcbSvn({ platform, module }),
})
/** The loader is current; what was loaded at the launch of this TD was not (TDX 1.5). */
const relaunch: Said = {
  version: 5,
  bodyType: 3,
  teeTcbSvn: teeTcbSvn({ module: 'OutOfDate' }),
  teeTcbSvn2: teeTcbSvn(),
}
const rejected = (...findings: string[]) => [502, 'issuer_rejected', 'EVIDENCE_NOT_AFFIRMED', findings.join(', ')]

describe('a platform that is', () => {
  const { machine, folder } = useTdMachine()
  let strict: AgentProcess
  let lenient: AgentProcess
  beforeAll(async () => {
    strict = await startEager(join(folder, 'strict'), machine())
    const statuses = ['UpToDate', 'OutOfDate', 'ConfigurationNeeded', 'TDRelaunchAdvised']
    const verifier = [`tcb_statuses = ${JSON.stringify(statuses)}`, 'debug = true']
    lenient = await startEager(join(folder, 'lenient'), machine(), { verifier })
  })
  afterAll(async () => {
    await Promise.all([strict?.stop(), lenient?.stop()])
  })
  afterEach(async () => {
    machine().kernel.quoteOptions = {}
    expect(await toldAnew(strict)).toEqual([200])
    expect(await readiness(strict)).toEqual({ status: 200, reasons: [] })
  })

  it.each<[string, Said, string, object]>([
    ['out of date', tcb('OutOfDate'), 'tdx.policy.tcbStatus', { tcb: { status: 'OutOfDate' } }],
    ['one whose module is out of date', tcb('UpToDate', 'OutOfDate'), 'tdx.policy.tcbStatus', {}],
    [
      'one that needs configuration',
      tcb('ConfigurationNeeded'),
      'tdx.policy.tcbStatus',
      { tcb: { status: 'ConfigurationNeeded' } },
    ],
    ['one that was updated under its TDs', relaunch, 'tdx.policy.tcbStatus', { tcb: { status: 'TDRelaunchAdvised' } }],
    ['open to its host', { tdAttributes: debugAttributes }, 'tdx.policy.debug', { dbgstat: 'enabled' }],
  ])('%s is refused by name, and taken where it is configured', async (_, said, finding, claims) => {
    machine().kernel.quoteOptions = said
    expect(await toldAnew(strict)).toEqual(rejected(finding))
    expect(logged(strict, 'no_token').at(-1)).toMatchObject({ kind: 'refused', findings: finding })
    const { evidence } = (await strict.status()).appraisals
    expect(evidence.affirmed).toBe(false)
    expect(evidence.findings).toContainEqual(expect.objectContaining({ id: finding, outcome: 'failed' }))
    expect(partOf(await lenient.token({ fresh: true }), 'payload')).toMatchObject(claims)
  })

  it.each<[string, Said, readonly string[]]>([
    ['revoked', tcb('Revoked'), ['tdx.policy.tcbStatus']],
    ['one whose module is revoked', tcb('UpToDate', 'Revoked'), ['tdx.policy.tcbStatus']],
    [
      'one whose loader the maker does not know',
      { teeTcbSvn: new Uint8Array(16) },
      ['tdx.tcb.level', 'tdx.tcb.current'],
    ],
  ])('%s is refused, whatever is configured', async (_, said, findings) => {
    machine().kernel.quoteOptions = said
    for (const agent of [strict, lenient]) {
      const [status, code, cause, failed] = await toldAnew(agent)
      expect([status, code, cause]).toEqual([502, 'issuer_rejected', 'EVIDENCE_NOT_AFFIRMED'])
      expect(String(failed).split(', ')).toEqual(expect.arrayContaining([...findings]))
    }
  })

  it('one that needs software hardening is taken by default, and tokens name the advisory', async () => {
    machine().kernel.quoteOptions = tcb('SWHardeningNeeded')
    expect(partOf(await strict.token({ fresh: true }), 'payload')).toMatchObject({
      tcb: { status: 'SWHardeningNeeded', advisories: ['SIM-SA-00001'] },
    })
    expect(await toldAnew(lenient)).toEqual(rejected('tdx.policy.tcbStatus'))
  })

  it('found wanting while a token is at hand takes that token away with the next refresh', async () => {
    const audience = 'https://rp.example/held'
    await strict.token({ audience })
    machine().kernel.quoteOptions = tcb('OutOfDate')
    await strict.token({ audience })
    await strict.ask('/v1/admin/refresh', { socket: 'admin', body: { audience } })
    await strict.until(async () => (await strict.askToken({ audience })).status === 502, 'evicted')
  })
})

describe('the registers of a running TD', () => {
  const { machine, folder } = useTdMachine()
  let strict: AgentProcess
  let lenient: AgentProcess
  beforeAll(async () => {
    strict = await startEager(join(folder, 'strict'), machine())
    lenient = await startEager(join(folder, 'lenient'), machine(), { verifier: ['cc_event_log = "optional"'] })
  })
  afterAll(async () => {
    await Promise.all([strict?.stop(), lenient?.stop()])
  })
  afterEach(async () => {
    await machine().reboot()
    expect(await toldAnew(strict)).toEqual([200])
  })

  it('go on with their log: the next token has what was measured', async () => {
    const quotedOf = (token: string) =>
      (partOf(token, 'payload') as { tdx: { rtmr_replayed: unknown; quote: { body: Record<string, string> } } }).tdx
    const before = quotedOf(await strict.token({ fresh: true }))
    machine().kernel.measure({ domain: 'example.test', operation: 'run', content: 'another program' })
    const after = quotedOf(await strict.token({ fresh: true }))
    expect(after.quote.body['rtmr_3']).not.toBe(before.quote.body['rtmr_3'])
    expect(after.quote.body['rtmr_3']).toBe(Buffer.from(machine().kernel.rtmrs.values[3]).toString('hex'))
    expect([before.rtmr_replayed, after.rtmr_replayed]).toEqual([
      [0, 1, 2, 3],
      [0, 1, 2, 3],
    ])
  })

  it.each([0, 1, 2, 3] as const)('extended without a record, RTMR %i, are noticed', async (rtmr) => {
    machine().kernel.rtmrs.extend(rtmr, new Uint8Array(randomBytes(48)))
    expect(await toldAnew(strict)).toEqual(rejected('tdx.eventlog.replay'))
    const { tdx } = partOf(await lenient.token({ fresh: true }), 'payload') as { tdx: object }
    expect(tdx).toMatchObject({ eventlog_present: true, eventlog_verified: false })
    expect(tdx).not.toHaveProperty('eventlog')
  })

  it('of a TD that logs nothing at run time, RTMR 3 is taken, and tokens say that nobody accounts for it', async () => {
    await machine().reboot({ runtime: [] })
    machine().kernel.rtmrs.extend(3, new Uint8Array(randomBytes(48)))
    expect(partOf(await strict.token({ fresh: true }), 'payload')).toMatchObject({
      tdx: { eventlog_verified: true, rtmr_replayed: [0, 1, 2], rtmr3_unaccounted: true },
    })
  })

  it('without any log are refused where the log is required, and only there', async () => {
    await machine().reboot({ boot: null, runtime: [] })
    expect(await toldAnew(strict)).toEqual(rejected('tdx.eventlog.present'))
    expect(await toldAnew(lenient)).toEqual([200])
  })

  it('with a log that cannot be read are no evidence', async () => {
    machine().kernel.faults.inject('readBootLog', 'EIO')
    expect((await toldAnew(strict)).slice(0, 2)).toEqual([502, 'issuer_misconfigured'])
  })
})
