import { describe, expect, it } from 'vitest'
import { drawSecrets, openTcpSurface } from '../../../test/support/tcp-surface-room.ts'
import { gcpUrl } from './gcp-url.ts'

const { texts, secrets } = drawSecrets('shop', 'web')
const audiences = new Map([
  ['shop', 'https://a.example'],
  ['web', 'https://b.example'],
])
const settings = { audiences, issuer: null, secrets }
const bearer = (secret = texts.shop) => [`Authorization: Bearer ${secret}`]

describe('the URL source of credentials of Google Cloud (API-157)', () => {
  it('gives each consumer a token for its audience', async () => {
    const { ask, callAs, provider } = await openTcpSurface(gcpUrl(settings))
    const shop = await ask('/gcp/shop', bearer())
    callAs(1002)
    const web = await ask('/gcp/web', bearer(texts.web))
    expect([shop.status, web.status, shop.headers['content-type']]).toEqual([200, 200, 'application/json'])
    const asked = provider.asked.map(({ request }) => request)
    expect(asked.map(({ audience }) => audience)).toEqual([['https://a.example'], ['https://b.example']])
    const tokens = asked.map((request) => ({ id_token: provider.tokenFor(request).token }))
    expect([shop, web].map(({ body }) => JSON.parse(body))).toEqual(tokens)
  })

  it.each([
    ['no secret', '/gcp/shop', []],
    ['the secret of another consumer', '/gcp/shop', bearer(texts.web)],
    ['a name that nobody has', '/gcp/nobody', bearer()],
    ['the secret twice', '/gcp/shop', [...bearer(), ...bearer()]],
    ['the secret without a scheme', '/gcp/shop', [`Authorization: ${texts.shop}`]],
  ])('with %s is 401 in the same words', async (_what, target, headers) => {
    const { ask, provider } = await openTcpSurface(gcpUrl(settings))
    const { status, headers: sent, body } = await ask(target, headers)
    expect([status, sent['attestd-error']]).toEqual([401, 'consumer_unknown'])
    expect(JSON.parse(body)).toEqual({
      error: 'consumer_unknown',
      error_description: 'the request brings no secret, or not the right one',
    })
    expect(provider.asked).toEqual([])
  })

  it.each([
    ['an audience', '/gcp/shop?audience=https://a.example', 400],
    ['no name', '/gcp/', 404],
    ['more of a path', '/gcp/shop/', 404],
    ['a name in capitals', '/gcp/Shop', 404],
    ['an encoded name', '/gcp/sh%6Fp', 404],
    ['the place itself', '/gcp/{consumer}', 404],
  ])('with %s is %s', async (_what, target, status) => {
    const { ask, provider } = await openTcpSurface(gcpUrl(settings))
    expect((await ask(target, bearer())).status).toBe(status)
    expect(provider.asked).toEqual([])
  })

  it('is decided by the user of the connection too (API-121, API-124)', async () => {
    const { ask, callAs } = await openTcpSurface(gcpUrl(settings))
    callAs(1002)
    const stolen = await ask('/gcp/shop', bearer())
    expect([stolen.status, JSON.parse(stolen.body).error]).toEqual([403, 'policy_denied'])
  })
})
