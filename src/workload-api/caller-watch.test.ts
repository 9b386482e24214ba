import { describe, expect, it } from 'vitest'
import { AttestdError } from '../../src/base/errors.ts'
import { FakeClock } from '../../test/support/fake-clock.ts'
import { RawClient, rawRequest } from '../../test/support/raw-http.ts'
import { openRoom, policyFrom, request, someone } from '../../test/support/workload-room.ts'

const codeOf = (body: string) => JSON.parse(body).code
const failure = (code: string) => new AttestdError(code, { kind: 'unavailable', title: 'x', remedy: 'y' }, 'z')
const probe = request('GET', '/livez')
const token = request('GET', '/v1/token')

describe('who is calling (API-40 to API-57)', () => {
  it('is looked up once a connection, at accept, and checked at receipt and at answer of each request', async () => {
    const { path, identifier } = await openRoom()
    const client = new RawClient(path)
    await client.write(probe).answers(1)
    expect([identifier.identified, identifier.checks]).toEqual([1, 0])
    await client.write(token).answers(2)
    expect([identifier.identified, identifier.checks]).toEqual([1, 2])
    await client.write(token).answers(3)
    expect([identifier.identified, identifier.checks]).toEqual([1, 4])
    client.destroy()
  })

  it('is held for as long as the connection lives', async () => {
    const { path, identifier } = await openRoom()
    const client = new RawClient(path)
    await client.write(token).answers(1)
    expect(identifier.open).toBe(1)
    client.half()
    await client.closed
    while (identifier.open > 0) await new Promise((resolve) => setImmediate(resolve))
  })

  it.each(['caller_gone', 'caller_changed'] as const)('%s at receipt: 401, closed, no work', async (state) => {
    const { path, identifier, provider } = await openRoom()
    identifier.state = state
    const answers = await new RawClient(path).write(token + token).restAfter(1)
    expect(answers.map(({ status, headers, body }) => [status, headers['connection'], codeOf(body)])).toEqual([
      [401, 'close', state],
    ])
    expect(provider.asked).toEqual([])
  })

  it.each(['caller_gone', 'caller_changed'] as const)('%s while the token was obtained: no token', async (state) => {
    const { path, identifier, provider } = await openRoom()
    provider.answer = async () => {
      identifier.state = state
      return {}
    }
    const client = new RawClient(path).write(token)
    expect((await client.restAfter(1)).map(({ status, body }) => [status, codeOf(body)])).toEqual([[401, state]])
    expect(client.received).not.toContain('eyJ')
  })

  it.each(['/v1/jwks', '/v1/explain'])('a caller that is gone gets no answer from %s either', async (target) => {
    const { path, identifier } = await openRoom()
    identifier.check = async () => (identifier.checks === 1 ? 'there' : 'caller_gone')
    expect((await rawRequest(path, request('GET', target))).status).toBe(401)
  })

  it('a user that the kernel does not name any more over TCP: 403, closed, no work (API-54)', async () => {
    const { path, identifier, provider } = await openRoom()
    identifier.state = 'caller_unidentified'
    const answers = await new RawClient(path).write(token + token).restAfter(1)
    expect(answers.map(({ status, headers, body }) => [status, headers['connection'], codeOf(body)])).toEqual([
      [403, 'close', 'caller_unidentified'],
    ])
    expect(provider.asked).toEqual([])
  })

  it.each([
    ['caller_gone', 401, 'caller_gone'],
    ['caller_changed', 401, 'caller_changed'],
    ['identity_unavailable', 503, 'identity_unavailable'],
    ['SOMETHING_ELSE', 503, 'identity_unavailable'],
  ])('a look-up that fails with %s: %i %s, closed', async (thrown, status, code) => {
    const { path, identifier, provider } = await openRoom()
    identifier.next = async () => {
      throw failure(thrown)
    }
    const answers = await new RawClient(path).write(token).restAfter(1)
    expect(answers.map((answer) => [answer.status, codeOf(answer.body)])).toEqual([[status, code]])
    expect(provider.asked).toEqual([])
  })

  it('a look-up that does not end within 250 ms is a 503, and its late result is closed', async () => {
    const clock = new FakeClock()
    const { path, identifier } = await openRoom({ clock })
    let release: () => void = () => undefined
    identifier.next = () => new Promise((resolve) => (release = () => resolve(someone)))
    const client = new RawClient(path).write(token)
    while (identifier.identified === 0) await clock.advance(0)
    await clock.advance(249)
    expect(client.received).toBe('')
    await clock.advance(1)
    const [answer] = await client.restAfter(1)
    expect([answer?.status, JSON.parse(answer?.body ?? '')]).toMatchObject([
      503,
      { code: 'identity_unavailable', retryable: true },
    ])
    release()
    await clock.advance(0)
    expect(identifier.open).toBe(0)
  })

  it('a check that does not end within 250 ms is a 503', async () => {
    const clock = new FakeClock()
    const { path, identifier, provider } = await openRoom({ clock })
    identifier.check = () => new Promise(() => undefined)
    const client = new RawClient(path).write(token)
    while (identifier.checks === 0) await clock.advance(0)
    await clock.advance(250)
    expect((await client.restAfter(1)).map(({ status }) => status)).toEqual([503])
    expect(provider.asked).toEqual([])
  })

  it.each(['/livez', '/readyz'])('%s needs neither an identity nor a rule (API-62)', async (target) => {
    const { path, identifier } = await openRoom({ policy: policyFrom([]) })
    expect((await rawRequest(path, request('GET', target))).status).toBe(200)
    expect((await rawRequest(path, token)).status).toBe(403)
    identifier.next = () => Promise.reject(failure('caller_gone'))
    expect((await rawRequest(path, request('GET', target))).status).toBe(200)
  })

  it('one slow look-up delays no other connection', async () => {
    const { path, identifier } = await openRoom()
    identifier.next = () => new Promise(() => undefined)
    const slow = new RawClient(path).write(token)
    await new Promise((resolve) => slow.socket.once('connect', resolve))
    while (identifier.identified === 0) await new Promise((resolve) => setImmediate(resolve))
    identifier.next = async () => someone
    expect((await rawRequest(path, token)).status).toBe(200)
    slow.destroy()
  })
})
