import { once } from 'node:events'
import { describe, expect, it } from 'vitest'
import {
  type AdministrationSpec,
  makeLocalAdministration,
  serveAdministration,
} from '../../../test/support/local-administration.ts'
import { RawClient } from '../../../test/support/raw-http.ts'

/** What the server of the administration bounds, refuses by itself, and does when it ends. */

const ask = async (method: 'GET' | 'HEAD' | 'POST' | 'PUT', url: string, payload = '', type = 'application/json') => {
  const { app, bugs } = makeLocalAdministration({ metrics: async () => '# EOF\n' })
  const answer = await app.inject({ method, url, headers: { 'content-type': type }, payload })
  await app.close()
  return { status: answer.statusCode, headers: answer.headers, problem: answer.body, bugs }
}

describe('the server of the administration', () => {
  it('bounds connections, heads and the time that both have', async () => {
    const { app } = makeLocalAdministration()
    const { maxConnections, headersTimeout, requestTimeout } = app.server
    expect({ maxConnections, headersTimeout, requestTimeout }).toEqual({
      ...{ maxConnections: 32, headersTimeout: 10_000, requestTimeout: 10_000 },
    })
    await app.close()
  })

  it.each(['/v1/admin/%', `/v1/admin/policies/id:${'x'.repeat(300)}`])(
    'refuses %s in words of its own',
    async (url) => {
      const { status, problem, bugs } = await ask('GET', url)
      expect([status, JSON.parse(problem), bugs]).toMatchObject([
        ...[400, { code: 'ADMINISTRATION_REQUEST_INVALID', detail: 'the request cannot be read' }, []],
      ])
    },
  )

  it.each(['/status', '/metrics', '/signers', '/policies/id:a/versions/1'])(
    'refuses a parameter of GET %s that means nothing',
    async (path) => {
      const { status, problem } = await ask('GET', `/v1/admin${path}?x=1`)
      expect([status, JSON.parse(problem).field]).toEqual([400, 'x'])
    },
  )

  it('changes nothing where a parameter means nothing', async () => {
    const { status, problem } = await ask('PUT', '/v1/admin/policies/id:a?draft=1', 'x', 'text/plain')
    expect([status, JSON.parse(problem).field]).toEqual([400, 'draft'])
  })

  it('has metrics of their media type, and no HEAD beside a GET', async () => {
    const { headers } = await ask('GET', '/v1/admin/metrics')
    expect(headers['content-type']).toBe('application/openmetrics-text; version=1.0.0; charset=utf-8')
    expect((await ask('HEAD', '/v1/admin/status')).status).toBe(404)
  })

  it('takes no longer body where there is nothing than where there is something (POL-902)', async () => {
    const statusOf = async (size: number, path = '/policies/id:a/reset') =>
      (await ask('POST', `/v1/admin${path}`, JSON.stringify({ jws: 'x'.repeat(size - 10) }))).status
    expect([await statusOf(266_240), await statusOf(266_241)]).toEqual([404, 413])
    expect([await statusOf(1_000, '/nothing'), await statusOf(266_241, '/nothing')]).toEqual([404, 413])
  })
})

const put = (length: number) =>
  `PUT /v1/admin/policies/id:a HTTP/1.1\r\nHost: v\r\nContent-Type: text/plain\r\nContent-Length: ${length}\r\n\r\n`
const status = 'GET /v1/admin/status HTTP/1.1\r\nHost: v\r\n\r\n'

describe('who hangs up', () => {
  it('in the middle of a body is no bug', async () => {
    let begun = () => {}
    const hasBegun = new Promise<void>((resolve) => (begun = resolve))
    const { path, bugs, ended, end } = await serveAdministration({
      actor: (socket) => {
        socket.once('close', () => setImmediate(begun))
        setImmediate(() => client.destroy())
        return 'ann'
      },
    })
    const client = new RawClient(path)
    client.write(`${put(100)}x`)
    await hasBegun
    end()
    await ended
    expect(bugs).toEqual([])
  })
})

describe('an administration that ends', () => {
  /** Its answer to the status waits for the test. */
  async function waiting(graceMs: number | null) {
    let [goOn, begun] = [() => {}, () => {}]
    const [mayGoOn, hasBegun] = [new Promise<void>((r) => (goOn = r)), new Promise<void>((r) => (begun = r))]
    const answer = async () => {
      begun()
      await mayGoOn
      return { ready: false }
    }
    const { clock } = makeLocalAdministration()
    const grace = graceMs === null ? {} : { grace: { ms: graceMs, clock } }
    const spec: AdministrationSpec = { status: answer, ...grace }
    return { ...(await serveAdministration(spec)), goOn, hasBegun, graceClock: clock }
  }

  it('answers who waits, within its grace, and keeps nobody else', async () => {
    const { path, ended, end, goOn, hasBegun } = await waiting(60_000)
    const [client, idle, late] = [new RawClient(path), new RawClient(path), new RawClient(path)]
    idle.write('GET /v1/admin/signers HTTP/1.1\r\nHost: v\r\n\r\n')
    late.write('GET /v1/admin/signers HTTP/1.1\r\n')
    await idle.answers(1)
    client.write(status)
    await hasBegun
    end()
    await new Promise((wake) => setImmediate(wake))
    late.write('Host: v\r\n\r\n')
    expect((await late.answers(1))[0]?.status).toBe(200)
    goOn()
    expect((await client.answers(1))[0]).toMatchObject({ status: 200, headers: { connection: 'close' } })
    await ended
    await Promise.all([client.closed, idle.closed, late.closed])
  })

  it('cuts who waits when its grace is over', async () => {
    const { path, ended, end, hasBegun, graceClock } = await waiting(5_000)
    const client = new RawClient(path).write(status)
    await hasBegun
    end()
    await graceClock.advance(5_000)
    await ended
    await client.closed
    expect(client.received).toBe('')
  })

  it('waits for nobody where there is no grace', async () => {
    const { path, ended, end, hasBegun } = await waiting(null)
    const client = new RawClient(path).write(status)
    await once(client.socket, 'connect')
    await hasBegun
    end()
    await ended
    await client.closed
  })
})
