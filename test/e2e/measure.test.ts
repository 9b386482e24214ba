import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, describe, expect, it } from 'vitest'
import { appraiseCommand } from '../../src/agent/commands/appraise.ts'
import { nonceSeed } from '../../src/agent/evidence-binding.ts'
import { parseEvidenceDocument } from '../../src/agent/evidence-document.ts'
import { toBase64url, toHex } from '../../src/base/bytes.ts'
import { deriveReportData, deriveTpmQualifyingData, digestDevices } from '../../src/evidence/binding.ts'
import { devicesOf } from '../../src/evidence/composite.ts'
import { parseEventLog } from '../../src/evidence/event-log/event-log.ts'
import { parseAaelData } from '../../src/evidence/tdx/aael.ts'
import { parseCcEventLog } from '../../src/evidence/tdx/cc-event-log.ts'
import { parseQuote, reportDataOf } from '../../src/evidence/tdx/quote.ts'
import { digestOf } from '../../src/evidence/tpm/algorithms.ts'
import { parseTpmAttest } from '../../src/evidence/tpm/attest.ts'
import { replayEventLog } from '../../src/verifier/event-log/replay-event-log.ts'
import { type AgentProcess, audience, partOf } from '../support/agent-process.ts'
import { runInProcess } from '../support/recorded-io.ts'
import { haveSwtpm } from '../support/swtpm.ts'
import { startEager } from '../support/td-agent.ts'
import { useTdMachine } from '../support/td-machine.ts'

/** Evidence and runtime measurements that a workload asks for, at a guest with a simulated TD and a simulated TPM. */

const rule = `[[callers.rules]]
id = "measurer"
match = { uid = ${process.getuid?.() ?? 0} }
allow = { methods = ["token", "evidence", "raw_report_data", "measure"], audiences = ["${audience}", { prefix = "${audience}/" }], fresh = true, raw_max_bytes = 64, domains = [{ prefix = "app/" }], rate = { per_min = 600000, burst = 10000, raise = true } }
`

const event = { domain: 'app/model', operation: 'load', content: 'sha256:00ff grün' }
const challenge = new Uint8Array(32).map((_, at) => at)
const noBytes = new Uint8Array()

interface Answer {
  readonly status: number
  readonly text: string
  // biome-ignore lint/suspicious/noExplicitAny: documents of several routes
  readonly document: any
}

describe.skipIf(!haveSwtpm)('a guest that is a TD and has a TPM', () => {
  const { machine, folder } = useTdMachine({ tpm: true })
  let agent: AgentProcess | undefined
  let homes = 0
  const start = async (rules = [rule]) => {
    agent = await startEager(join(folder, `agent-${homes++}`), machine(), {
      rules,
      tpm: ['pcrs = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 14, 23]'],
      issuer: ['url = "https://issuer.example"', 'max_characters = 20000'],
      tables: ['[measure]\nregisters = ["rtmr3", "pcr23"]\n'],
    })
    return agent
  }
  afterEach(() => agent?.stop())

  const ask = async (path: string, body: object, times = 20): Promise<Answer> => {
    if (agent === undefined) throw new Error('no agent')
    const { status, body: text } = await agent.ask(path, { method: 'POST', body })
    const document = JSON.parse(text)
    // A machine that is too busy to look at who calls: nothing was begun.
    return document.code === 'identity_unavailable' && times > 0
      ? ask(path, body, times - 1)
      : { status, text, document }
  }
  const evidenceOf = (text: string) => parseEvidenceDocument(new TextEncoder().encode(text))
  const quotedOver = (text: string) => toHex(reportDataOf(parseQuote(evidenceOf(text).tdx?.quote ?? noBytes)))

  it('hands out evidence of both, that whoever derives it again finds bound (section 6.2, BRK-90 to BRK-93)', async () => {
    await start()
    const verifier = 'https://verifier.example'
    const asked = { challenge: toBase64url(challenge), verifier, timeout_ms: 20_000 }
    const { status, text, document } = await ask('/v1/evidence', asked)
    expect([status, document.code]).toEqual([200, undefined])
    expect(document.transcript).toEqual({
      profile: 'attestd/1',
      purpose: 'evidence',
      verifier,
      challenge: toBase64url(challenge),
      root: toBase64url(new Uint8Array(32)),
      size: 0,
      key: '',
    })
    const { tdx, tpm } = evidenceOf(text)
    const seed = nonceSeed(challenge, verifier)
    expect(quotedOver(text)).toBe(toHex(deriveReportData(seed, digestDevices(devicesOf({ tdx, tpm })))))
    expect(Buffer.from(document.runtime_data.raw, 'base64url').toString('hex')).toBe(quotedOver(text))
    const { extraData } = parseTpmAttest(tpm?.evidence.quotes[0]?.attest ?? noBytes)
    expect(toHex(extraData)).toBe(toHex(deriveTpmQualifyingData(seed)))
    expect(tpm?.evidence.ima?.from).toBe(0)
    const other = await ask('/v1/evidence', { ...asked, verifier: 'https://other.example' })
    expect(quotedOver(other.text)).not.toBe(quotedOver(text))
  })

  it('gives the devices that are asked for, and never another (section 6.2)', async () => {
    await start()
    const asked = (devices: readonly string[]) =>
      ask('/v1/evidence', { challenge: toBase64url(challenge), devices, timeout_ms: 20_000 })
    const file = join(folder, 'evidence.json')
    const kinds = async (...devices: string[]) => {
      const { text } = await asked(devices)
      writeFileSync(file, text)
      const { tdx, tpm } = evidenceOf(text)
      return { tdx: tdx !== null, tpm: tpm !== null, ima: (tpm?.evidence.ima ?? null) !== null }
    }
    expect(await kinds('tdx')).toEqual({ tdx: true, tpm: false, ima: false })
    expect(await kinds('tpm')).toEqual({ tdx: false, tpm: true, ima: false })
    expect(await kinds('tpm', 'ima')).toEqual({ tdx: false, tpm: true, ima: true })
    const judged = async (nonce: Uint8Array) =>
      (await runInProcess(appraiseCommand, file, '--simulator', '--allow-unenrolled', '--nonce', toHex(nonce))).error
    expect(await judged(challenge)).toBeNull()
    expect((await judged(challenge.subarray(1)))?.message).toContain('tpm.quote.nonce')
    const gpu = await asked(['tdx', 'gpu'])
    expect([gpu.status, gpu.document.code, gpu.document.devices]).toEqual([501, 'not_supported', 'gpu'])
    expect((await asked(['ima'])).document).toMatchObject({ status: 400, field: 'devices' })
  })

  it('quotes bytes of a caller for the TD alone, padded, and nothing that could be ours (API-66, BRK-96)', async () => {
    await start()
    const raw = (bytes: Uint8Array, devices?: readonly string[]) =>
      ask('/v1/evidence', { challenge: toBase64url(bytes), profile: 'raw', devices, timeout_ms: 20_000 })
    const { text, document } = await raw(challenge, ['tdx'])
    expect(quotedOver(text)).toBe(toHex(challenge) + '00'.repeat(32))
    expect(document.transcript).toEqual({ profile: 'raw' })
    const tagged = new Uint8Array(64).fill(1)
    tagged.set(new TextEncoder().encode('attestd'), 48)
    expect((await raw(tagged, ['tdx'])).document).toMatchObject({ status: 403, dimension: 'nonce' })
    for (const constant of [new Uint8Array(8), new Uint8Array(64).fill(9)]) {
      expect((await raw(constant, ['tdx'])).document).toMatchObject({ status: 400, field: 'challenge' })
    }
    expect((await raw(challenge)).document).toMatchObject({ status: 400, field: 'devices' })
    expect((await raw(challenge, ['tpm'])).document).toMatchObject({ status: 501, code: 'not_supported' })
  })

  it('shows in its next token what was measured, where both logs replay (section 6.3, TDX-034, BRK-84)', async () => {
    const running = await start()
    const first = await running.token()
    const rtmr = await ask('/v1/measure', { register: 'rtmr3', ...event })
    expect(rtmr.document).toMatchObject({ register: 'rtmr3', log_index: 1 })
    const pcr = await ask('/v1/measure', { register: 'pcr23', ...event })
    expect(pcr.document).toMatchObject({ register: 'pcr23', log_index: 0 })
    expect((await ask('/v1/measure', { register: 'pcr23', ...event, content: 'again' })).document.log_index).toBe(1)
    const [rtmr3 = noBytes] = machine().kernel.rtmrs.values.slice(3)
    const measured = { eventlog_verified: true, rtmr_replayed: [0, 1, 2, 3] }
    expect(partOf(await running.token({ fresh: true }), 'payload')).toMatchObject({
      tdx: { ...measured, quote: { body: { rtmr_3: toHex(rtmr3) } } },
      tpm: { eventlog_verified: true, unaccounted_pcrs: [], pcr: { 23: expect.stringMatching(/[1-9a-f]/) } },
    })
    await running.until(async () => (await running.token()) !== first, 'the kept token is renewed (broker.md 8)')
    const { text } = await ask('/v1/evidence', { challenge: toBase64url(challenge), timeout_ms: 20_000 })
    const { tdx, tpm } = evidenceOf(text)
    const last = parseCcEventLog(tdx?.ccEventLog ?? noBytes).events.at(-1)
    expect(parseAaelData(last?.data ?? noBytes)).toEqual(event)
    const log = parseEventLog(tpm?.evidence.eventLog ?? noBytes)
    const data = log.events.at(-2)?.data ?? noBytes
    expect(parseAaelData(data)).toEqual(event)
    expect(pcr.document.digest).toBe(toHex(digestOf('sha256', data)))
    const quoted = tpm?.evidence.quotes[0]?.pcrs.get('sha256')?.get(23)
    expect(replayEventLog(log).registers.get('sha256')?.get(23)).toEqual(quoted)
  })

  it('refuses registers that are not configured, foreign domains, and a PCR that somebody else extended', async () => {
    const running = await start()
    const measure = async (parts: object) => {
      const { status, document } = await ask('/v1/measure', { register: 'pcr23', ...event, ...parts })
      return [status, document.code, document.cause_code ?? document.dimension]
    }
    expect(await measure({ register: 'rtmr2' })).toEqual([501, 'not_supported', 'REGISTER_UNSUPPORTED'])
    expect(await measure({ register: 'pcr16' })).toEqual([501, 'not_supported', 'REGISTER_UNSUPPORTED'])
    expect(await measure({ domain: 'application/model' })).toEqual([403, 'policy_denied', 'domain'])
    await machine().tpm.extendUnrecorded(23)
    expect(await measure({})).toEqual([503, 'evidence_unavailable', 'rtmr_log_diverged'])
    expect(await running.askToken({ fresh: true })).toMatchObject({ status: 502 })
  })

  it('leaves room in the log for others: a rule has its share, whoever starts the agent anew', async () => {
    const small = rule.replace('domains = [', 'measure_bytes_max = 1024, domains = [').replaceAll('app/', 'small/')
    const other = small.replaceAll('small/', 'other/').replace('"measurer"', '"other"')
    const measure = (domain: string) =>
      ask('/v1/measure', { register: 'rtmr3', ...event, domain, content: 'x'.repeat(400) })
    for (const round of ['first', 'second']) {
      await start([small, other])
      const given = await Promise.all([1, 2, 3].map(() => measure(`small/${round}`)))
      const statuses = given.map(({ status }) => status).sort()
      expect(statuses).toEqual(round === 'first' ? [200, 200, 503] : [503, 503, 503])
      expect(given.find(({ status }) => status === 503)?.document).toMatchObject({ cause_code: 'rtmr_log_share' })
      expect((await measure(`other/${round}`)).status).toBe(200)
      await agent?.stop()
    }
  })
})
