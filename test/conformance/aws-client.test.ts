import { readFileSync } from 'node:fs'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type AwsSts, openAwsSts } from '../../mocks/sts/aws.ts'
import { withClient } from '../support/client-process.ts'
import { useCloudAgent } from '../support/cloud-agent.ts'
import { provedByClient } from '../support/proved-by-client.ts'
import { haveSwtpm } from '../support/swtpm.ts'

/** RC-20: a role of AWS from a token file, by `fromTokenFile` of the SDK, configured by the environment alone. */

const audience = 'sts.amazonaws.com'
const roleArn = 'arn:aws:iam::123456789012:role/guest'

provedByClient({ packages: ['@aws-sdk/credential-providers'], doing: 'AWS: a role from a token file' })

describe.skipIf(!haveSwtpm)('the credential provider of the AWS SDK with a token file', () => {
  const cloud = useCloudAgent({ audience })
  let sts: AwsSts
  let nowMs: () => number = Date.now

  beforeAll(async () => {
    sts = await openAwsSts({ issuer: cloud.issuer(), audiences: [audience], roleArn, now: () => nowMs() })
  })
  afterAll(() => sts?.close())

  const environment = (file: string) => ({
    AWS_WEB_IDENTITY_TOKEN_FILE: file,
    AWS_ROLE_ARN: roleArn,
    AWS_ROLE_SESSION_NAME: 'guest-1',
    AWS_REGION: 'us-east-1',
    AWS_ENDPOINT_URL_STS: sts.url,
  })
  const refusal = async (text: string, name: string) => {
    const answer = await withClient('aws-web-identity', environment(cloud.place(name, text)), (client) => client.ask())
    return answer.ok ? 'accepted' : answer.name
  }

  it('gets the role, sending the bytes of our token file unsigned and nothing else', async () => {
    const file = await cloud.tokenFile()
    const token = readFileSync(file, 'utf8')
    const value = await withClient('aws-web-identity', environment(file), (client) => client.obtain())
    const [given] = sts.issued
    expect(value).toMatchObject({ accessKeyId: given?.accessKeyId, secretAccessKey: given?.secret })
    expect(value).toMatchObject({ sessionToken: given?.securityToken })
    expect(Date.parse(String(value['expiration']))).toBe(Date.parse(given?.expiration ?? ''))
    const received = sts.received.at(-1)
    expect([received?.method, received?.target, received?.headers.authorization]).toEqual(['POST', '/', undefined])
    const form = new URLSearchParams(Buffer.from(received?.body ?? []).toString())
    expect(Object.fromEntries(form)).toEqual({
      Action: 'AssumeRoleWithWebIdentity',
      Version: '2011-06-15',
      RoleArn: roleArn,
      RoleSessionName: 'guest-1',
      WebIdentityToken: token,
    })
  })

  it('sends the new token after the agent has replaced the file, while it lives', async () => {
    const file = await cloud.tokenFile()
    const first = readFileSync(file, 'utf8')
    const second = await withClient('aws-web-identity', environment(file), async (client) => {
      await client.obtain()
      const renewed = await cloud.renewTokenFile()
      await client.obtain()
      return renewed
    })
    const sent = sts.received.slice(-2).map(({ body }) => new URLSearchParams(Buffer.from(body).toString()))
    expect(sent.map((form) => form.get('WebIdentityToken'))).toEqual([first, second])
  })

  it('is refused with the same token behind which there is a newline, which it sends on (RC-07, TOK-153)', async () => {
    const token = await cloud.token()
    expect(await refusal(`${token}\n`, 'newline')).toBe('InvalidIdentityTokenException')
    expect(Buffer.from(sts.received.at(-1)?.body ?? []).toString()).toContain(`${token}%0A`)
  })

  it('is refused when the token has expired, and its caller sees so', async () => {
    const token = await cloud.token()
    nowMs = () => Date.now() + 16 * 60_000
    try {
      expect(await refusal(token, 'expired')).toBe('ExpiredTokenException')
    } finally {
      nowMs = Date.now
    }
  })

  it.each<[string, (claims: Record<string, unknown>) => void, string]>([
    [
      'another audience',
      (claims) => Object.assign(claims, { aud: 'https://other.example' }),
      'InvalidIdentityTokenException',
    ],
    ['no subject', (claims) => delete claims['sub'], 'InvalidIdentityTokenException'],
    [
      'another issuer',
      (claims) => Object.assign(claims, { iss: 'https://other.example' }),
      'InvalidIdentityTokenException',
    ],
    [
      'an iat in text',
      (claims) => Object.assign(claims, { iat: String(claims['iat']) }),
      'InvalidIdentityTokenException',
    ],
  ])('is refused with a token of %s', async (_, change, name) => {
    expect(await refusal(await cloud.resigned(await cloud.token(), change), 'wrong')).toBe(name)
  })

  it('is refused with a signature of somebody else, and with more than 20 000 characters', async () => {
    const token = await cloud.token()
    const forged = token.replace(/[^.]+$/, (signature) => signature.replace(/^./, (one) => (one === 'A' ? 'B' : 'A')))
    expect(await refusal(forged, 'forged')).toBe('InvalidIdentityTokenException')
    const long = await cloud.resigned(token, (claims) => Object.assign(claims, { padding: 'x'.repeat(20_000) }))
    expect(await refusal(long, 'long')).toBe('ValidationError')
  })

  it('may assume no other role', async () => {
    const file = cloud.place('role', await cloud.token())
    const other = { ...environment(file), AWS_ROLE_ARN: 'arn:aws:iam::123456789012:role/other' }
    const answer = await withClient('aws-web-identity', other, (client) => client.ask())
    expect(answer).toMatchObject({ ok: false, name: 'AccessDenied' })
  })
})
