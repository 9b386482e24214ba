import { describe, expect, it } from 'vitest'
import { FakeClock } from '../../test/support/fake-clock.ts'
import { RawClient, rawRequest } from '../../test/support/raw-http.ts'
import { openRoom, policyFrom, post, request, someone } from '../../test/support/workload-room.ts'
import { endsOfTokensIn, WrittenTokens } from './written-tokens.ts'

const encoded = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url')
const tokenUntil = (exp: unknown) => `${encoded({ alg: 'ES256' })}.${encoded({ aud: 'x', exp })}.c2lnbmF0dXJl`

describe('the ends of the tokens in an answer', () => {
  it.each([
    ['bare', tokenUntil(17), [17]],
    ['in a document', JSON.stringify({ token: tokenUntil(17), expires_at: 99 }), [17]],
    ['several', `${tokenUntil(1)} ${tokenUntil(2)}`, [1, 2]],
    ['none', '{"status":"ok"}', []],
    ['without `exp`', tokenUntil(undefined), []],
    ['`exp` that is no number', tokenUntil('17'), []],
    ['no token behind the same letters', 'eyJ.eyJ.eyJ and eyJhbGciOiJub25lIn0.AAAA.AAAA', []],
    ['longer than any answer with a token', tokenUntil(17).padEnd(262_145, ' '), []],
  ])('%s', (_, body, ends) => {
    expect(endsOfTokensIn(body)).toEqual(ends)
  })

  it('takes no long time over hostile text', () => {
    expect(endsOfTokensIn('eyJ'.repeat(87_000))).toEqual([])
    expect(endsOfTokensIn(`eyJ.${'a'.repeat(262_000)}.`)).toEqual([])
  })
})

describe('what observers hear', () => {
  it('a token that was over is counted by its own bytes, whatever the provider says of it (BRK-167)', async () => {
    const clock = new FakeClock()
    const { path, provider, events } = await openRoom({ clock })
    const written = () => events.filter(({ event }) => event === 'expired_token_written')
    const nowS = clock.now() / 1000
    provider.answer = async () => ({ token: tokenUntil(nowS + 1) })
    await rawRequest(path, post('/v1/token', {}))
    expect(written()).toEqual([])
    provider.answer = async () => ({ token: tokenUntil(nowS) })
    await rawRequest(path, post('/v1/token', {}))
    await rawRequest(path, post('/v1/token', {}, ['Accept: application/json']))
    await rawRequest(path, request('HEAD', '/v1/token'))
    expect(written()).toEqual(Array(2).fill({ event: 'expired_token_written', listener: 'api', route: '/v1/token' }))
  })

  it('how callers were identified, and why not', async () => {
    const { path, identifier, events } = await openRoom()
    await rawRequest(path, post('/v1/token', {}))
    identifier.next = () => Promise.reject(new Error('the kernel does not say'))
    await rawRequest(path, post('/v1/token', {}))
    expect(events.filter(({ event }) => event === 'caller_identified')).toEqual([
      { event: 'caller_identified', listener: 'api', identity: 'pidfd', result: 'ok' },
      { event: 'caller_identified', listener: 'api', identity: null, result: 'identity_unavailable' },
    ])
  })

  it('which limit refused', async () => {
    const limits = { requestBurst: 2, expensiveBurst: 1, acceptBurst: 2 }
    const { path, events } = await openRoom({ limits })
    const client = new RawClient(path)
    for (let n = 0; n < 3; n++) {
      client.write(post('/v1/token', {}))
      await client.answers(n + 1)
    }
    await rawRequest(path, post('/v1/token', {}))
    await rawRequest(path, post('/v1/token', {}))
    client.half()
    const stages = events.flatMap((told) => (told.event === 'rate_limited' ? [told.stage] : []))
    expect(stages).toEqual(['request', 'request', 'accept'])
  })

  it('the rule that came furthest when nothing is allowed', async () => {
    const allow = { methods: ['token'], audiences: ['https://a.example'] }
    const rules = [
      { id: 'no-method', match: { uid: 1001 }, allow: { methods: ['explain'] } },
      { id: 'closest', match: { uid: 1001 }, allow },
      { id: 'of-others', match: { uid: 1002 }, allow: { ...allow, fresh: true } },
    ]
    const { path, identifier, events } = await openRoom({ policy: policyFrom(rules) })
    await rawRequest(path, post('/v1/token', { audience: 'https://b.example' }))
    identifier.next = () => Promise.resolve({ ...someone, uid: 7 })
    await rawRequest(path, post('/v1/token', {}))
    const denied = events.flatMap((told) => (told.event === 'denied' ? [[told.rule, told.dimension]] : []))
    expect(denied).toEqual([
      ['closest', 'audience'],
      [null, 'caller'],
    ])
  })
})

describe('bodies that are remembered', () => {
  const bare = (exp: number) =>
    `eyJhbGciOiJFUzI1NiJ9.${Buffer.from(JSON.stringify({ exp })).toString('base64url')}.c2ln`

  it('have the same bytes and the same ends whenever they are written (BRK-167)', () => {
    const written = new WrittenTokens()
    const bodies = [...Array.from({ length: 40 }, (_, at) => bare(at)), '{"token":"x"}', '', 'é']
    for (const body of [...bodies, ...bodies, ...bodies.flatMap((one) => [one, one])]) {
      const { bytes, ends } = written.bodyOf(body)
      expect([Buffer.from(bytes).toString(), ends]).toEqual([body, endsOfTokensIn(body)])
    }
    expect(written.bodyOf(bare(1)).ends).toEqual([1])
  })

  it('are made once for the caller and for those behind it', () => {
    const written = new WrittenTokens()
    expect(written.bodyOf(bare(5))).toBe(written.bodyOf(bare(5)))
  })
})
