import { connect } from 'node:net'
import { describe, expect, it } from 'vitest'
import { FakeClock } from '../../test/support/fake-clock.ts'
import { RawClient, rawRequest } from '../../test/support/raw-http.ts'
import { openAdminRoom, openRoom, post, request } from '../../test/support/workload-room.ts'
import { workloadApiErrors } from './errors.ts'
import { defaultLimits } from './limits.ts'

/** Numbers of a fast test: what is waited for takes tens of milliseconds. */
const quick = { ...defaultLimits, checkMs: 20 }

async function codeOf(path: string, text: string): Promise<string> {
  const { status, headers, body } = await rawRequest(path, text)
  if (status === 200) return '200'
  expect(headers['content-type']).toBe('application/problem+json')
  const problem = JSON.parse(body)
  expect(problem).toMatchObject({ type: `urn:attestd:problem:${problem.code}`, status })
  expect(problem.request_id).toBe(headers['attestd-request-id'])
  return `${status} ${problem.code}`
}

describe('targets (API-25, API-33)', () => {
  it.each([
    ['GET', '/livez', '200'],
    ['GET', '/livez?', '200'],
    ['GET', '/livez/', '404 not_found'],
    ['GET', '//livez', '404 not_found'],
    ['GET', '/live%7a', '404 not_found'],
    ['GET', '/LIVEZ', '404 not_found'],
    ['GET', '/v1/../livez', '404 not_found'],
    ['GET', '/./livez', '404 not_found'],
    ['GET', '/livez;x=1', '404 not_found'],
    ['GET', '/livez#x', '404 not_found'],
    ['GET', '/livez%3f', '404 not_found'],
    ['GET', '/livez%00', '404 not_found'],
    ['GET', '/', '404 not_found'],
    ['GET', '/v1/token/', '404 not_found'],
    ['GET', '//v1/token', '404 not_found'],
    ['GET', '/v1/%74oken', '404 not_found'],
    ['GET', '/v1/token/x', '404 not_found'],
    ['GET', '/v1/admin/status', '404 not_found'],
    ['POST', '/v1/admin/reload', '404 not_found'],
    ['OPTIONS', '/v1/admin/status', '404 not_found'],
    ['GET', '/metrics', '404 not_found'],
    ['GET', 'http://localhost/livez', '400 invalid_request'],
    ['GET', 'https://localhost/v1/token', '400 invalid_request'],
    ['GET', '*', '400 invalid_request'],
    ['OPTIONS', '*', '405 method_not_allowed'],
    ['OPTIONS', '/v1/token', '405 method_not_allowed'],
    ['PUT', '/v1/token', '405 method_not_allowed'],
    ['DELETE', '/v1/jwks', '405 method_not_allowed'],
    ['PROPFIND', '/v1/token', '405 method_not_allowed'],
    ['QUERY', '/v1/token', '405 method_not_allowed'],
    ['TRACE', '/livez', '405 method_not_allowed'],
    ['GET', '/v1/evidence', '405 method_not_allowed'],
    ['POST', '/livez', '405 method_not_allowed'],
    ['BREW', '/livez', '400 invalid_request'],
  ])('%s %s: %s', async (method, target, expected) => {
    const { path } = await openRoom()
    expect(await codeOf(path, request(method, target))).toBe(expected)
  })

  it('says which methods a route has', async () => {
    const { path } = await openRoom()
    expect((await rawRequest(path, request('PUT', '/v1/token'))).headers['allow']).toBe('GET, HEAD, POST')
    expect((await rawRequest(path, request('OPTIONS', '/v1/evidence'))).headers['allow']).toBe('POST')
    expect((await rawRequest(path, request('OPTIONS', '*'))).headers['allow']).toBe('GET, HEAD, POST')
  })

  it('answers an admin route on the admin listener only (API-02)', async () => {
    const admin = { status: () => ({ here: true }), refresh() {}, invalidate: () => 0, reload: async () => [] }
    const path = await openAdminRoom({ admin })
    expect(await codeOf(path, request('GET', '/v1/admin/status'))).toBe('200')
    expect(await codeOf(path, request('GET', '/v1/token'))).toBe('404 not_found')
    expect(await codeOf(path, request('GET', '/metrics'))).toBe('404 not_found')
  })
})

describe('headers (API-20, API-28 to API-33)', () => {
  it.each([
    'Origin: null',
    'Sec-Fetch-Site: none',
    'Referer: /',
    'X-Forwarded-For: 127.0.0.1',
    'x-forwarded-host: a',
    'Forwarded: for=x',
    'VIA: 1.1 x',
    'Origin:',
  ])('refuses what a browser or proxy sends: %s (API-30)', async (header) => {
    const { path, identifier, provider } = await openRoom()
    expect(await codeOf(path, request('GET', '/livez', [header]))).toBe('403 browser_or_proxy')
    expect(await codeOf(path, request('GET', '/v1/token', [header]))).toBe('403 browser_or_proxy')
    expect(await codeOf(path, request('OPTIONS', '/nowhere', [header]))).toBe('403 browser_or_proxy')
    expect([identifier.checks, provider.asked.length]).toEqual([0, 0])
  })

  it('finds such a header behind any number of others', async () => {
    const { path } = await openRoom({ limits: { ...defaultLimits, headerFields: 3000 } })
    const many = Array.from({ length: 2100 }, (_, at) => `a${at % 10}:`)
    expect(await codeOf(path, request('GET', '/livez', [...many.slice(0, 1000), 'Origin: x']))).toBe(
      '403 browser_or_proxy',
    )
  })

  it.each(['/livez', '/v1/token', '/v1/explain', '/v1/jwks', '/nowhere'])(
    'are complete on %s (API-31)',
    async (target) => {
      const { path } = await openRoom()
      const { headers } = await rawRequest(path, request('GET', target))
      expect(headers['cache-control']).toBe(target === '/v1/jwks' ? 'max-age=60' : 'no-store')
      expect(headers['x-content-type-options']).toBe('nosniff')
      expect(headers['attestd-request-id']).toMatch(/^[a-z2-7]{26}$/)
      expect(headers['content-length']).toMatch(/^[0-9]+$/)
      for (const absent of ['server', 'x-powered-by', 'transfer-encoding', 'access-control-allow-origin']) {
        expect(headers[absent]).toBeUndefined()
      }
    },
  )

  it('takes an id of the caller into the log and never uses it (API-32)', async () => {
    const { path, log } = await openRoom()
    const { headers } = await rawRequest(path, request('GET', '/livez', ['Attestd-Request-Id: mine_1.2-3']))
    expect(headers['attestd-request-id']).toMatch(/^[a-z2-7]{26}$/)
    expect(log.lines.join()).toContain('"caller_request_id":"mine_1.2-3"')
    for (const id of ['', 'a b', 'a'.repeat(65), 'a,b', '"']) {
      const text = request('GET', '/livez', [`Attestd-Request-Id: ${id}`])
      expect(await codeOf(path, text), id).toBe('400 invalid_request')
    }
    const twice = request('GET', '/livez', ['Attestd-Request-Id: a', 'Attestd-Request-Id: b'])
    expect(await codeOf(path, twice)).toBe('400 invalid_request')
    expect(await codeOf(path, request('GET', '/livez', [`Attestd-Request-Id: ${'a'.repeat(64)}`]))).toBe('200')
  })

  it('needs no Host on a Unix socket and ignores what it says (API-29)', async () => {
    const { path } = await openRoom()
    expect(await codeOf(path, request('GET', '/livez'))).toBe('200')
    expect(await codeOf(path, request('GET', '/livez', ['Host: evil.example', 'Host: b']))).toBe('200')
  })

  it('ignores Upgrade and closes on CONNECT (API-20)', async () => {
    const { path } = await openRoom()
    const upgrade = ['Connection: Upgrade, HTTP2-Settings', 'Upgrade: h2c', 'HTTP2-Settings: AAMAAABk']
    expect(await codeOf(path, request('GET', '/livez', upgrade))).toBe('200')
    const client = new RawClient(path).write('CONNECT localhost:1 HTTP/1.1\r\n\r\n')
    expect(await client.rest()).toEqual([])
  })

  it('closes behind an answer to HTTP/1.0 and knows no other versions', async () => {
    const { path } = await openRoom()
    const client = new RawClient(path).write('GET /livez HTTP/1.0\r\nConnection: keep-alive\r\n\r\n')
    const [answer] = await client.restAfter(1)
    expect([answer?.status, answer?.headers['connection']]).toEqual([200, 'close'])
    for (const version of ['HTTP/0.9', 'HTTP/2.0', 'HTTP/1.2', 'HTTP/3', 'http/1.1']) {
      expect(await codeOf(path, `GET /livez ${version}\r\n\r\n`), version).toBe('400 invalid_request')
    }
    expect(await codeOf(path, 'GET /livez\r\n\r\n')).toBe('400 invalid_request')
    expect(await codeOf(path, 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n')).toBe('400 invalid_request')
  })

  it('refuses expectations other than 100-continue, and honours that', async () => {
    const { path } = await openRoom()
    expect(await codeOf(path, request('GET', '/livez', ['Expect: 200-maybe']))).toBe('400 invalid_request')
    const client = new RawClient(path)
    client.write('POST /v1/token HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n')
    while (!client.received.includes('100 Continue'))
      await new Promise((resolve) => client.socket.once('data', resolve))
    const [answer] = await client.write('{}').answers(1)
    expect(answer?.status).toBe(200)
    client.destroy()
    const tooLarge = new RawClient(path)
    tooLarge.write('POST /v1/token HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 16385\r\n\r\n')
    expect((await tooLarge.restAfter(1)).map(({ status }) => status)).toEqual([413])
    expect(tooLarge.received).not.toContain('100 Continue')
  })
})

describe('sizes at n and n + 1 (API-21)', () => {
  it('8 KiB of request line and headers', async () => {
    const { path } = await openRoom()
    const fixed = request('GET', '/livez', ['A: ']).length
    const sized = (bytes: number) => request('GET', '/livez', [`A: ${'x'.repeat(bytes - fixed)}`])
    expect(sized(8192)).toHaveLength(8192)
    expect(await codeOf(path, sized(8192))).toBe('200')
    expect(await codeOf(path, sized(8193))).toBe('431 header_too_large')
    expect(await codeOf(path, sized(20_000))).toBe('431 header_too_large')
  })

  it('32 header fields', async () => {
    const { path } = await openRoom()
    const fields = (count: number) => Array.from({ length: count }, (_, at) => `A${at}: x`)
    expect(await codeOf(path, request('GET', '/livez', fields(32)))).toBe('200')
    expect(await codeOf(path, request('GET', '/livez', fields(33)))).toBe('431 header_too_large')
    expect(await codeOf(path, request('GET', '/livez', Array(33).fill('A: x')))).toBe('431 header_too_large')
  })

  it('4 KiB of path and query', async () => {
    const { path } = await openRoom()
    const target = (bytes: number) => `/livez?${'x'.repeat(bytes - '/livez?'.length)}`
    expect(await codeOf(path, request('GET', target(4096)))).toBe('200')
    expect(await codeOf(path, request('GET', target(4097)))).toBe('414 uri_too_long')
    expect(await codeOf(path, request('GET', `/${'x'.repeat(4095)}`))).toBe('404 not_found')
    expect(await codeOf(path, request('GET', `/${'x'.repeat(4096)}`))).toBe('414 uri_too_long')
  })

  const bodyOf = (bytes: number) => `{"audience":"https://a.example"}${' '.repeat(bytes - 32)}`

  it('16 KiB of body, announced', async () => {
    const { path } = await openRoom()
    expect(bodyOf(16_384)).toHaveLength(16_384)
    expect(await codeOf(path, post('/v1/token', bodyOf(16_384)))).toBe('200')
    expect(await codeOf(path, post('/v1/token', bodyOf(16_385)))).toBe('413 body_too_large')
    const head = 'POST /v1/token HTTP/1.1\r\nContent-Length: 999999999999\r\n\r\n'
    const client = new RawClient(path).write(head)
    expect((await client.restAfter(1)).map(({ status }) => status)).toEqual([413])
  })

  it('16 KiB of body, counted', async () => {
    const { path } = await openRoom()
    const chunked = (body: string) =>
      `POST /v1/token HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n${body.length.toString(16)}\r\n${body}\r\n0\r\n\r\n`
    expect(await codeOf(path, chunked(bodyOf(16_384)))).toBe('200')
    expect(await codeOf(path, chunked(bodyOf(16_385)))).toBe('413 body_too_large')
    const endless = new RawClient(path).write('POST /v1/token HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n')
    for (let at = 0; at < 64; at++) endless.write(`400\r\n${'x'.repeat(0x400)}\r\n`)
    expect((await endless.restAfter(1)).map(({ status, headers }) => [status, headers['connection']])).toEqual([
      [413, 'close'],
    ])
  })

  it('is answered although the client is still sending', async () => {
    const { path } = await openRoom()
    const client = new RawClient(path).write(`POST /v1/token HTTP/1.1\r\nContent-Length: ${10 << 20}\r\n\r\n`)
    client.write('x'.repeat(10 << 20))
    expect((await client.restAfter(1)).map(({ status }) => status)).toEqual([413])
  })

  it('nesting and members of JSON', async () => {
    const { path } = await openRoom()
    const nested = (depth: number) => `${'{"a":'.repeat(depth)}1${'}'.repeat(depth)}`
    const detail = async (body: string) => JSON.parse((await rawRequest(path, post('/v1/token', body))).body).detail
    expect(await detail(nested(8))).toContain('not members of this request')
    expect(await detail(nested(9))).toContain('nested deeper than 8')
    const members = (count: number) => `{${Array.from({ length: count }, (_, at) => `"m${at}":1`).join()}}`
    expect(await detail(members(32))).toContain('not members of this request')
    expect(await detail(members(33))).toContain('more than 32')
  })
})

describe('messages that are no HTTP/1.1 (API-28)', () => {
  it.each([
    ['bare LF', 'GET /livez HTTP/1.1\nA: b\n\n'],
    ['bare LF behind a field', 'GET /livez HTTP/1.1\r\nA: b\nC: d\r\n\r\n'],
    ['bare LF at the end', 'GET /livez HTTP/1.1\r\nA: b\r\n\n'],
    ['bare CR', 'GET /livez HTTP/1.1\r\nA: b\rC: d\r\n\r\n'],
    ['NUL in a value', 'GET /livez HTTP/1.1\r\nA: \0\r\n\r\n'],
    ['space before the colon', 'GET /livez HTTP/1.1\r\nA : b\r\n\r\n'],
    ['folded field', 'GET /livez HTTP/1.1\r\nA: b\r\n c\r\n\r\n'],
    ['no colon', 'GET /livez HTTP/1.1\r\nA\r\n\r\n'],
    ['both lengths', 'POST /v1/token HTTP/1.1\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n{}'],
    [
      'both lengths, other order',
      'POST /v1/token HTTP/1.1\r\nTransfer-Encoding: chunked\r\nContent-Length: 2\r\n\r\n{}',
    ],
    ['two lengths', 'POST /v1/token HTTP/1.1\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}'],
    ['the same length twice', 'POST /v1/token HTTP/1.1\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\n{}'],
    ['a list of lengths', 'POST /v1/token HTTP/1.1\r\nContent-Length: 2, 2\r\n\r\n{}'],
    ['negative length', 'POST /v1/token HTTP/1.1\r\nContent-Length: -2\r\n\r\n{}'],
    ['length with a sign', 'POST /v1/token HTTP/1.1\r\nContent-Length: +2\r\n\r\n{}'],
    ['length beyond 64 bits', 'POST /v1/token HTTP/1.1\r\nContent-Length: 18446744073709551616\r\n\r\n{}'],
    ['unknown transfer coding', 'POST /v1/token HTTP/1.1\r\nTransfer-Encoding: identity\r\n\r\n{}'],
    ['chunk size without digits', 'POST /v1/token HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n{}\r\n0\r\n\r\n'],
    ['chunk size with LF', 'POST /v1/token HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n2\n{}\r\n0\r\n\r\n'],
    ['TLS', '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03'],
    ['high bytes in the target', 'GET /liv\xe9z HTTP/1.1\r\n\r\n'],
    ['tab in the target', 'GET /livez\t HTTP/1.1\r\n\r\n'],
  ])('%s: 400, and the connection is closed', async (_, text) => {
    const { path, provider } = await openRoom()
    const answers = await new RawClient(path).write(text).restAfter(1)
    expect(answers.map(({ status, headers }) => [status, headers['connection']])).toEqual([[400, 'close']])
    expect(JSON.parse(answers[0]?.body ?? '').code).toBe('invalid_request')
    expect(provider.asked).toEqual([])
  })

  it('answers what came whole before the broken message, in order', async () => {
    const { path } = await openRoom()
    const client = new RawClient(path).write(`${request('GET', '/v1/token')}${request('GET', '/livez')}G\n`)
    expect((await client.restAfter(3)).map(({ status }) => status)).toEqual([200, 200, 400])
  })

  it('ignores what comes behind a request that closes', async () => {
    const { path } = await openRoom()
    const text = request('GET', '/livez', ['Connection: close']) + request('GET', '/v1/token')
    expect((await new RawClient(path).write(text).restAfter(1)).map(({ status }) => status)[0]).toBe(200)
  })
})

describe('bodies and queries (API-26, API-27)', () => {
  it('a GET, a HEAD and a DELETE have none', async () => {
    const { path } = await openRoom()
    for (const method of ['GET', 'HEAD']) {
      const client = new RawClient(path, method === 'HEAD').write(request(method, '/v1/token', [], '{}'))
      expect((await client.restAfter(1)).map(({ status }) => status)).toEqual([400])
    }
    const chunked = request('GET', '/v1/token', ['Transfer-Encoding: chunked'])
    expect(await codeOf(path, chunked)).toBe('400 invalid_request')
    expect(await codeOf(path, request('GET', '/v1/token', ['Content-Length: 0']))).toBe('200')
    expect(await codeOf(path, request('DELETE', '/v1/token', [], '{}'))).toBe('405 method_not_allowed')
  })

  it.each([
    ['application/json', '200'],
    ['application/json; charset=utf-8', '200'],
    ['Application/JSON;x=y', '200'],
    ['text/json', '415 unsupported_media_type'],
    ['application/jsonp', '415 unsupported_media_type'],
    ['application/json, text/plain', '415 unsupported_media_type'],
    ['application/x-www-form-urlencoded', '415 unsupported_media_type'],
    ['', '415 unsupported_media_type'],
  ])('Content-Type %j: %s', async (type, expected) => {
    const { path } = await openRoom()
    expect(await codeOf(path, post('/v1/token', {}, [`Content-Type: ${type}`]))).toBe(expected)
  })

  it('refuses two content types, and a POST without an object', async () => {
    const { path } = await openRoom()
    const twice = ['Content-Type: application/json', 'Content-Type: application/json']
    expect(await codeOf(path, post('/v1/token', {}, twice))).toBe('400 invalid_request')
    for (const body of ['', '[]', 'null', '"x"', '1', '{}{}', '\u00ef\u00bb\u00bf{}']) {
      expect(await codeOf(path, request('POST', '/v1/token', [], body)), body).toBe('400 invalid_request')
    }
  })
})

describe('time (API-22)', () => {
  const timed = { limits: { ...quick, headersMs: 60, bodyMs: 100_000, idleMs: 60 } }

  it.each([
    ['nothing', ''],
    ['half a request line', 'GET /li'],
    ['headers without an end', 'GET /livez HTTP/1.1\r\nA: b\r\n'],
  ])('%s: 408 and closed', async (_, text) => {
    const { path } = await openRoom(timed)
    const answers = await new RawClient(path).write(text).restAfter(1)
    expect(answers.map(({ status, headers }) => [status, headers['connection']])).toEqual([[408, 'close']])
    expect(JSON.parse(answers[0]?.body ?? '')).toMatchObject({ code: 'request_timeout', retryable: true })
  })

  it('closes an idle connection without a word', async () => {
    const { path } = await openRoom({ limits: { ...timed.limits, headersMs: 100_000 } })
    const answers = await new RawClient(path).write(request('GET', '/livez')).rest()
    expect(answers.map(({ status }) => status)).toEqual([200])
  })

  it('gives a body 10 s and not a moment more', async () => {
    const clock = new FakeClock()
    const { path, provider } = await openRoom({ clock, limits: { headersMs: 100_000, bodyMs: 10_000 } })
    const client = new RawClient(path).write('POST /v1/token HTTP/1.1\r\nContent-Length: 2\r\n\r\n{')
    // The server's own check for stalled writers, and this body.
    while (clock.sleeping < 2) await clock.advance(0)
    await clock.advance(9_999)
    expect(client.received).toBe('')
    await clock.advance(1)
    expect((await client.restAfter(1)).map(({ status }) => status)).toEqual([408])
    expect(provider.asked).toEqual([])
  })

  it('drops a peer that does not read', async () => {
    const clock = new FakeClock()
    const { path, provider } = await openRoom({ clock })
    provider.answer = async () => ({ token: `a.${'b'.repeat(1 << 20)}.c` })
    const socket = connect(path).pause()
    socket.on('error', () => undefined)
    const closed = new Promise((resolve) => socket.once('close', resolve))
    socket.write(request('GET', '/v1/token'))
    while (provider.asked.length === 0) await clock.advance(0)
    await clock.advance(9_000)
    expect(socket.destroyed).toBe(false)
    await clock.advance(2_000)
    socket.resume()
    await closed
    expect(socket.bytesRead).toBeLessThan(1 << 20)
  })
})

describe('the end of a peer (API-34)', () => {
  it('cancels the waiter and drops and counts the late token when the connection is closed (API-35)', async () => {
    const clock = new FakeClock()
    const { path, provider, events } = await openRoom({ clock })
    let release: () => void = () => undefined
    provider.answer = () => new Promise((resolve) => (release = () => resolve({})))
    const client = new RawClient(path).write(request('GET', '/v1/token'))
    while (provider.asked.length === 0) await clock.advance(0)
    client.destroy()
    while (!provider.asked[0]?.signal.aborted) await clock.advance(50)
    release()
    await clock.advance(100)
    expect(events.filter(({ event }) => event === 'answered')).toEqual([])
    expect(events.filter(({ event }) => event === 'late_result_dropped')).toHaveLength(1)
  })

  it('answers at once what a half-closed peer asked, then closes', async () => {
    const { path } = await openRoom()
    const client = new RawClient(path).write(request('GET', '/livez') + request('GET', '/v1/token')).half()
    expect((await client.rest()).map(({ status }) => status)).toEqual([200, 200])
  })

  it('does not keep a waiter for a half-closed peer', async () => {
    const clock = new FakeClock()
    const { path, provider } = await openRoom({ clock })
    let aborted = false
    provider.answer = (_, signal) =>
      new Promise((_resolve, reject) => {
        signal.addEventListener('abort', () => {
          aborted = true
          reject(signal.reason)
        })
      })
    const client = new RawClient(path).write(request('GET', '/v1/token')).half()
    while (provider.asked.length === 0) await clock.advance(0)
    while (!aborted) await clock.advance(50)
    expect(await client.rest()).toEqual([])
  })

  it('closes a peer that half-closes inside a request', async () => {
    const { path } = await openRoom()
    for (const text of ['', 'GET /livez HTT', 'POST /v1/token HTTP/1.1\r\nContent-Length: 9\r\n\r\n{']) {
      const client = new RawClient(path).write(text).half()
      await client.closed
      expect(client.received).not.toContain('200')
    }
  })
})

it('declares every code of the API with a title that begins in lower case and a remedy', () => {
  for (const [code, { title, remedy }] of Object.entries(workloadApiErrors.declared)) {
    expect(code).toMatch(/^[a-z_]+$/)
    expect(title).toMatch(/^[a-z]/)
    expect(remedy.length).toBeGreaterThan(10)
  }
})
