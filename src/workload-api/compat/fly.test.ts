import { describe, expect, it } from 'vitest'
import { RawClient, rawRequest } from '../../../test/support/raw-http.ts'
import { openSurface } from '../../../test/support/surface-room.ts'
import { post, request, someone } from '../../../test/support/workload-room.ts'
import { fly } from './fly.ts'

const open = (defaultAudience: string | null = 'https://c.example', issuer: string | null = null) =>
  openSurface(fly({ defaultAudience, issuer }))
const route = '/v1/tokens/oidc'
const audienceOf = (token: string) => JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString()).aud

describe('the token route of Fly (API-151)', () => {
  it.each<[string, string, string]>([
    ['an audience', post(route, { aud: 'https://a.example' }), 'https://a.example'],
    ['an empty object', post(route, {}), 'https://c.example'],
    ['no body', request('POST', route, ['Content-Length: 0']), 'https://c.example'],
    [
      'a form, as curl -d declares it',
      post(route, { aud: 'urn:x:1' }, ['Content-Type: application/x-www-form-urlencoded']),
      'urn:x:1',
    ],
  ])('gives a bare token as text for %s', async (_, text, audience) => {
    const { path } = await open()
    const { status, headers, body } = await rawRequest(path, text)
    expect([status, headers['content-type']]).toEqual([200, 'text/plain; charset=utf-8'])
    expect(body).toMatch(/^[\w.-]+$/)
    expect(audienceOf(body)).toEqual([audience])
  })

  it('takes the native default audience, and the issuer that is configured', async () => {
    const { path, provider } = await open(null, 'remote')
    await rawRequest(path, post(route, {}))
    expect(provider.asked[0]?.request).toMatchObject({ audience: ['https://a.example'], issuer: 'remote' })
  })

  it.each<[string, string, number, string]>([
    ['another member', post(route, { aud: 'urn:x:1', ttl: 60 }), 400, 'invalid_request'],
    ['no JSON', post(route, 'aud=urn:x:1'), 400, 'invalid_request'],
    ['a list', post(route, { aud: ['urn:x:1'] }), 400, 'invalid_request'],
    ['an empty audience', post(route, { aud: '' }), 400, 'invalid_request'],
    ['an audience of 513 bytes', post(route, { aud: `urn:x:${'y'.repeat(507)}` }), 400, 'invalid_request'],
    ['a query', post(`${route}?aud=urn:x:1`, {}), 400, 'invalid_request'],
    ['GET', request('GET', route), 405, 'method_not_allowed'],
    ['another path', post('/v1/tokens', {}), 404, 'not_found'],
    ['policy', post(route, { aud: 'https://b.example' }), 403, 'policy_denied'],
    ['a proxy', post(route, {}, ['Via: 1.1 x']), 403, 'browser_or_proxy'],
    ['a large body', post(route, 'x'.repeat(16_385)), 413, 'body_too_large'],
  ])('answers %s with an error in JSON (API-123)', async (_, text, status, code) => {
    const { path, provider } = await open()
    const answer = await rawRequest(path, text)
    expect([answer.status, answer.headers['attestd-error'], answer.headers['content-type']]).toEqual([
      ...[status, code, 'application/json'],
    ])
    expect(Object.keys(JSON.parse(answer.body))).toEqual(['error'])
    expect(provider.asked).toEqual([])
  })

  it('takes an audience of 512 bytes', async () => {
    const { path } = await open()
    expect((await rawRequest(path, post(route, { aud: `urn:x:${'y'.repeat(506)}` }))).status).toBe(200)
  })

  it('gives no caller the audience of another, on one connection and sent ahead', async () => {
    const { path, identifier, provider } = await open()
    const both = post(route, { aud: 'https://a.example' }) + post(route, { aud: 'https://b.example' })
    const a = new RawClient(path).write(both)
    expect((await a.answers(2)).map(({ status }) => status)).toEqual([200, 403])
    identifier.next = async () => ({ ...someone, uid: 1002, listener: 'fly' })
    const b = new RawClient(path).write(both)
    expect((await b.answers(2)).map(({ status }) => status)).toEqual([403, 200])
    expect(provider.asked.map(({ request: { audience } }) => audience[0])).toEqual([
      'https://a.example',
      'https://b.example',
    ])
    for (const client of [a, b]) client.destroy()
  })
})
