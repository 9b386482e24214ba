import { describe, expect, it } from 'vitest'
import { cloudOutage, credentialsOf, openCloudSurface } from '../../../test/support/cloud-surface-room.ts'
import { alibabaUri } from './alibaba-uri.ts'

const open = () => openCloudSurface(alibabaUri)
const at = (consumer: string, secret: string) => `/ali/${consumer}/${secret}`

function answerFor(consumer: string) {
  const { accessKeyId: AccessKeyId, secret: AccessKeySecret, securityToken: SecurityToken } = credentialsOf(consumer)
  return { Code: 'Success', AccessKeyId, AccessKeySecret, SecurityToken, Expiration: '2026-01-01T01:00:00Z' }
}

describe('the credentials URI of Alibaba Cloud (API-155)', () => {
  it('gives each consumer the credentials of its own role', async () => {
    const { ask, callAs, obtained, texts } = await open()
    const shop = await ask(at('shop', texts.shop))
    callAs(1002)
    const web = await ask(at('web', texts.web))
    expect([shop.status, web.status, shop.headers['content-type']]).toEqual([200, 200, 'application/json'])
    expect([shop, web].map(({ body }) => JSON.parse(body))).toEqual([answerFor('shop'), answerFor('web')])
    expect(obtained.map(({ consumer }) => consumer)).toEqual(['shop', 'web'])
  })

  it.each([
    ['the secret of another consumer', ({ web }: { web: string }) => at('shop', web)],
    ['the name of another consumer', ({ shop }: { shop: string }) => at('web', shop)],
    ['a name that nobody has', ({ shop }: { shop: string }) => at('nobody', shop)],
    ['a secret that nobody has', () => at('shop', 'A'.repeat(43))],
    ['a secret cut short', ({ shop }: { shop: string }) => at('shop', shop.slice(1))],
    ['a longer secret', ({ shop }: { shop: string }) => at('shop', `${shop}A`)],
    ['no secret', () => '/ali/shop/'],
    ['neither', () => '/ali/'],
    ['more behind it', ({ shop }: { shop: string }) => `${at('shop', shop)}/`],
    ['the places themselves', () => '/ali/{consumer}/{secret}'],
  ])('with %s does not exist, for no user (API-124)', async (_what, target) => {
    const { ask, callAs, obtained, texts, log } = await open()
    for (const uid of [1001, 1002]) {
      callAs(uid)
      const { status, headers, body } = await ask(target(texts))
      expect([status, headers['attestd-error']]).toEqual([404, 'not_found'])
      expect(JSON.parse(body)).toEqual({ Code: 'not_found', Message: expect.any(String) })
      expect(body + log.lines.join()).not.toContain(texts.shop.slice(1, 13))
    }
    expect(obtained).toEqual([])
  })

  it('tells a wrong secret as it tells a wrong path, also with a query', async () => {
    const { ask, texts } = await open()
    const { body: missing } = await ask('/ali')
    const wrong = await ask(`${at('shop', texts.web)}?x=1`)
    expect([wrong.status, wrong.body]).toEqual([404, missing])
  })

  it.each(['?x=1', '?consumer=web', '?=', '?%zz'])('takes no query: %s', async (query) => {
    const { ask, texts, obtained } = await open()
    const answer = await ask(at('shop', texts.shop) + query)
    expect([answer.status, JSON.parse(answer.body).Code]).toEqual([400, 'invalid_request'])
    expect(obtained).toEqual([])
  })

  it('is decided by the user of the connection too (API-121, API-124)', async () => {
    const { ask, callAs, texts, obtained } = await open()
    callAs(1002)
    const stolen = await ask(at('shop', texts.shop))
    expect([stolen.status, JSON.parse(stolen.body).Code]).toEqual([403, 'policy_denied'])
    callAs(null)
    expect((await ask(at('shop', texts.shop))).headers['attestd-error']).toBe('caller_unidentified')
    expect(obtained).toEqual([])
  })

  it('tells an outage with the time to come again', async () => {
    const { ask, cloud, texts } = await open()
    cloud.give = () => Promise.reject(cloudOutage())
    const { status, headers, body } = await ask(at('shop', texts.shop))
    expect([status, headers['retry-after'], headers['attestd-error']]).toEqual([503, '60', 'sts_unavailable'])
    expect(JSON.parse(body)).toEqual({ Code: 'sts_unavailable', Message: expect.stringContaining('sts.example') })
  })

  it('with HEAD starts nothing, and needs the secret all the same (API-33)', async () => {
    const { ask, texts, obtained } = await open()
    expect((await ask(at('shop', texts.shop), [], 'HEAD')).status).toBe(200)
    expect((await ask(at('shop', texts.web), [], 'HEAD')).status).toBe(404)
    expect(obtained).toEqual([])
  })

  it.each(['POST', 'OPTIONS'])('with %s is refused', async (method) => {
    const { ask, texts } = await open()
    expect((await ask(at('shop', texts.shop), [], method)).status).toBe(405)
  })
})
