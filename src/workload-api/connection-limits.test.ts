import { describe, expect, it } from 'vitest'
import { FakeClock } from '../../test/support/fake-clock.ts'
import { RawClient, rawRequest } from '../../test/support/raw-http.ts'
import {
  openAdminRoom,
  openRoom,
  openRules,
  policyFrom,
  post,
  request,
  someone,
} from '../../test/support/workload-room.ts'
import { AttestdError } from '../base/errors.ts'
import { ConnectionLedger } from './connection-ledger.ts'
import { defaultLimits } from './limits.ts'

const probe = request('GET', '/livez')
const token = request('GET', '/v1/token')

/** Opens connections one after the other, each with an answered probe; gives the answers. */
async function openMany(path: string, count: number) {
  const clients: RawClient[] = []
  for (let at = 0; at < count; at++) clients.push(new RawClient(path).write(probe))
  const answers = await Promise.all(clients.map(async (client) => (await client.answers(1))[0]))
  const close = () => {
    for (const client of clients) client.destroy()
  }
  return { clients, answers, close }
}

const shown = (answers: readonly ({ status: number } | undefined)[]) => {
  const counts: Record<string, number> = {}
  for (const answer of answers) counts[answer?.status ?? 0] = (counts[answer?.status ?? 0] ?? 0) + 1
  return counts
}

describe('connections (API-23)', () => {
  it('256 in total; the 257th gets 503 and is not looked up; a place that is given back can be taken', async () => {
    const { path, identifier } = await openRoom()
    let uid = 0
    identifier.uid = () => uid++
    const { clients, answers, close } = await openMany(path, 256)
    expect(shown(answers)).toEqual({ 200: 256 })
    const refused = await new RawClient(path).write(probe).restAfter(1)
    expect(refused.map(({ status, headers }) => [status, headers['connection']])).toEqual([[503, 'close']])
    expect(JSON.parse(refused[0]?.body ?? '')).toMatchObject({ code: 'too_many_connections', retryable: true })
    expect(identifier.identified).toBe(256)
    clients[0]?.half()
    await clients[0]?.closed
    expect((await rawRequest(path, probe)).status).toBe(200)
    close()
  })

  it('32 per uid; the 33rd gets 429 and is not looked up; other users are not touched', async () => {
    const { path, identifier } = await openRoom()
    const { answers, close } = await openMany(path, 32)
    expect(shown(answers)).toEqual({ 200: 32 })
    const [refused] = await new RawClient(path).write(probe).restAfter(1)
    expect(refused).toMatchObject({ status: 429, headers: { connection: 'close', 'retry-after': '1' } })
    expect(identifier.identified).toBe(32)
    identifier.uid = () => 2
    expect((await rawRequest(path, probe)).status).toBe(200)
    close()
  })

  /** Over TCP the user is known after the look-up only. */
  async function openTcpRoom() {
    const room = await openRoom()
    Object.defineProperty(room.identifier, 'peerUid', { value: undefined })
    const over = { ...someone, identity: 'tcp-uid', pid: 0, unit: null } as const
    room.identifier.next = async () => over
    return { ...room, over }
  }

  it('that are one too many for their user keep no place, also if they never send anything', async () => {
    const { path, events } = await openTcpRoom()
    const held = Array.from({ length: 32 }, () => new RawClient(path).write(token))
    await Promise.all(held.map((client) => client.answers(1)))
    for (const said of ['', 'GET /v1/tok']) {
      const [refused] = await new RawClient(path).write(said).restAfter(1)
      expect([refused?.status, refused?.headers['connection']]).toEqual([429, 'close'])
    }
    expect(events.filter(({ event }) => event === 'connection_refused')).toHaveLength(2)
    for (const client of held) client.destroy()
  })

  it('of nobody in particular are closed with 403, for nothing would bound their number (API-54)', async () => {
    const { path, identifier, over, provider } = await openTcpRoom()
    identifier.next = async () => ({ ...over, uid: null })
    for (const said of ['', 'GET /v1/tok', token, token + token]) {
      const answers = await new RawClient(path).write(said).restAfter(1)
      expect(answers.map(({ status, body }) => [status, JSON.parse(body).code])).toEqual([[403, 'caller_unidentified']])
    }
    expect(provider.asked).toEqual([])
    expect(identifier.open).toBe(0)
  })

  it('whose user cannot be looked up keep no place either', async () => {
    const { path, identifier } = await openTcpRoom()
    identifier.next = () => Promise.reject(new AttestdError('x', { kind: 'unavailable', title: 'x', remedy: 'y' }, 'z'))
    const [refused] = await new RawClient(path).restAfter(1)
    expect([refused?.status, JSON.parse(refused?.body ?? '').code]).toEqual([503, 'identity_unavailable'])
  })

  it('counts by uid after the look-up where the kernel is not asked before it', async () => {
    const { path, identifier } = await openRoom()
    Object.defineProperty(identifier, 'peerUid', { value: undefined })
    const held = Array.from({ length: 32 }, () => new RawClient(path).write(token))
    await Promise.all(held.map((client) => client.answers(1)))
    const refused = await new RawClient(path).write(token).restAfter(1)
    expect(refused.map(({ status, headers }) => [status, headers['connection']])).toEqual([[429, 'close']])
    expect(identifier.open).toBe(32)
    for (const client of held) client.destroy()
  })

  it('keeps 8 for administrators when all are taken', async () => {
    const connections = new ConnectionLedger(defaultLimits)
    const { path, identifier } = await openRoom({ connections })
    let uid = 0
    identifier.uid = () => uid++
    const admin = { status: () => ({}), refresh() {}, invalidate: () => 0, reload: async () => [] }
    const adminPath = await openAdminRoom({ admin, connections })
    const first = await openMany(path, 256)
    const second = await openMany(adminPath, 8)
    expect([shown(first.answers), shown(second.answers)]).toEqual([{ 200: 256 }, { 200: 8 }])
    expect((await rawRequest(adminPath, probe)).status).toBe(503)
    expect(connections.open).toBe(264)
    first.close()
    second.close()
    while (connections.open > 0) await new Promise((resolve) => setImmediate(resolve))
  })

  it('8 unanswered requests; the 9th is refused in its turn and ends the connection', async () => {
    const { path, provider } = await openRoom()
    const held: (() => void)[] = []
    provider.answer = () => new Promise((resolve) => held.push(() => resolve({})))
    const client = new RawClient(path).write(token.repeat(10))
    while (held.length < 8) await new Promise((resolve) => setImmediate(resolve))
    expect(client.received).toBe('')
    expect(provider.asked).toHaveLength(8)
    provider.answer = null
    for (const release of held) release()
    const answers = await client.restAfter(9)
    expect(answers.map(({ status }) => status)).toEqual([...Array(8).fill(200), 429])
    expect(answers[8]?.headers['connection']).toBe('close')
  })

  it('8 unanswered requests are answered and the connection goes on', async () => {
    const { path } = await openRoom()
    const client = new RawClient(path)
    expect(shown(await client.write(token.repeat(8)).answers(8))).toEqual({ 200: 8 })
    expect(shown(await client.write(token.repeat(8)).answers(16))).toEqual({ 200: 16 })
    client.destroy()
  })
})

describe('age (API-24)', () => {
  it('the thousandth request is the last', async () => {
    const { path } = await openRoom()
    const client = new RawClient(path)
    for (let sent = 8; sent <= 992; sent += 8) await client.write(probe.repeat(8)).answers(sent)
    expect(client.received).not.toContain('Connection: close')
    const answers = await client.write(probe.repeat(8)).restAfter(1000)
    expect(answers).toHaveLength(1000)
    expect(answers.filter(({ headers }) => headers['connection'] === 'close')).toHaveLength(1)
    expect(answers[999]?.headers['connection']).toBe('close')
  })

  it('after 300 s the next answer is the last', async () => {
    const clock = new FakeClock()
    const { path } = await openRoom({ clock })
    const client = new RawClient(path)
    await client.write(probe).answers(1)
    await clock.advance(299_999)
    expect((await client.write(probe).answers(2))[1]?.headers['connection']).toBe('keep-alive')
    await clock.advance(1)
    const answers = await client.write(probe).restAfter(3)
    expect(answers.map(({ headers }) => headers['connection'])).toEqual(['keep-alive', 'keep-alive', 'close'])
  })
})

describe('rates (API-80 to API-83)', () => {
  it('400 connections at once, then 200 a second, by uid and before identity', async () => {
    const clock = new FakeClock()
    const { path, identifier } = await openRoom({ clock })
    const knock = async () => (await rawRequest(path, probe)).status
    for (let at = 0; at < 400; at++) expect(await knock()).toBe(200)
    const answers = await new RawClient(path).write(probe).restAfter(1)
    expect(answers.map(({ status, headers }) => [status, headers['retry-after']])).toEqual([[429, '1']])
    expect(JSON.parse(answers[0]?.body ?? '')).toMatchObject({ code: 'rate_limited', retry_after_ms: 5 })
    expect(identifier.identified).toBe(400)
    await clock.advance(5)
    expect(await knock()).toBe(200)
    expect(await knock()).toBe(429)
  })

  const limits = { connectionRequests: 100_000 }

  it('1000 requests at once, then 500 a second, by caller; probes do not count', async () => {
    const clock = new FakeClock()
    const { path } = await openRoom({ clock, limits })
    const client = new RawClient(path)
    for (let sent = 8; sent <= 1000; sent += 8) await client.write(token.repeat(8)).answers(sent)
    const all = await client.write(token + probe + probe).answers(1003)
    expect(all.slice(1000).map(({ status }) => status)).toEqual([429, 200, 200])
    expect(JSON.parse(all[1000]?.body ?? '')).toMatchObject({
      code: 'rate_limited',
      retry_after_ms: 2,
      retryable: true,
    })
    expect(all[1000]?.headers['retry-after']).toBe('1')
    await clock.advance(2)
    expect((await client.write(token + token).answers(1005)).slice(1003).map(({ status }) => status)).toEqual([
      200, 429,
    ])
    client.destroy()
  }, 30_000)

  it.each([
    ['nonces', '/v1/token', { nonces: ['nonce-0001'] }],
    ['fresh', '/v1/token', { fresh: true }],
    ['evidence', '/v1/evidence', { challenge: 'AAAAAAAAAAA' }],
  ])('%s: 5 at once, then 1 a second', async (_, target, body) => {
    const clock = new FakeClock()
    const { path, provider } = await openRoom({ clock, collectEvidence: async () => '{}' })
    const ask = async () => (await rawRequest(path, post(target, body))).status
    for (let at = 0; at < 5; at++) expect(await ask()).toBe(200)
    const refused = await rawRequest(path, post(target, body))
    expect([refused.status, refused.headers['retry-after'], JSON.parse(refused.body).retry_after_ms]).toEqual([
      429,
      '1',
      1000,
    ])
    expect((await rawRequest(path, token)).status).toBe(200)
    const asked = provider.asked.length
    await clock.advance(1000)
    expect(await ask()).toBe(200)
    expect(await ask()).toBe(429)
    expect(provider.asked.length - asked).toBe(target === '/v1/token' ? 1 : 0)
  })

  it('a denied request takes nothing from the share of quotes', async () => {
    const { path } = await openRoom()
    const denied = { nonces: ['nonce-0001'], audience: 'https://b.example' }
    for (let at = 0; at < 6; at++) expect((await rawRequest(path, post('/v1/token', denied))).status).toBe(403)
    expect((await rawRequest(path, post('/v1/token', { nonces: ['nonce-0001'] }))).status).toBe(200)
  })

  const rated = (rate: object) =>
    policyFrom([{ ...openRules[0], allow: { methods: ['token', 'explain'], audiences: ['https://a.example'], rate } }])

  it("a rule's rate lowers the built-in one", async () => {
    const { path } = await openRoom({ policy: rated({ per_min: 60, burst: 2 }) })
    const statuses = []
    for (let at = 0; at < 3; at++) statuses.push((await rawRequest(path, token)).status)
    expect(statuses).toEqual([200, 200, 429])
  })

  it('of one rule is not raised by what another rule raises', async () => {
    const explaining = { methods: ['explain'], rate: { per_min: 600_000, burst: 5000, raise: true } }
    const asking = { methods: ['token'], audiences: ['https://a.example'], rate: { per_min: 600_000, burst: 5000 } }
    const { path } = await openRoom({
      policy: policyFrom([
        { ...openRules[0], id: 'explaining', allow: explaining },
        { ...openRules[0], id: 'asking', allow: asking },
      ]),
      limits: { requestsPerS: 1, requestBurst: 4 },
    })
    const client = new RawClient(path)
    expect(shown(await client.write(token.repeat(6)).answers(6))).toEqual({ 200: 4, 429: 2 })
    client.destroy()
  })

  it('raises it only where it says so', async () => {
    const policies = [false, true].map((raise) => rated({ per_min: 60_000, burst: 3000, raise }))
    for (const [at, policy] of policies.entries()) {
      const { path } = await openRoom({ policy: policy, limits: { requestsPerS: 1, requestBurst: 4 } })
      const client = new RawClient(path)
      const answers = await client.write(token.repeat(6)).answers(6)
      expect(shown(answers)).toEqual(at === 0 ? { 200: 4, 429: 2 } : { 200: 6 })
      client.destroy()
    }
  })

  it('counts by unit where it is known, so that its processes share', async () => {
    const { path, identifier } = await openRoom({
      limits: { requestBurst: 2, requestsPerS: 1 },
      policy: policyFrom([
        { ...openRules[0], match: { unit: 'payments.service' } },
        { ...openRules[1], match: { uid: [7, 8] } },
      ]),
    })
    const asUid = async (uid: number, unit: string | null) => {
      identifier.next = async () => ({ ...someone, uid, unit })
      return (await rawRequest(path, request('GET', '/v1/explain'))).status
    }
    expect([await asUid(1, 'payments.service'), await asUid(2, 'payments.service')]).toEqual([200, 200])
    expect(await asUid(3, 'payments.service')).toBe(429)
    expect([await asUid(7, null), await asUid(7, null), await asUid(7, null), await asUid(8, null)]).toEqual([
      200, 200, 429, 200,
    ])
  })
})
