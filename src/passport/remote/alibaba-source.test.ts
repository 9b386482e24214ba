import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { judgeQuotes } from '../../../mocks/attestation-service/judge-quotes.ts'
import type { Misbehaviour } from '../../../mocks/attestation-service/misbehaviour.ts'
import { type AttestationServiceDouble, openAttestationService } from '../../../mocks/attestation-service/service.ts'
import { createSimulator } from '../../../mocks/tdx/simulator.ts'
import { FakeClock } from '../../../test/support/fake-clock.ts'
import { countingRandom } from '../../../test/support/issuing.ts'
import { toHex } from '../../base/bytes.ts'
import { AttestdError } from '../../base/errors.ts'
import { deriveReportData, deriveSeed, encodeTokenRequest, hasReportDataTag } from '../../evidence/binding.ts'
import { hashLeaf, treeRoot } from '../../evidence/request-tree.ts'
import type { TdxEvidence } from '../../evidence/tdx/evidence.ts'
import { parseTdxEvidence } from '../../evidence/tdx/evidence-json.ts'
import { parseQuote, reportDataOf } from '../../evidence/tdx/quote.ts'
import type { TokenRequest } from '../../results/token-request.ts'
import { createBroker } from '../broker.ts'
import { classifyFailure, type Phase } from '../failure.ts'
import { type AlibabaSourceOptions, createAlibabaSource } from './alibaba-source.ts'
import { createAttestationTransport } from './undici-transport.ts'

const clock = new FakeClock(Date.UTC(2026, 5, 1))
const simulator = createSimulator({ clock })
let service: AttestationServiceDouble

beforeAll(async () => {
  const judge = judgeQuotes({
    trustAnchors: [{ ...simulator.pki.anchor, simulator: true }],
    collateral: () => simulator.collateral(),
  })
  service = await openAttestationService({ judge, now: () => clock.now(), policies: ['strict'] })
})
afterAll(() => service.close())
afterEach(() => service.misbehave(null))

const log = Uint8Array.of(1, 2, 3)

async function collect(reportData: Uint8Array): Promise<TdxEvidence> {
  return { quote: simulator.quote({ version: 5, bodyType: 3, reportData }), ccEventLog: log, simulated: true }
}

function source(change: Partial<AlibabaSourceOptions> = {}) {
  return createAlibabaSource({
    name: 'alibaba',
    generation: 1,
    issuer: service.url,
    allowLoopbackHttp: true,
    allowSimulated: true,
    transport: createAttestationTransport(),
    collectTdx: collect,
    clock,
    random: countingRandom(),
    ...change,
  })
}

function request(change: Partial<TokenRequest> = {}): TokenRequest {
  const shape = { issuer: 'alibaba', tokenType: 'OIDC', nonces: [], ttlS: null, policyIds: [], cnf: null } as const
  return { ...shape, audience: [service.url], fresh: false, ...change }
}

const quiet = () => new AbortController().signal

/** Obtains and accepts as the broker does; gives `served`, or phase, class, code and the rule that failed. */
async function outcome(one = source(), asked = request()): Promise<string> {
  let phase: Phase = 'obtain'
  try {
    const token = await one.obtainToken(asked, quiet())
    phase = 'accept'
    await one.acceptToken(token, asked)
    return 'served'
  } catch (error) {
    if (!(error instanceof AttestdError)) throw error
    const { class: failureClass, error: said } = classifyFailure(error, phase, clock.now())
    const { check, upstream_code, network_code, cause_code } = said.facts
    return [phase, failureClass, said.code, check ?? upstream_code ?? network_code ?? cause_code].join(' ')
  }
}

describe('a token of the attestation service', () => {
  it('is obtained for a quote of our own, and accepted with its claims', async () => {
    const one = source()
    const token = await one.obtainToken(request(), quiet())
    const accepted = await one.acceptToken(token, request())
    const issuedAt = clock.now() / 1000
    expect(accepted).toEqual({
      issuer: service.url,
      audience: [service.url],
      issuedAt,
      expiresAt: issuedAt + 21_600,
      jti: expect.stringMatching(/^[0-9a-f-]{36}$/),
      kid: expect.stringMatching(/^[\w-]{43}$/),
    })
    expect([one.fixedAudience, one.usualLifetimeS, one.freshness]).toEqual([[service.url], 21_600, 'unbound'])
  })

  it('is asked for with exactly the members of the dialect (SVC-17, SVC-20, BRK-95)', async () => {
    await source({ sendEventLog: true }).obtainToken(request({ policyIds: ['strict'] }), quiet())
    const text = Buffer.from(service.received.at(-1) ?? []).toString()
    const sent = JSON.parse(text)
    expect(Object.keys(sent)).toEqual(['tee', 'evidence', 'policy_ids', 'runtime_data'])
    expect([sent.tee, sent.policy_ids, Object.keys(sent.runtime_data)]).toEqual(['tdx', ['strict'], ['raw']])
    expect(`${sent.evidence}${sent.runtime_data.raw}`).toMatch(/^[\w-]+$/)
    const inner = JSON.parse(Buffer.from(sent.evidence, 'base64url').toString())
    expect(Object.keys(inner)).toEqual(['quote', 'cc_eventlog'])
    const { quote, ccEventLog } = parseTdxEvidence(inner)
    const raw = new Uint8Array(Buffer.from(sent.runtime_data.raw, 'base64url'))
    expect(toHex(reportDataOf(parseQuote(quote)))).toBe(toHex(raw))
    expect([hasReportDataTag(raw), ccEventLog]).toEqual([true, log])
    expect(service.heads.at(-1)).not.toHaveProperty('cookie')
    expect(service.heads.at(-1)).not.toHaveProperty('authorization')
  })

  it('is asked for with nothing of another issuer: what is added to one request is in no other one (BRK-49)', async () => {
    const usual = createAttestationTransport()
    const withKey: typeof usual = {
      post: (post, signal) => {
        // The key of one issuer, in the way in which it would be easiest to add.
        const headers = post.headers as Record<string, string>
        headers['x-api-key'] = 'of one issuer'
        return usual.post({ ...post, headers }, signal)
      },
    }
    const one = source({ name: 'one', transport: withKey })
    const other = source({ name: 'other' })
    const keys = []
    for (const asked of [one, other, one, other]) {
      await asked.obtainToken(request(), quiet())
      keys.push(service.heads.at(-1)?.['x-api-key'])
    }
    expect(keys).toEqual(['of one issuer', undefined, 'of one issuer', undefined])
  })

  it('is asked for without the event log unless that is configured (SVC-20)', async () => {
    await source().obtainToken(request(), quiet())
    const sent = JSON.parse(Buffer.from(service.received.at(-1) ?? []).toString())
    expect(JSON.parse(Buffer.from(sent.evidence, 'base64url').toString()).cc_eventlog).toBeNull()
  })

  it('has report data of its own each time, for each verifier and each request (BRK-90 to BRK-94)', async () => {
    const seen = new Set<string>()
    const collectTdx = async (reportData: Uint8Array) => {
      seen.add(toHex(reportData))
      throw new Error('seen')
    }
    const one = source({ collectTdx })
    const ask = (change: Partial<TokenRequest> = {}, of = one) =>
      of.obtainToken(request(change), quiet()).catch(() => 0)
    await ask()
    await ask()
    // The same salt as in the first request of all.
    await ask({ policyIds: ['strict'] }, source({ collectTdx }))
    await ask({}, source({ collectTdx, issuer: 'https://another.example', audience: service.url }))
    expect(seen.size).toBe(4)
    await ask({}, source({ collectTdx }))
    expect(seen.size).toBe(4)
  })

  it('has the report data of BRK-92 over a tree of one request, without challenge and devices', async () => {
    const seen: Uint8Array[] = []
    const collectTdx = async (reportData: Uint8Array) => {
      seen.push(reportData)
      throw new Error('seen')
    }
    const verifier = 'https://attest.example'
    const asked = request({ audience: [], policyIds: ['strict'] })
    await source({ collectTdx, issuer: verifier })
      .obtainToken(asked, quiet())
      .catch(() => 0)
    const root = treeRoot([hashLeaf(encodeTokenRequest(asked, countingRandom()(16)))])
    const seed = deriveSeed({ purpose: 'token', verifier, challenge: null, root, size: 1, agentKey: null })
    expect(seen).toEqual([deriveReportData(seed, new Uint8Array(0))])
  })

  it('carries the policies that were asked for, and is refused without them (TOK-109)', async () => {
    expect(await outcome(source(), request({ policyIds: ['strict'] }))).toBe('served')
    const [one, asked] = [source(), request({ policyIds: ['strict'] })]
    const token = await one.obtainToken(request(), quiet())
    await expect(one.acceptToken(token, asked)).rejects.toMatchObject({ facts: { rule: 'TOK-109' } })
    expect(await outcome(source(), request({ policyIds: ['unknown'] }))).toBe(
      'obtain misconfigured issuer_misconfigured AS.REQUEST.INVALID_ARGUMENT',
    )
  })

  it('comes from a source that others wrap by its members', async () => {
    expect(await outcome({ ...source() })).toBe('served')
  })

  it('comes through the broker, is kept under its one audience, and served again without a new one', async () => {
    const broker = createBroker({ sources: [source()], clock, random: countingRandom() })
    const demand = { minValidS: null, timeoutMs: 5_000, caller: 'uid:0' }
    const before = service.requests
    const first = await broker.obtainToken(request(), demand, quiet())
    const again = await broker.obtainToken(request({ audience: [] }), demand, quiet())
    expect([first.source, again.source, again.token === first.token]).toEqual(['issued', 'cache', true])
    expect(service.requests - before).toBe(1)
  })
})

describe('a wish that such a token cannot fulfil is refused before a quote is made', () => {
  const jkt = 'HitlGYWpCmMAdtCZRtJQQoyeapr7RxbLnYH7t-MaOuw'

  it.each([
    ['another audience (API-96)', { audience: ['https://rp.example'] }, 'audience_unsupported'],
    ['a second audience', { audience: ['https://rp.example', 'of-the-service'] }, 'audience_unsupported'],
    ['a nonce (API-97)', { nonces: ['nonce-0001'] }, 'nonce_unsupported'],
    ['a key', { cnf: { jkt, jwk: {} } }, 'request_unsupported'],
    ['a lifetime', { ttlS: 600 }, 'request_unsupported'],
    ['an id that is no policy', { policyIds: ['a b'] }, 'request_unsupported'],
    ['eleven policies', { policyIds: Array.from({ length: 11 }, (_, at) => `p${at}`) }, 'request_unsupported'],
  ])('%s', async (_, change, code) => {
    const collectTdx = () => expect.unreachable()
    const told = await outcome(source({ collectTdx }), request(change))
    expect(told).toMatch(new RegExp(`^obtain unsupported ${code} `))
  })

  it('and no audience is the one audience', async () => {
    expect(await outcome(source(), request({ audience: [] }))).toBe('served')
  })
})

describe('what the service does wrong is never served', () => {
  /** Behaviour, then: phase, class, code, and the rule or the code of the service. */
  const faults: readonly [Misbehaviour, string][] = [
    ['another-td', 'accept bad-token issuer_bad_token BRK-107'],
    ['another-report-data', 'accept bad-token issuer_bad_token TOK-103'],
    ['other-audience', 'accept bad-token issuer_bad_token TOK-91'],
    ['second-audience', 'accept bad-token issuer_bad_token TOK-92'],
    ['other-issuer', 'accept bad-token issuer_bad_token TOK-90'],
    ['other-key', 'accept bad-token issuer_bad_token TOK-83'],
    ['debug-td', 'accept bad-token issuer_bad_token TOK-106'],
    ['of-tomorrow', 'accept clock clock_unsafe '],
    ['of-yesterday', 'accept bad-token issuer_bad_token BRK-106'],
    ['expired', 'accept bad-token issuer_bad_token BRK-106'],
    ['no-echo', 'accept bad-token issuer_bad_token BRK-107'],
    ['unknown-member', 'accept bad-token issuer_bad_token BRK-107'],
    ['captive-portal', 'obtain misconfigured issuer_misconfigured HTTP_200'],
    ['envelope', 'obtain misconfigured issuer_misconfigured HTTP_200'],
    ['empty', 'obtain misconfigured issuer_misconfigured HTTP_200'],
    ['two-newlines', 'obtain misconfigured issuer_misconfigured HTTP_200'],
    ['oversize-token', 'obtain misconfigured issuer_misconfigured HTTP_200'],
    ['oversize', 'obtain transport issuer_unavailable ANSWER_TOO_LARGE'],
    ['redirect', 'obtain misconfigured issuer_misconfigured HTTP_307'],
    ['rate-limited', 'obtain transport issuer_unavailable HTTP_429'],
    ['unavailable', 'obtain transport issuer_unavailable AS.DEPENDENCY.UNAVAILABLE'],
    ['plain-fault', 'obtain transport issuer_unavailable HTTP_500'],
    ['internal-error', 'obtain misconfigured issuer_misconfigured AS.INTERNAL.ERROR'],
    ['verdict', 'obtain verdict issuer_rejected AS.EVIDENCE.VERIFICATION_FAILED'],
    ['policy-denied', 'obtain verdict issuer_rejected AS.POLICY.DENIED'],
    ['encoding-refused', 'obtain misconfigured issuer_misconfigured AS.EVIDENCE.INVALID_ENCODING'],
    ['not-found', 'obtain misconfigured issuer_misconfigured HTTP_404'],
    ['echo', 'obtain misconfigured issuer_misconfigured HTTP_400'],
    ['reset', 'obtain transport issuer_unavailable ECONNRESET'],
    ['truncated', 'obtain transport issuer_unavailable UND_ERR_RES_CONTENT_LENGTH_MISMATCH'],
  ]

  it.each(faults)('%s', async (kind, expected) => {
    const one = source()
    service.misbehave(kind)
    expect(await outcome(one)).toBe(expected)
    service.misbehave(null)
    expect(await outcome(one)).toBe('served')
  })

  it.each(['hang', 'drip'] as const)('%s: it is left after 15 s', async (kind) => {
    service.misbehave(kind)
    const before = service.requests
    const pending = outcome()
    while (service.requests === before) await new Promise((resolve) => setImmediate(resolve))
    await clock.advance(15_000)
    expect(await pending).toBe('obtain transport issuer_unavailable EXCHANGE_TIMEOUT')
  })

  it('a kept answer: the token of an earlier quote, taken or not', async () => {
    const one = source()
    expect(await outcome(one)).toBe('served')
    service.misbehave('kept-answer')
    expect(await outcome(one)).toBe('accept bad-token issuer_bad_token TOK-103')
    const [first, second] = await Promise.allSettled([
      one.obtainToken(request(), quiet()),
      one.obtainToken(request(), quiet()),
    ])
    const kept = [first, second].find(({ status }) => status === 'rejected')
    expect(kept).toMatchObject({ reason: { code: 'issuer_bad_token', facts: { check: 'BRK-107' } } })
  })

  it('an answer that another of our quotes was sent for', async () => {
    const one = source()
    const [first, second] = [await one.obtainToken(request(), quiet()), await one.obtainToken(request(), quiet())]
    await one.acceptToken(second, request())
    await one.acceptToken(first, request())
    // Once more: nobody sent a quote for it.
    // BRK-117: found where it was delivered, it is judged without the quote that it is about.
    expect(await source().recogniseToken?.(first, request())).toMatchObject({ audience: [service.url] })
    await expect(one.recogniseToken?.(`${first.slice(0, -12)}${'A'.repeat(12)}`, request())).rejects.toThrow(
      'token.signature',
    )
    await expect(one.acceptToken(first, request())).rejects.toMatchObject({ facts: { check: 'BRK-107' } })
    await expect(source().acceptToken(second, request())).rejects.toMatchObject({ code: 'issuer_bad_token' })
  })

  it('a simulated TD, unless that is configured (BRK-108, TOK-110)', async () => {
    expect(await outcome(source({ allowSimulated: false }))).toBe('accept bad-token issuer_bad_token TOK-110')
  })

  it('a TD in debug mode, unless that is configured: the service judges it too', async () => {
    const tdAttributes = Uint8Array.of(1, 0, 0, 0x10, 0, 0, 0, 0)
    const collectTdx = async (reportData: Uint8Array) => ({
      quote: simulator.quote({ reportData, tdAttributes }),
      ccEventLog: null,
      simulated: true,
    })
    expect(await outcome(source({ collectTdx }))).toBe('obtain verdict issuer_rejected AS.EVIDENCE.VERIFICATION_FAILED')
  })

  it('a token that lives longer than is allowed (BRK-106)', async () => {
    expect(await outcome(source({ maxLifetimeS: 21_600 }))).toBe('served')
    expect(await outcome(source({ maxLifetimeS: 21_599 }))).toBe('accept bad-token issuer_bad_token BRK-106')
  })

  it('keys that cannot be had say nothing about the token', async () => {
    const transport = { get: () => Promise.reject(new Error('down')) }
    const keys = { discovery: { transport, clock, allowLoopbackHttp: true } }
    expect(await outcome(source({ keys }))).toBe('accept transport issuer_unavailable keys_unavailable')
  })

  it('the keys of another service', async () => {
    const { createTestIssuer } = await import('../../../test/support/test-issuer.ts')
    const keys = { jwks: { keys: [createTestIssuer('RS256').jwk] } }
    expect(await outcome(source({ keys }))).toBe('accept bad-token issuer_bad_token TOK-81')
  })
})

describe('evidence that does not fit is sent to nobody (BRK-96, TDX-009)', () => {
  const withQuote = (make: (reportData: Uint8Array) => Uint8Array) => async (reportData: Uint8Array) => ({
    quote: make(reportData),
    ccEventLog: null,
    simulated: true,
  })

  it.each([
    ['other report data', withQuote((data) => simulator.quote({ reportData: data.map((byte) => byte ^ 1) }))],
    ['no report data', withQuote(() => simulator.quote({ reportData: new Uint8Array(64) }))],
    ['constant report data', withQuote(() => simulator.quote({ reportData: new Uint8Array(64).fill(0xab) }))],
    ['the quote of an enclave', withQuote((reportData) => simulator.quote({ version: 3, reportData }))],
    ['no quote', withQuote(() => new Uint8Array(1020))],
    ['an empty quote', withQuote(() => new Uint8Array(0))],
  ])('%s', async (_, collectTdx) => {
    const sent = service.requests
    expect(await outcome(source({ collectTdx }))).toMatch(/^obtain local evidence_unavailable /)
    expect(service.requests).toBe(sent)
  })

  it('nothing is sent once the attempt was given up', async () => {
    const [sent, stop, reason] = [service.requests, new AbortController(), new Error('given up')]
    const collectTdx = async (reportData: Uint8Array) => {
      stop.abort(reason)
      return collect(reportData)
    }
    await expect(source({ collectTdx }).obtainToken(request(), stop.signal)).rejects.toBe(reason)
    expect(service.requests).toBe(sent)
  })
})

describe('its configuration', () => {
  it.each([
    ['an issuer that is no URL', { issuer: 'service' }, 'TOKEN_TRUST_INVALID'],
    ['an endpoint in plain http', { endpoints: ['http://a.example'] }, 'ENDPOINT_INVALID'],
    ['no endpoint', { endpoints: [] }, 'ENDPOINT_INVALID'],
    ['pinned keys that are none', { keys: { jwks: { keys: [] } } }, 'TOKEN_TRUST_INVALID'],
  ])('%s is found at the start', (_, change, code) => {
    expect(() => source(change)).toThrowError(expect.objectContaining({ code, kind: 'configuration' }))
  })
})
