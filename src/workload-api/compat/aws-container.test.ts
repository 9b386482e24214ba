import { describe, expect, it } from 'vitest'
import { cloudOutage, credentialsOf, openCloudSurface } from '../../../test/support/cloud-surface-room.ts'
import { awsContainer } from './aws-container.ts'

const open = () => openCloudSurface(awsContainer)
const by = (secret: string) => [`Authorization: ${secret}`]

function answerFor(consumer: string) {
  const { accessKeyId: AccessKeyId, secret: SecretAccessKey, securityToken: Token } = credentialsOf(consumer)
  return { AccessKeyId, SecretAccessKey, Token, Expiration: '2026-01-01T01:00:00Z' }
}

describe('the container credentials of AWS (API-153)', () => {
  it('gives each consumer the credentials of its own role', async () => {
    const { ask, callAs, obtained, texts } = await open()
    const shop = await ask('/aws/shop', by(texts.shop))
    callAs(1002)
    const web = await ask('/aws/web', by(texts.web))
    expect([shop.status, web.status, shop.headers['content-type']]).toEqual([200, 200, 'application/json'])
    expect([shop, web].map(({ body }) => JSON.parse(body))).toEqual([answerFor('shop'), answerFor('web')])
    expect(obtained.map(({ consumer }) => consumer)).toEqual(['shop', 'web'])
  })

  it.each([
    ['no secret', '/aws/shop', () => []],
    ['an empty one', '/aws/shop', () => ['Authorization:']],
    ['the secret of another consumer', '/aws/shop', ({ web }: { web: string }) => by(web)],
    ['the name of another consumer', '/aws/web', ({ shop }: { shop: string }) => by(shop)],
    ['a name that nobody has', '/aws/nobody', ({ shop }: { shop: string }) => by(shop)],
    ['a secret that nobody has', '/aws/shop', () => by('A'.repeat(43))],
    ['a secret cut short', '/aws/shop', ({ shop }: { shop: string }) => by(shop.slice(1))],
    ['the secret with a scheme', '/aws/shop', ({ shop }: { shop: string }) => by(`Bearer ${shop}`)],
    ['the secret twice', '/aws/shop', ({ shop }: { shop: string }) => [...by(shop), ...by(shop)]],
    ['a wrong secret before the right one', '/aws/shop', ({ shop }: { shop: string }) => [...by('x'), ...by(shop)]],
    ['the right secret before a wrong one', '/aws/shop', ({ shop }: { shop: string }) => [...by(shop), ...by('x')]],
    ['the secret in the query', '/aws/shop?authorization=x', () => []],
  ])('with %s is 401 in the same words, whoever calls', async (_what, target, headers) => {
    const { ask, callAs, obtained, texts, log } = await open()
    for (const uid of [1001, 1002]) {
      callAs(uid)
      const { status, headers: sent, body } = await ask(target, headers(texts))
      expect([status, sent['attestd-error']]).toEqual([401, 'consumer_unknown'])
      expect(JSON.parse(body)).toEqual({
        code: 'consumer_unknown',
        message: 'the request brings no secret, or not the right one',
      })
      expect(log.lines.join()).not.toContain(texts.shop.slice(1, 13))
    }
    expect(obtained).toEqual([])
  })

  it.each([
    ['a query', '/aws/shop?x=1', 400],
    ['a badly encoded query', '/aws/shop?%zz', 400],
    ['no name', '/aws/', 404],
    ['more of a path', '/aws/shop/', 404],
    ['a name in capitals', '/aws/Shop', 404],
    ['an encoded name', '/aws/sh%6Fp', 404],
    ['the place itself', '/aws/{consumer}', 404],
  ])('with %s is %s', async (_what, target, status) => {
    const { ask, texts, obtained } = await open()
    expect((await ask(target, by(texts.shop))).status).toBe(status)
    expect(obtained).toEqual([])
  })

  it('is decided by the user of the connection too (API-121, API-124)', async () => {
    const { ask, callAs, texts, obtained } = await open()
    callAs(1002)
    const stolen = await ask('/aws/shop', by(texts.shop))
    expect([stolen.status, JSON.parse(stolen.body).code]).toEqual([403, 'policy_denied'])
    callAs(null)
    expect((await ask('/aws/shop', by(texts.shop))).headers['attestd-error']).toBe('caller_unidentified')
    expect(obtained).toEqual([])
  })

  it('tells an outage with the time to come again', async () => {
    const { ask, cloud, texts } = await open()
    cloud.give = () => Promise.reject(cloudOutage())
    const { status, headers, body } = await ask('/aws/shop', by(texts.shop))
    expect([status, headers['retry-after'], headers['attestd-error']]).toEqual([503, '60', 'sts_unavailable'])
    expect(JSON.parse(body)).toEqual({ code: 'sts_unavailable', message: expect.stringContaining('sts.example') })
  })

  it('with HEAD starts nothing, and needs the secret all the same (API-33)', async () => {
    const { ask, texts, obtained } = await open()
    expect((await ask('/aws/shop', by(texts.shop), 'HEAD')).status).toBe(200)
    expect((await ask('/aws/shop', by(texts.web), 'HEAD')).status).toBe(401)
    expect(obtained).toEqual([])
  })

  it.each(['POST', 'OPTIONS'])('with %s is refused', async (method) => {
    const { ask, texts } = await open()
    expect((await ask('/aws/shop', by(texts.shop), method)).status).toBe(405)
  })
})
