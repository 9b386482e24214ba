import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type Misbehaviour, misbehaviours } from '../../mocks/attestation-service/misbehaviour.ts'
import type { AttestationServiceDouble } from '../../mocks/attestation-service/service.ts'
import { teeTcbSvn } from '../../mocks/tdx/platform.ts'
import { createTokenVerifier } from '../../src/relying-party/index.ts'
import { type AgentProcess, audience, callerRule, partOf, problemOf } from '../support/agent-process.ts'
import { openServiceFor, remoteLines } from '../support/attestation-service.ts'
import { logged, startEager, told } from '../support/td-agent.ts'
import { useTdMachine } from '../support/td-machine.ts'
import { tokensIn } from '../support/tokens-in.ts'

/** Tokens of a remote verifier, by way of the agent: what is served, what is refused, and what a verifier's lies come to. */

const uid = process.getuid?.() ?? 0
const anyRate = 'rate = { per_min = 600000, burst = 10000, raise = true }'
const ruleFor = (issuers: readonly string[], audiences: readonly string[]) =>
  callerRule('tests', `uid = ${uid}`, audiences, `, issuers = ${JSON.stringify(issuers)}, ${anyRate}`)

function relyingParty(url: string, allowSimulated: boolean) {
  return createTokenVerifier({
    ...{ issuer: url, audience: url, profile: 'alibaba', tee: ['tdx'], measurements: null, allowSimulated },
    keys: { discovery: { allowLoopbackHttp: true } },
    requireTcbStatus: null,
  })
}

describe('a remote verifier', () => {
  const { machine, folder } = useTdMachine()
  let service: AttestationServiceDouble
  let agent: AgentProcess
  beforeAll(async () => {
    service = await openServiceFor(machine())
    const rules = [ruleFor(['local', 'alibaba'], [audience, service.url])]
    agent = await startEager(join(folder, 'agent'), machine(), { remotes: [remoteLines(service.url)], rules })
  })
  afterAll(async () => {
    await agent?.stop()
    await service?.close()
  })

  const ask = (more: object = {}) => agent.askToken({ issuer: 'alibaba', audience: undefined, ...more })
  const quoted = () => machine().quoted.length

  it('issues the token that a caller gets who names it, about a quote of this very request', async () => {
    const answer = await ask()
    expect(told(answer)).toEqual([200])
    const { aud, iss, ...claims } = partOf(answer.body, 'payload')
    expect([aud, iss]).toEqual([service.url, service.url])
    const status = JSON.parse(String(claims['tcb-status']))
    expect(status['tdx.quote.body.report_data']).toBe(Buffer.from(machine().quoted.at(-1) ?? []).toString('hex'))
    expect((await relyingParty(service.url, true).accept(answer.body)).simulated).toBe(true)
    await expect(relyingParty(service.url, false).accept(answer.body)).rejects.toMatchObject({ code: 'DISTRUSTED' })
  })

  it('is asked once: the token is kept, whether the audience is named or not', async () => {
    const token = (await ask()).body
    const [quotes, requests] = [quoted(), service.received.length]
    expect((await ask({ audience: service.url })).body).toBe(token)
    expect((await ask()).body).toBe(token)
    expect([quoted(), service.received.length]).toEqual([quotes, requests])
    expect((await ask({ fresh: true })).body).not.toBe(token)
    expect([quoted(), service.received.length]).toEqual([quotes + 1, requests + 1])
  })

  it.each<[string, object, readonly unknown[]]>([
    ['another audience', { audience }, [409, 'audience_unsupported']],
    ['a nonce', { nonces: ['nonce-of-a-relying-party'] }, [409, 'nonce_unsupported']],
    [
      'a key',
      { cnf: { jwk: { kty: 'OKP', crv: 'Ed25519', x: '11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo' } } },
      [409, 'request_unsupported'],
    ],
    ['another lifetime', { ttl_s: 300 }, [409, 'request_unsupported']],
  ])('is not asked for %s, which it cannot grant', async (_, more, expected) => {
    const before = [quoted(), service.received.length]
    expect(told(await ask(more)).slice(0, expected.length)).toEqual(expected)
    expect([quoted(), service.received.length]).toEqual(before)
  })

  it('says no to a platform that is out of date, which goes to the caller with its code', async () => {
    machine().kernel.quoteOptions = { teeTcbSvn: teeTcbSvn({ platform: 'Revoked' }) }
    const answer = await ask({ fresh: true })
    expect(told(answer).slice(0, 2)).toEqual([502, 'issuer_rejected'])
    expect(problemOf(answer)).toMatchObject({ upstream_code: 'AS.EVIDENCE.VERIFICATION_FAILED' })
    machine().kernel.quoteOptions = {}
    expect(told(await ask({ fresh: true }))).toEqual([200])
  })

  it('is not troubled where this machine has no quote', async () => {
    machine().kernel.emptyQuotes = 99
    const before = service.received.length
    expect(told(await ask({ fresh: true, timeout_ms: 2000 }))).toEqual([503, 'evidence_unavailable', 'quote_empty'])
    machine().kernel.emptyQuotes = 0
    expect(service.received.length).toBe(before)
  })

  it('stands beside the bundled one, which does not need it', async () => {
    const answer = await agent.askToken()
    expect(partOf(answer.body, 'payload')).toMatchObject({ iss: 'https://issuer.example', aud: audience })
    const { issuers } = (await agent.status()).broker
    expect(issuers.map(({ name }: { name: string }) => name)).toEqual(['local', 'alibaba'])
  })
})

type Consequence = readonly [kind: Misbehaviour, status: number, code: string, cause: string]
const bad = (kind: Misbehaviour, check: string): Consequence => [kind, 502, 'issuer_bad_token', check]
const misconfigured = (kind: Misbehaviour, upstream: string): Consequence => [
  kind,
  502,
  'issuer_misconfigured',
  upstream,
]
const away = (kind: Misbehaviour, cause: string): Consequence => [kind, 503, 'issuer_unavailable', cause]

/** What callers are told of each thing that the double does wrong; none of it may become a token. */
const consequences: readonly Consequence[] = [
  bad('another-td', 'BRK-107'),
  bad('another-report-data', 'TOK-103'),
  bad('kept-answer', 'TOK-103'),
  bad('other-audience', 'TOK-91'),
  bad('second-audience', 'TOK-92'),
  bad('other-issuer', 'TOK-90'),
  bad('other-key', 'TOK-83'),
  bad('debug-td', 'TOK-106'),
  ['of-tomorrow', 503, 'clock_unsafe', ''],
  bad('of-yesterday', 'BRK-106'),
  bad('expired', 'BRK-106'),
  bad('no-echo', 'BRK-107'),
  bad('unknown-member', 'BRK-107'),
  misconfigured('captive-portal', 'HTTP_200'),
  misconfigured('envelope', 'HTTP_200'),
  misconfigured('empty', 'HTTP_200'),
  misconfigured('two-newlines', 'HTTP_200'),
  misconfigured('oversize-token', 'HTTP_200'),
  away('oversize', 'ANSWER_TOO_LARGE'),
  misconfigured('redirect', 'HTTP_307'),
  away('rate-limited', 'HTTP_429'),
  away('unavailable', 'AS.DEPENDENCY.UNAVAILABLE'),
  away('plain-fault', 'HTTP_500'),
  misconfigured('internal-error', 'AS.INTERNAL.ERROR'),
  ['verdict', 502, 'issuer_rejected', 'AS.EVIDENCE.VERIFICATION_FAILED'],
  ['policy-denied', 502, 'issuer_rejected', 'AS.POLICY.DENIED'],
  misconfigured('encoding-refused', 'AS.EVIDENCE.INVALID_ENCODING'),
  misconfigured('not-found', 'HTTP_404'),
  misconfigured('echo', 'HTTP_400'),
  away('reset', 'ECONNRESET'),
  away('truncated', 'UND_ERR_RES_CONTENT_LENGTH_MISMATCH'),
]

describe('a remote verifier that', () => {
  const { machine, folder } = useTdMachine()
  let service: AttestationServiceDouble
  let agent: AgentProcess
  const nameOf = (kind: Misbehaviour) => `m-${misbehaviours.indexOf(kind)}`
  beforeAll(async () => {
    service = await openServiceFor(machine())
    // One name for each, so that what the agent remembers of one does not meet another.
    const names = misbehaviours.map(nameOf)
    const remotes = names.map((name) => remoteLines(service.url, { name }))
    agent = await startEager(join(folder, 'agent'), machine(), { remotes, rules: [ruleFor(names, [service.url])] })
    // An answer that the double can keep; and its keys are known.
    await agent.token({ issuer: nameOf('simulated'), audience: service.url })
  })
  afterAll(async () => {
    await agent?.stop()
    await service?.close()
  })
  const ask = (kind: Misbehaviour, more: object = {}) =>
    agent.askToken({ issuer: nameOf(kind), audience: service.url, ...more })

  it.each(consequences)('misbehaves (%s) gives no token, and is believed again', async (...row) => {
    const [kind, status, code, cause] = row
    service.misbehave(kind)
    // Short, so that nobody tries again; longer only where this machine is too busy.
    const inTime = await ask(kind, { timeout_ms: 450 })
    const answer = inTime.status === 504 ? await ask(kind, { timeout_ms: 10_000 }) : inTime
    service.misbehave(null)
    expect(told(answer).slice(0, 2)).toEqual([status, code])
    const { check, upstream_code: upstream, network_code: network, retry_after_ms: pause } = problemOf(answer)
    expect(check ?? upstream ?? network ?? '').toBe(cause)
    expect(logged(agent, 'no_token').at(-1)).toMatchObject({ issuer: nameOf(kind), level: 40 })
    expect(tokensIn(answer.body + agent.log)).toEqual([])
    // Who is told when to come again, and comes then, is served; a request of its own does not wait for that.
    const soon = typeof pause === 'number' && pause <= 1000 && code !== 'clock_unsafe'
    const again = async () => (await ask(kind, soon ? { timeout_ms: 5000 } : { fresh: true })).status === 200
    await agent.until(again, 'served again', 10_000)
  })

  it('misbehaves does so in ways that all have their consequence here', () => {
    const listed = [...consequences.map(([kind]) => kind), 'hang', 'drip', 'simulated']
    expect(listed.sort()).toEqual([...misbehaviours].sort())
  })

  it.each<[Misbehaviour]>([['hang'], ['drip']])(
    'takes its time (%s) holds up nobody but those who wait',
    async (kind) => {
      service.misbehave(kind, 1)
      const since = performance.now()
      const answer = await ask(kind, { timeout_ms: 600 })
      expect([answer.status, problemOf(answer)['code']]).toEqual([504, 'deadline_exceeded'])
      expect(performance.now() - since).toBeLessThan(3000)
      const again = async () => (await ask(kind, { fresh: true })).status === 200
      await agent.until(again, 'served meanwhile', 10_000)
    },
  )

  it('fails keeps the token at hand alive; one that says no takes it away', async () => {
    const kind = 'simulated'
    const refreshed = async () => {
      const before = logged(agent, 'no_token').length
      await agent.ask('/v1/admin/refresh', { socket: 'admin', body: { all: true } })
      await agent.until(
        () =>
          logged(agent, 'no_token')
            .slice(before)
            .some(({ issuer }) => issuer === nameOf(kind)),
        'tried',
      )
    }
    const token = (await ask(kind)).body
    service.misbehave('other-key')
    await refreshed()
    expect((await ask(kind)).body).toBe(token)
    service.misbehave('verdict')
    await refreshed()
    await agent.until(async () => (await ask(kind)).status === 502, 'evicted')
    service.misbehave(null)
  })
})

describe('the rules of callers about a remote verifier', () => {
  const { machine, folder } = useTdMachine()
  let service: AttestationServiceDouble
  beforeAll(async () => {
    service = await openServiceFor(machine())
  })
  afterAll(() => service?.close())
  let homes = 0
  async function withAgent(
    rule: (url: string) => string,
    callers: readonly string[],
    use: (agent: AgentProcess) => Promise<void>,
  ): Promise<void> {
    const lines = { remotes: [remoteLines(service.url)], rules: [rule(service.url)], callers }
    const agent = await startEager(join(folder, `agent-${homes++}`), machine(), lines)
    try {
      await use(agent)
    } finally {
      await agent.stop()
    }
  }
  const refusal = async (agent: AgentProcess, request: object) => {
    const answer = await agent.askToken(request)
    return [answer.status, problemOf(answer)['code']]
  }

  it('that name no issuer allow the default one and no other', async () => {
    const rule = (url: string) => callerRule('tests', `uid = ${uid}`, [audience, url])
    await withAgent(rule, [], async (agent) => {
      expect((await agent.askToken()).status).toBe(200)
      const asked = { issuer: 'alibaba', audience: service.url }
      expect(await refusal(agent, asked)).toEqual([403, 'policy_denied'])
      expect(service.received.length).toBe(0)
    })
  })

  it('that name it and not its audience allow nothing of it', async () => {
    await withAgent(
      () => ruleFor(['alibaba'], [audience]),
      [],
      async (agent) => {
        expect((await refusal(agent, { issuer: 'alibaba', audience: undefined }))[0]).toBe(403)
        expect((await refusal(agent, {}))[0]).toBe(403)
      },
    )
  })

  it('mean it where it is the default one: requests that name nobody are answered by it', async () => {
    const rule = (url: string) => callerRule('tests', `uid = ${uid}`, [audience, url])
    await withAgent(rule, ['default_issuer = "alibaba"'], async (agent) => {
      const token = await agent.token({ audience: undefined })
      expect(partOf(token, 'payload')).toMatchObject({ iss: service.url, aud: service.url })
      expect(await refusal(agent, { audience })).toEqual([409, 'audience_unsupported'])
      expect(await refusal(agent, { issuer: 'local', audience: service.url })).toEqual([403, 'policy_denied'])
    })
  })
})
