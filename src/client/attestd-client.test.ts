import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { FakeClock, settled } from '../../test/support/fake-clock.ts'
import { AttestdError } from '../base/errors.ts'
import { SocketClient } from './attestd-client.ts'
import { clientErrors } from './errors.ts'
import { createProofKey } from './proof-key.ts'
import type { SocketAnswer, SocketRequest } from './socket-request.ts'

const audience = 'https://rp.example'

/** An agent that answers as it is told; by default with a token of 900 s that it wants to renew after 450. */
class FakeAgent {
  readonly clock = new FakeClock()
  readonly asked: SocketRequest[] = []
  lifeS = 900
  renews = true
  answer: ((request: SocketRequest) => Promise<SocketAnswer>) | null = null
  #issuedAt: number | null = null

  readonly ask = async (request: SocketRequest): Promise<SocketAnswer> => {
    this.asked.push(request)
    return this.answer ? this.answer(request) : this.token(request)
  }

  readonly client = new SocketClient({
    socket: '/run/attestd/api.sock',
    ask: this.ask,
    clock: this.clock,
    draw: () => 0.5,
    disconnect: () => undefined,
  })

  token({ body }: SocketRequest, change: object = {}): SocketAnswer {
    const now = Math.floor(this.clock.now() / 1000)
    const issuedAt = this.renews ? now : (this.#issuedAt ?? now)
    this.#issuedAt = issuedAt
    const named = body?.['audience'] ?? [audience]
    const document = {
      token: `aGVhZA.${Buffer.from(JSON.stringify([named, issuedAt, this.asked.length])).toString('base64url')}.c2ln`,
      token_type: 'OIDC',
      issuer: 'https://issuer.example',
      audience: named,
      issued_at: issuedAt,
      expires_at: issuedAt + this.lifeS,
      refresh_at: issuedAt + this.lifeS / 2,
      jti: `jti-${this.asked.length}`,
      source: 'cache',
      generation: 1,
      request_id: `request-${this.asked.length}`,
      ...change,
    }
    return { status: 200, headers: {}, body: JSON.stringify(document) }
  }

  problem(status: number, members: object, headers: Record<string, string> = {}): SocketAnswer {
    return { status, headers, body: JSON.stringify({ status, title: 'no', detail: 'no', ...members }) }
  }

  /** Answers in this order; the last one for ever. */
  says(...answers: ((request: SocketRequest) => SocketAnswer | Error)[]): void {
    this.answer = async (request) => {
      const answer = answers.length > 1 ? answers.shift() : answers[0]
      const given = answer?.(request) ?? this.token(request)
      if (given instanceof Error) throw given
      return given
    }
  }
}

const codeOf = (promise: Promise<unknown>) =>
  promise.then(
    () => 'no error',
    (error: unknown) => (error instanceof AttestdError ? error.code : String(error)),
  )

const unavailable = (agent: FakeAgent, headers = {}) =>
  agent.problem(503, { code: 'issuer_unavailable', retryable: true }, headers)

describe('a token', () => {
  it('is asked for in JSON, with the default of the agent where nothing is said', async () => {
    const agent = new FakeAgent()
    const token = await agent.client.fetchToken()
    expect(token).toMatchObject({ audience: [audience], tokenType: 'OIDC', jti: 'jti-1', requestId: 'request-1' })
    expect(agent.asked[0]).toMatchObject({ method: 'POST', path: '/v1/token', accept: 'application/json' })
    expect(agent.asked[0]?.body).toEqual({ timeout_ms: 14_750 })
  })

  it('names what the caller names', async () => {
    const agent = new FakeAgent()
    const key = createProofKey()
    const wish = {
      audience: ['b', 'a'],
      issuer: 'local',
      ttlS: 300,
      minValidS: 20,
      fresh: true,
      nonces: ['nonce-0001'],
    }
    await agent.client.fetchToken({ ...wish, proofKey: key, timeoutMs: 100_000 })
    expect(agent.asked[0]?.body).toEqual({
      audience: ['a', 'b'],
      issuer: 'local',
      ttl_s: 300,
      min_valid_s: 20,
      fresh: true,
      nonces: ['nonce-0001'],
      cnf: { jwk: key.jwk },
      timeout_ms: 60_000,
    })
  })

  it('is kept per request shape, whatever the order of audiences', async () => {
    const agent = new FakeAgent()
    const key = createProofKey()
    const shapes = [
      {},
      { audience: 'a' },
      { audience: ['b', 'a'] },
      { audience: 'a', ttlS: 60 },
      { audience: 'a', issuer: 'x' },
    ]
    const all = [...shapes, { audience: 'a', proofKey: key }, { audience: 'a', proofKey: createProofKey() }]
    const first = await Promise.all(all.map((options) => agent.client.fetchToken(options)))
    expect(agent.asked).toHaveLength(7)
    const second = await Promise.all(all.map((options) => agent.client.fetchToken(options)))
    expect(second).toEqual(first)
    expect(await agent.client.fetchToken({ audience: ['a', 'b', 'a'] })).toEqual(first[2])
    expect(agent.asked).toHaveLength(7)
  })

  it('with a nonce, or fresh, is never kept nor shared (API-94, API-95)', async () => {
    const agent = new FakeAgent()
    await agent.client.fetchToken({ audience })
    const options = [{ nonces: ['nonce-0001'] }, { nonces: ['nonce-0001'] }, { fresh: true }, { fresh: true }]
    const tokens = await Promise.all(options.map((one) => agent.client.fetchToken({ audience, ...one })))
    expect(new Set(tokens.map(({ token }) => token)).size).toBe(4)
    expect(agent.asked).toHaveLength(5)
    expect((await agent.client.fetchToken({ audience })).jti).toBe('jti-1')
  })

  it('is asked for once by callers that come together', async () => {
    const agent = new FakeAgent()
    const tokens = await Promise.all(Array.from({ length: 50 }, () => agent.client.fetchToken({ audience })))
    expect([agent.asked.length, new Set(tokens).size]).toEqual([1, 1])
  })

  it.each([
    ['at 60 s left', undefined, 840],
    ['at what is demanded', 300, 600],
    ['at 1 s where 0 is demanded', 0, 899],
    ['at 5 s where 2 are demanded', 2, 895],
  ])('is good enough until %s, and not a second longer', async (_, minValidS, untilS) => {
    const agent = new FakeAgent()
    const options = { audience, ...(minValidS === undefined ? {} : { minValidS }) }
    await agent.client.fetchToken(options)
    agent.answer = () => new Promise(() => undefined)
    await agent.clock.advance(untilS * 1000)
    expect((await agent.client.fetchToken(options)).jti).toBe('jti-1')
    await agent.clock.advance(1)
    const late = codeOf(agent.client.fetchToken(options))
    await agent.clock.advance(15_000)
    expect(await late).toBe('AGENT_TOO_SLOW')
  })

  it('is renewed from refresh_at on while the kept one is given, once at a time', async () => {
    const agent = new FakeAgent()
    agent.lifeS = 40
    await agent.client.fetchToken({ audience })
    await agent.clock.advance(19_999)
    expect((await agent.client.fetchToken({ audience })).jti).toBe('jti-1')
    expect(agent.asked).toHaveLength(1)
    await agent.clock.advance(1)
    const given = await Promise.all(Array.from({ length: 20 }, () => agent.client.fetchToken({ audience })))
    expect(new Set(given.map(({ jti }) => jti))).toEqual(new Set(['jti-1']))
    await settled()
    expect(agent.asked).toHaveLength(2)
    expect((await agent.client.fetchToken({ audience })).jti).toBe('jti-2')
  })

  it('is asked for again after half a minute of use: the agent may have declared it worthless (BRK-76)', async () => {
    const agent = new FakeAgent()
    await agent.client.fetchToken({ audience })
    await agent.clock.advance(29_999)
    await agent.client.fetchToken({ audience })
    expect(agent.asked).toHaveLength(1)
    await agent.clock.advance(1)
    expect((await agent.client.fetchToken({ audience })).jti).toBe('jti-1')
    await settled()
    expect([(await agent.client.fetchToken({ audience })).jti, agent.asked.length]).toEqual(['jti-2', 2])
  })

  it.each([
    ['the verifier affirms the machine no more (BRK-47)', 502, 'issuer_rejected', true],
    ['the caller lost the right (API-69)', 403, 'policy_denied', true],
    ['the issuer is away', 503, 'issuer_unavailable', false],
    ['the agent asks for patience', 429, 'rate_limited', false],
  ])('that is refused by then because %s is given no more: %i %s → %s', async (_, status, code, refused) => {
    const agent = new FakeAgent()
    await agent.client.fetchToken({ audience })
    agent.says(() => agent.problem(status, { code, retryable: !refused }))
    await agent.clock.advance(30_000)
    expect((await agent.client.fetchToken({ audience })).jti).toBe('jti-1')
    await agent.clock.advance(15_000)
    const next = await agent.client.fetchToken({ audience }).catch((error: AttestdError) => error)
    expect(next).toMatchObject(refused ? { code } : { jti: 'jti-1' })
  })

  it('of the agent for another audience is not touched by a refusal', async () => {
    const agent = new FakeAgent()
    await agent.client.fetchToken({ audience: 'a' })
    await agent.client.fetchToken({ audience: 'b' })
    agent.answer = async (request) =>
      JSON.stringify(request.body).includes('"a"')
        ? agent.problem(403, { code: 'policy_denied', retryable: false })
        : agent.token(request)
    await agent.clock.advance(30_000)
    await agent.client.fetchToken({ audience: 'a' })
    await settled()
    expect(await codeOf(agent.client.fetchToken({ audience: 'a' }))).toBe('policy_denied')
    expect((await agent.client.fetchToken({ audience: 'b' })).jti).toBe('jti-2')
  })

  it('is asked for again within half a minute, however long the agent says to wait', async () => {
    const agent = new FakeAgent()
    await agent.client.fetchToken({ audience })
    agent.says(() => unavailable(agent, { 'retry-after': '300' }))
    await agent.clock.advance(600_000)
    await agent.client.fetchToken({ audience })
    const before = agent.asked.length
    await agent.clock.advance(30_000)
    await agent.client.fetchToken({ audience })
    await settled()
    expect(agent.asked.length).toBeGreaterThan(before)
  })

  it('that the agent cannot renew is asked for now and then, not at every call (API-91)', async () => {
    const agent = new FakeAgent()
    agent.renews = false
    await agent.client.fetchToken({ audience })
    await agent.clock.advance(450_000)
    for (let second = 0; second < 300; second++) {
      await agent.client.fetchToken({ audience })
      await agent.clock.advance(1000)
    }
    expect(agent.asked.length).toBeGreaterThan(10)
    expect(agent.asked.length).toBeLessThan(60)
  })

  it('stays in use while renewing fails, and the failure is heard of when it no longer does', async () => {
    const agent = new FakeAgent()
    await agent.client.fetchToken({ audience })
    agent.says(() => unavailable(agent, { 'retry-after': '20' }))
    await agent.clock.advance(600_000)
    for (let second = 0; second < 100; second++) {
      expect((await agent.client.fetchToken({ audience })).jti).toBe('jti-1')
      await agent.clock.advance(1000)
    }
    expect(agent.asked.length - 1).toBe(5)
    await agent.clock.advance(200_000)
    expect(await codeOf(agent.client.fetchToken({ audience }))).toBe('issuer_unavailable')
  })

  it('is forgotten by close', async () => {
    const agent = new FakeAgent()
    await agent.client.fetchToken({ audience })
    agent.client.close()
    await agent.client.fetchToken({ audience })
    expect(agent.asked).toHaveLength(2)
  })

  it('takes the place of the one that was longest of no use', async () => {
    const agent = new FakeAgent()
    for (let n = 0; n < 256; n++) await agent.client.fetchToken({ audience: `a${n}` })
    for (let n = 0; n < 256; n++) await agent.client.fetchToken({ audience: `a${n}` })
    expect(agent.asked).toHaveLength(256)
    for (let n = 0; n < 2; n++) await agent.client.fetchToken({ audience: 'a256' })
    expect(agent.asked).toHaveLength(257)
    await agent.client.fetchToken({ audience: 'a0' })
    expect(agent.asked).toHaveLength(258)
  })
})

describe('an expired token is never given', () => {
  it('whatever the clocks do', async () => {
    const step = fc.oneof(
      fc.record({ advance: fc.integer({ min: 0, max: 400_000 }) }),
      fc.record({ jump: fc.integer({ min: -2_000_000, max: 2_000_000 }) }),
      fc.record({ suspend: fc.integer({ min: 0, max: 1_000_000 }) }),
    )
    const run = async (steps: readonly { advance?: number; jump?: number; suspend?: number }[], lifeS: number) => {
      const agent = new FakeAgent()
      agent.lifeS = lifeS
      let ran = 0
      const ends = new Map<string, number>()
      agent.answer = async (request) => {
        const answer = agent.token(request)
        ends.set(JSON.parse(answer.body).jti, ran + lifeS * 1000)
        return answer
      }
      for (const { advance = 0, jump = 0, suspend = 0 } of steps) {
        await agent.clock.advance(advance)
        agent.clock.jump(jump)
        agent.clock.suspend(suspend)
        ran += advance
        const { jti, expiresAt } = await agent.client.fetchToken({ audience })
        await settled(1)
        expect(expiresAt * 1000).toBeGreaterThan(agent.clock.now())
        expect(ends.get(jti)).toBeGreaterThan(ran)
      }
    }
    await fc.assert(fc.asyncProperty(fc.array(step, { maxLength: 12 }), fc.constantFrom(60, 300, 900), run), {
      numRuns: 300,
    })
  })

  it('also when the agent gives one', async () => {
    const agent = new FakeAgent()
    const now = Math.floor(agent.clock.now() / 1000)
    agent.says((request) => agent.token(request, { issued_at: now - 900, expires_at: now, refresh_at: now - 450 }))
    const failed = codeOf(agent.client.fetchToken({ audience }))
    await agent.clock.advance(15_000)
    expect(await failed).toBe('AGENT_ANSWER')
  })
})

describe('failures', () => {
  it('that may pass are tried again, later each time', async () => {
    const agent = new FakeAgent()
    const refused = clientErrors.error('AGENT_NOT_REACHED', 'ECONNREFUSED')
    agent.says(
      () => refused,
      () => refused,
      () => unavailable(agent),
      (request) => agent.token(request),
    )
    const fetched = agent.client.fetchToken({ audience })
    const times: number[] = []
    const begin = agent.clock.monotonic()
    for (let ms = 0; ms < 1000; ms += 25) {
      while (times.length < agent.asked.length) times.push(agent.clock.monotonic() - begin)
      await agent.clock.advance(25)
    }
    expect((await fetched).jti).toBe('jti-4')
    expect(times).toEqual([0, 75, 225, 525])
  })

  it.each(['the header', 'the member'])(
    'are tried again no sooner than %s of the answer says (API-82)',
    async (where) => {
      const agent = new FakeAgent()
      const limited =
        where === 'the header'
          ? unavailable(agent, { 'retry-after': '3' })
          : agent.problem(429, { code: 'rate_limited', retryable: true, retry_after_ms: 3000 }, { 'retry-after': '9' })
      agent.says(
        () => limited,
        (request) => agent.token(request),
      )
      const fetched = agent.client.fetchToken({ audience })
      await agent.clock.advance(3000)
      expect(agent.asked).toHaveLength(1)
      await agent.clock.advance(100)
      expect((await fetched).jti).toBe('jti-2')
    },
  )

  it('are reported at once if the next attempt would come too late', async () => {
    const agent = new FakeAgent()
    agent.says(() => unavailable(agent, { 'retry-after': '30' }))
    await expect(agent.client.fetchToken({ audience })).rejects.toMatchObject({
      code: 'issuer_unavailable',
      facts: { retry_after_ms: 30_000 },
    })
    expect(agent.asked).toHaveLength(1)
  })

  it('that do not pass are reported at once, with what the agent says of them', async () => {
    const agent = new FakeAgent()
    const members = {
      code: 'policy_denied',
      retryable: false,
      remedy: 'add a rule',
      dimension: 'audience',
      request_id: 'r1',
    }
    agent.says(() => agent.problem(403, { ...members, detail: 'no rule' }))
    const error = await agent.client.fetchToken({ audience }).catch((reason: unknown) => reason)
    expect(error).toBeInstanceOf(AttestdError)
    expect(error).toMatchObject({
      code: 'policy_denied',
      message: 'no rule',
      remedy: 'add a rule',
      retryable: false,
      status: 403,
      facts: { dimension: 'audience', request_id: 'r1' },
    })
    expect(agent.asked).toHaveLength(1)
  })

  it('because the connection is older than the user of the process are met with a new one, once (API-47)', async () => {
    const agent = new FakeAgent()
    const changed = agent.problem(401, { code: 'caller_changed', retryable: false })
    agent.says(
      () => changed,
      (request) => agent.token(request),
    )
    const fetched = agent.client.fetchToken({ audience })
    await agent.clock.advance(0)
    expect((await fetched).jti).toBe('jti-2')
    agent.says(() => changed)
    const failed = codeOf(agent.client.fetchToken({ audience: 'b' }))
    await agent.clock.advance(0)
    expect(await failed).toBe('caller_changed')
  })

  it('of callers who need more life left than others are not theirs', async () => {
    const agent = new FakeAgent()
    agent.answer = async (request) => {
      const expires_at = Math.floor(agent.clock.now() / 1000) + Number(request.body?.['min_valid_s'])
      return agent.token(request, { expires_at })
    }
    const wishes = [30, 600].map((minValidS) => agent.client.fetchToken({ audience, minValidS }))
    const lives = (await Promise.all(wishes)).map(({ expiresAt }) => expiresAt - agent.clock.now() / 1000)
    expect(lives).toEqual([30, 600])
  })

  it('of one caller with little time are not those of another with more', async () => {
    const agent = new FakeAgent()
    const open: ((answer: SocketAnswer) => void)[] = []
    agent.answer = () => new Promise((resolve) => open.push(resolve))
    const hasty = codeOf(agent.client.fetchToken({ audience, timeoutMs: 100 }))
    const patient = agent.client.fetchToken({ audience, timeoutMs: 10_000 })
    await agent.clock.advance(90)
    open[0]?.(agent.problem(504, { code: 'deadline_exceeded', retryable: true }))
    await agent.clock.advance(200)
    expect(await hasty).toBe('deadline_exceeded')
    expect(agent.asked).toHaveLength(2)
    open[1]?.(agent.token(agent.asked[1] as SocketRequest))
    expect((await patient).audience).toEqual([audience])
  })

  it.each([
    ['no JSON', 'eyJ'],
    ['an array', '[]'],
    ['no token', { token: undefined }],
    ['a token that is none', { token: 'a.b' }],
    ['a token with a newline', { token: 'a.b.c\n' }],
    ['a time that is none', { expires_at: '1' }],
    ['a time that is not whole', { expires_at: 1.5 }],
    ['a token for somebody else (API-96)', { audience: ['https://other.example'] }],
    ['a token for somebody else too (API-96)', { audience: [audience, 'https://other.example'] }],
    ['a token for nobody', { audience: [] }],
  ])('of an answer with %s are AGENT_ANSWER', async (_, change) => {
    const agent = new FakeAgent()
    agent.says((request) =>
      typeof change === 'string' ? { status: 200, headers: {}, body: change } : agent.token(request, change),
    )
    const failed = codeOf(agent.client.fetchToken({ audience, timeoutMs: 10 }))
    await agent.clock.advance(10)
    expect(await failed).toBe('AGENT_ANSWER')
  })

  it('of the calling program are TypeErrors', async () => {
    const { client } = new FakeAgent()
    await expect(client.fetchToken({ timeoutMs: 0 })).rejects.toThrow(TypeError)
    await expect(client.fetchToken({ timeoutMs: Number.NaN })).rejects.toThrow(TypeError)
    await expect(client.fetchToken({ timeoutMs: 2 ** 31 })).rejects.toThrow(TypeError)
    await expect(client.fetchToken({ minValidS: -1 })).rejects.toThrow(TypeError)
    await expect(client.fetchToken({ minValidS: 1.5 })).rejects.toThrow(TypeError)
  })
})

describe('a caller that gives up', () => {
  it('hears the reason of its signal, and the others get their token', async () => {
    const agent = new FakeAgent()
    let open = (_: SocketAnswer) => {}
    agent.answer = () => new Promise((resolve) => (open = resolve))
    const giving = new AbortController()
    const first = agent.client.fetchToken({ audience, signal: giving.signal }).catch((reason: unknown) => reason)
    const second = agent.client.fetchToken({ audience })
    giving.abort('enough')
    expect(await first).toBe('enough')
    const [asked] = agent.asked
    expect(asked?.signal?.aborted).toBe(false)
    open(agent.token(asked as SocketRequest))
    expect((await second).jti).toBe('jti-1')
  })

  it('as the last one ends the request (API-34), and the next one starts anew', async () => {
    const agent = new FakeAgent()
    agent.answer = () => new Promise(() => undefined)
    const giving = new AbortController()
    const calls = [1, 2].map(() => agent.client.fetchToken({ audience, signal: giving.signal }).catch(() => 'ended'))
    giving.abort('enough')
    expect(await Promise.all(calls)).toEqual(['ended', 'ended'])
    expect(agent.asked[0]?.signal?.aborted).toBe(true)
    agent.answer = null
    expect((await agent.client.fetchToken({ audience })).jti).toBe('jti-2')
  })

  it('before it asks asks nothing', async () => {
    const agent = new FakeAgent()
    await expect(agent.client.fetchToken({ signal: AbortSignal.abort('no') })).rejects.toBe('no')
    await expect(
      agent.client.fetchEvidence({ challenge: new Uint8Array(8), signal: AbortSignal.abort('no') }),
    ).rejects.toBe('no')
    expect(agent.asked).toHaveLength(0)
  })

  it('between two attempts hears the reason too, and no timer is left', async () => {
    const agent = new FakeAgent()
    agent.says(() => unavailable(agent, { 'retry-after': '5' }))
    const giving = new AbortController()
    const call = agent.client.fetchToken({ audience, signal: giving.signal }).catch((reason: unknown) => reason)
    await agent.clock.advance(1000)
    giving.abort('enough')
    expect(await call).toBe('enough')
    expect(agent.clock.sleeping).toBe(0)
  })
})

describe('evidence', () => {
  it('is given as the agent wrote it, and asked for anew each time', async () => {
    const agent = new FakeAgent()
    agent.says(() => ({ status: 200, headers: {}, body: '{"tee": "tpm"}' }))
    const challenge = new Uint8Array([0xfb, 2, 3, 4, 5, 6, 7, 8])
    expect(await agent.client.fetchEvidence({ challenge })).toBe('{"tee": "tpm"}')
    await agent.client.fetchEvidence({ challenge, profile: 'raw', devices: ['tpm'], verifier: 'v', timeoutMs: 1000 })
    expect(agent.asked.map(({ path, body }) => [path, body])).toEqual([
      ['/v1/evidence', { challenge: '-wIDBAUGBwg', timeout_ms: 14_750 }],
      ['/v1/evidence', { challenge: '-wIDBAUGBwg', profile: 'raw', devices: ['tpm'], verifier: 'v', timeout_ms: 900 }],
    ])
  })
})
