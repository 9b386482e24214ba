import { describe, expect, it } from 'vitest'
import { drawSecrets, openTcpSurface } from '../../../test/support/tcp-surface-room.ts'
import { github } from './github.ts'

const { texts, secrets } = drawSecrets('ci', 'web')
const settings = { defaultAudience: 'https://a.example', issuer: null, secrets }
const bearer = (secret = texts.ci) => [`Authorization: Bearer ${secret}`]
const url = '/gha/token?v=1'
const c = '&audience=https%3A%2F%2Fc.example'

describe('the token request of GitHub Actions (API-150)', () => {
  it.each([
    ['', 'https://a.example'],
    [c, 'https://c.example'],
    ['&audience=urn:x:1+1', 'urn:x:1 1'],
  ])('with %j names the audience %s', async (more, audience) => {
    const { ask, provider } = await openTcpSurface(github(settings))
    const { status, headers, body } = await ask(url + more, bearer())
    expect([status, headers['content-type'], headers['cache-control']]).toEqual([200, 'application/json', 'no-store'])
    const asked = provider.asked.map(({ request }) => request)
    expect(asked.map((one) => one.audience)).toEqual([[audience]])
    expect(JSON.parse(body)).toEqual({ count: 1, value: asked[0] && provider.tokenFor(asked[0]).token })
  })

  it('asks the issuer of the surface, and the native default without one of its own', async () => {
    const { ask, provider } = await openTcpSurface(github({ ...settings, defaultAudience: null, issuer: 'remote' }))
    expect((await ask(url, bearer())).status).toBe(200)
    expect(provider.asked[0]?.request).toMatchObject({ issuer: 'remote', audience: ['https://a.example'] })
  })

  it.each([
    ['no secret', []],
    ['an empty one', ['Authorization:']],
    ['a wrong one', [`Authorization: Bearer ${'A'.repeat(43)}`]],
    ['one cut short', [`Authorization: Bearer ${texts.ci.slice(0, -1)}`]],
    ['another scheme', [`Authorization: Basic ${texts.ci}`]],
    ['no scheme', [`Authorization: ${texts.ci}`]],
    ['the right one twice', [...bearer(), ...bearer()]],
    ['the right one before a wrong one', [...bearer(), 'Authorization: Bearer x']],
    ['a wrong one before the right one', ['Authorization: Bearer x', ...bearer()]],
    ['the right one in another header', [`X-Authorization: Bearer ${texts.ci}`]],
  ])('with %s is 401, before policy and query', async (_what, headers) => {
    const { ask, provider, log, callAs } = await openTcpSurface(github(settings))
    for (const uid of [1001, 1002]) {
      callAs(uid)
      for (const target of [url, `${url}&no=1`]) {
        const answer = await ask(target, headers)
        expect([answer.status, answer.headers['attestd-error']]).toEqual([401, 'consumer_unknown'])
        expect(Object.keys(JSON.parse(answer.body))).toEqual(['message'])
        expect(answer.body + log.lines.join()).not.toContain(texts.ci.slice(0, 12))
      }
    }
    expect(provider.asked).toEqual([])
  })

  it.each([
    ['an audience that no rule allows', `${url}&audience=https://b.example`, 403, 'policy_denied'],
    ['an empty audience', `${url}&audience=`, 400, 'invalid_request'],
    ['two audiences', `${url}${c}${c}`, 400, 'invalid_request'],
    ['a parameter that is not known', `${url}&aud=x`, 400, 'invalid_request'],
    ['a bad encoding', `${url}&audience=%zz`, 400, 'invalid_request'],
    ['another path', '/gha/token/', 404, 'not_found'],
    ['the native path', '/v1/token', 404, 'not_found'],
  ])('with %s is refused, with a message for the client', async (_what, target, status, code) => {
    const { ask, provider } = await openTcpSurface(github(settings))
    const answer = await ask(target, bearer())
    expect([answer.status, answer.headers['attestd-error']]).toEqual([status, code])
    expect(JSON.parse(answer.body)).toEqual({ message: expect.any(String) })
    expect(provider.asked).toEqual([])
  })

  it('is decided by the user of the connection, whosever secret it brings (API-121)', async () => {
    const { ask, callAs } = await openTcpSurface(github(settings))
    callAs(1002)
    expect((await ask(url + c, bearer())).status).toBe(403)
    expect((await ask(`${url}&audience=https://b.example`, bearer(texts.web))).status).toBe(200)
    callAs(1003)
    expect((await ask(url, bearer())).headers['attestd-error']).toBe('policy_denied')
    callAs(null)
    expect((await ask(url, bearer())).headers['attestd-error']).toBe('caller_unidentified')
  })

  it.each([
    ['POST', 405, 'method_not_allowed'],
    ['OPTIONS', 405, 'method_not_allowed'],
  ])('with %s is refused', async (method, status, code) => {
    const { ask } = await openTcpSurface(github(settings))
    const answer = await ask(url, bearer(), method)
    expect([answer.status, answer.headers['attestd-error']]).toEqual([status, code])
  })

  it('with HEAD fetches nothing (API-33)', async () => {
    const { ask, provider } = await openTcpSurface(github(settings))
    expect((await ask(url, bearer(), 'HEAD')).status).toBe(200)
    expect(provider.asked).toEqual([])
    expect((await ask(url, [], 'HEAD')).status).toBe(401)
  })
})
