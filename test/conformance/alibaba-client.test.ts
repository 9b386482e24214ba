import { readFileSync } from 'node:fs'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type AlibabaSts, openAlibabaSts } from '../../mocks/sts/alibaba.ts'
import { withClient } from '../support/client-process.ts'
import { useCloudAgent } from '../support/cloud-agent.ts'
import { provedByClient } from '../support/proved-by-client.ts'
import { haveSwtpm } from '../support/swtpm.ts'
import { throwAwayTls } from '../support/throw-away-tls.ts'

/** RC-10: `@alicloud/credentials` with our token file, over TLS. RC-13: `@alicloud/sts20150401` with the token itself. */

const audience = 'sts.aliyuncs.com'
const roleArn = 'acs:ram::1234567890123456:role/guest'
const providerArn = 'acs:ram::1234567890123456:oidc-provider/attestd'

provedByClient({
  packages: ['@alicloud/credentials', '@alicloud/sts20150401'],
  doing: 'Alibaba Cloud: a role from a token file or a token',
})

describe.skipIf(!haveSwtpm)('clients of Alibaba Cloud STS', () => {
  const cloud = useCloudAgent({ audience })
  const tls = throwAwayTls()
  let secure: AlibabaSts
  let plain: AlibabaSts
  let nowMs: () => number = Date.now
  let lifeS = 3600

  beforeAll(async () => {
    const options = { issuer: cloud.issuer(), audiences: [audience], roleArn, providerArn }
    secure = await openAlibabaSts({ ...options, now: () => nowMs(), lifeS: () => lifeS }, tls.server)
    plain = await openAlibabaSts(options)
  })
  afterAll(async () => {
    await secure?.close()
    await plain?.close()
  })

  const environment = (file: string) => ({
    ALIBABA_CLOUD_OIDC_TOKEN_FILE: file,
    ALIBABA_CLOUD_OIDC_PROVIDER_ARN: providerArn,
    ALIBABA_CLOUD_ROLE_ARN: roleArn,
    ALIBABA_CLOUD_ROLE_SESSION_NAME: 'guest-1',
    STS_ENDPOINT: secure.host,
    NODE_EXTRA_CA_CERTS: cloud.place('ca.pem', tls.ca),
  })
  const form = (at: number) => new URLSearchParams(Buffer.from(secure.received.at(at)?.body ?? []).toString())
  const refusal = async (text: string) => {
    const file = cloud.place('refused', text)
    const answer = await withClient('alibaba-oidc', environment(file), (client) => client.ask())
    return answer.ok ? 'accepted' : answer.message
  }

  describe('the credentials of a token file', () => {
    it('come from the bytes of our token file, sent over TLS and unsigned', async () => {
      const file = await cloud.tokenFile()
      const token = readFileSync(file, 'utf8')
      const value = await withClient('alibaba-oidc', environment(file), (client) => client.obtain())
      const { accessKeyId, secret: accessKeySecret, securityToken } = secure.issued.at(-1) ?? {}
      expect(value).toEqual({ accessKeyId, accessKeySecret, securityToken })
      const received = secure.received.at(-1)
      expect(received?.target).toMatch(
        /^\/\?Version=2015-04-01&Action=AssumeRoleWithOIDC&Format=JSON&Timestamp=[^&]*Z$/,
      )
      expect(received?.headers.authorization).toBeUndefined()
      expect(Object.fromEntries(form(-1))).toEqual({
        OIDCProviderArn: providerArn,
        OIDCToken: token,
        RoleArn: roleArn,
        RoleSessionName: 'guest-1',
        DurationSeconds: '3600',
      })
    })

    it('are asked for with the new token when the agent has replaced the file and less than 15 min are left', async () => {
      const file = await cloud.tokenFile()
      const first = readFileSync(file, 'utf8')
      lifeS = 14 * 60
      const second = await withClient('alibaba-oidc', environment(file), async (client) => {
        await client.obtain()
        const renewed = await cloud.renewTokenFile()
        await client.obtain()
        return renewed
      }).finally(() => {
        lifeS = 3600
      })
      expect([form(-2), form(-1)].map((sent) => sent.get('OIDCToken'))).toEqual([first, second])
    })

    it('are refused behind a newline, which is sent on (RC-07, TOK-153)', async () => {
      const token = await cloud.token()
      expect(await refusal(`${token}\n`)).toContain('AuthenticationFail.OIDCToken.Invalid')
      expect(Buffer.from(secure.received.at(-1)?.body ?? []).toString()).toContain(`${token}%0A`)
    })

    it('are refused for a token that has expired, and the message has the code', async () => {
      const token = await cloud.token()
      nowMs = () => Date.now() + 16 * 60_000
      try {
        expect(await refusal(token)).toContain('AuthenticationFail.OIDCToken.Expired')
      } finally {
        nowMs = Date.now
      }
    })

    it.each<[string, (claims: Record<string, unknown>) => void, string]>([
      ['another audience', (claims) => Object.assign(claims, { aud: 'other' }), 'OIDCToken.AudienceNotMatch'],
      [
        'another issuer',
        (claims) => Object.assign(claims, { iss: 'https://other.example' }),
        'OIDCToken.IssuerNotMatch',
      ],
      ['no subject', (claims) => delete claims['sub'], 'AuthenticationFail.NoPermission'],
    ])('are refused for a token of %s', async (_, change, code) => {
      expect(await refusal(await cloud.resigned(await cloud.token(), change))).toContain(code)
    })

    it('are not asked for at a server that nobody vouches for: it sees no call', async () => {
      const { NODE_EXTRA_CA_CERTS: _, ...untrusting } = environment(cloud.place('good', await cloud.token()))
      const before = secure.received.length
      const answer = await withClient('alibaba-oidc', untrusting, (client) => client.ask())
      expect(answer).toMatchObject({ ok: false })
      expect(secure.received.length).toBe(before)
    })
  })

  describe('the client of STS itself (RC-13)', () => {
    const caller = () => ({
      STS_ENDPOINT: plain.host,
      ALIBABA_CLOUD_ROLE_ARN: roleArn,
      ALIBABA_CLOUD_OIDC_PROVIDER_ARN: providerArn,
    })

    it('takes the token as it is, in the query: no proxy may log its URLs', async () => {
      const token = await cloud.token()
      const value = await withClient('alibaba-sts', caller(), (client) => client.obtain(token))
      expect(value['accessKeyId']).toBe(plain.issued.at(-1)?.accessKeyId)
      expect(plain.received.at(-1)?.target).toContain(token)
    })

    it('carries each new token, and tells why one is refused', async () => {
      const [first, second] = [await cloud.token(), await cloud.token({ fresh: true })]
      const wrong = await cloud.resigned(first, (claims) => Object.assign(claims, { aud: 'other' }))
      const answers = await withClient('alibaba-sts', caller(), async (client) => [
        await client.ask(first),
        await client.ask(wrong),
        await client.ask(second),
      ])
      expect(answers.map(({ ok }) => ok)).toEqual([true, false, true])
      expect(answers[1]).toMatchObject({ code: 'AuthenticationFail.OIDCToken.AudienceNotMatch' })
      expect(plain.received.at(-1)?.target).toContain(second)
    })
  })
})
