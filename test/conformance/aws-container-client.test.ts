import { readFileSync, writeFileSync } from 'node:fs'
import { afterAll, describe, expect, it } from 'vitest'
import { type AwsSts, openAwsSts } from '../../mocks/sts/aws.ts'
import { callerRule, freePort } from '../support/agent-process.ts'
import { withClient } from '../support/client-process.ts'
import { useCloudAgent } from '../support/cloud-agent.ts'
import { provedByClient } from '../support/proved-by-client.ts'
import { haveSwtpm } from '../support/swtpm.ts'
import { tokensIn } from '../support/tokens-in.ts'

/** API-153, API-125: credentials of a role from the agent itself, by the two providers of the AWS SDK that ask for them. */

const audience = 'sts.amazonaws.com'
const roleArn = 'arn:aws:iam::123456789012:role/guest'
const secret = 'c2VjcmV0LW9mLXRoZS1wYXltZW50cy1jb25zdW1lci0x'
const uid = process.getuid?.() ?? 0

provedByClient({ packages: ['@aws-sdk/credential-providers'], doing: 'AWS: credentials of a role from the agent' })

describe.skipIf(!haveSwtpm)('the container credentials of AWS', () => {
  let sts: AwsSts
  let port = 0
  let nowMs: () => number = Date.now
  const consumer = (name: string, file: string, endpoint: string, to: string) => `
[[compat.aws_container.consumers]]
name = "${name}"
secret = "${file}"
role = "${roleArn}"
endpoint = "${endpoint}"
audience = "${to}"
lifetime = "15m"
allow_http_loopback = true
`
  const cloud = useCloudAgent({
    audience,
    lines: async (issuer, folder) => {
      port = await freePort()
      sts = await openAwsSts({ issuer, audiences: [audience], roleArn, now: () => nowMs() })
      writeFileSync(`${folder}/secret`, secret, { mode: 0o400 })
      writeFileSync(`${folder}/other-secret`, `${secret}-of-another`, { mode: 0o400 })
      const surface = `[compat.aws_container]\nlisten = "127.0.0.1:${port}"\n`
      const consumers = [
        consumer('payments', `${folder}/secret`, sts.url, audience),
        consumer('denied', `${folder}/other-secret`, sts.url, 'https://nobody.example'),
      ]
      const rules = [callerRule('cloud', `uid = ${uid}`, [audience])]
      return { tables: [surface, ...consumers], rules }
    },
  })
  afterAll(() => sts?.close())

  const environment = (name = 'payments', file = cloud.path('secret')) => ({
    AWS_CONTAINER_CREDENTIALS_FULL_URI: `http://127.0.0.1:${port}/aws/${name}`,
    AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE: file,
  })
  /** Asks again where the machine is too busy for saying in time who asks. */
  const get = async (path: string, headers: Record<string, string> = { authorization: secret }): Promise<Response> => {
    const answer = await fetch(`http://127.0.0.1:${port}${path}`, { headers })
    return answer.headers.get('attestd-error') === 'identity_unavailable' ? get(path, headers) : answer
  }
  /** The agent fetches them by itself at its start; SDKs wait for a second only. */
  const ready = () => cloud.agent().until(() => cloud.agent().log.includes('"event":"role_assumed"'), 'assumed')

  it('are those that the agent got for its token, in one exchange for all who ask', async () => {
    await ready()
    const asked = Array.from({ length: 8 }, () => get('/aws/payments'))
    const bodies = await Promise.all((await Promise.all(asked)).map((answer) => answer.json()))
    const [given] = sts.issued
    const expected = { AccessKeyId: given?.accessKeyId, SecretAccessKey: given?.secret, Token: given?.securityToken }
    for (const body of bodies) expect(body).toEqual({ ...expected, Expiration: given?.expiration })
    expect(sts.issued).toHaveLength(1)
    const sent = sts.received.map(({ body }) => Object.fromEntries(new URLSearchParams(Buffer.from(body).toString())))
    const own = { RoleArn: roleArn, RoleSessionName: 'attestd-payments', DurationSeconds: '900' }
    expect(sent).toContainEqual(expect.objectContaining(own))
  })

  it('are what fromHttp gives, with the secret from its file', async () => {
    await ready()
    const value = await withClient('aws-container', environment(), (client) => client.obtain('http'))
    const {
      accessKeyId,
      secret: secretAccessKey,
      securityToken: sessionToken,
      expiration = '',
    } = sts.issued.at(-1) ?? {}
    expect(value).toEqual({
      accessKeyId,
      secretAccessKey,
      sessionToken,
      expiration: new Date(expiration).toISOString(),
    })
  })

  it('are what fromContainerMetadata gives, with the secret from the environment', async () => {
    await ready()
    const { AWS_CONTAINER_CREDENTIALS_FULL_URI } = environment()
    const own = { AWS_CONTAINER_CREDENTIALS_FULL_URI, AWS_CONTAINER_AUTHORIZATION_TOKEN: secret }
    const value = await withClient('aws-container', own, (client) => client.obtain('container'))
    expect(value['accessKeyId']).toBe(sts.issued.at(-1)?.accessKeyId)
  })

  it('are not for a wrong secret, nor for the secret of another consumer, and the SDK tells so', async () => {
    const wrong = cloud.place('wrong', `${secret}x`)
    const answer = await withClient('aws-container', environment('payments', wrong), (client) => client.ask('http'))
    expect(answer).toMatchObject({ ok: false, name: 'CredentialsProviderError' })
    for (const headers of [{}, { authorization: `Bearer ${secret}` }, { authorization: `${secret}-of-another` }]) {
      const refused = await get('/aws/payments', headers as Record<string, string>)
      expect([refused.status, refused.headers.get('attestd-error')]).toEqual([401, 'consumer_unknown'])
      expect(await refused.json()).toMatchObject({ code: 'consumer_unknown', message: expect.any(String) })
    }
    expect((await get('/aws/nobody')).status).toBe(401)
  })

  it('are not for a consumer whose audience no rule allows (API-121)', async () => {
    const refused = await get('/aws/denied', { authorization: `${secret}-of-another` })
    expect([refused.status, refused.headers.get('attestd-error')]).toEqual([403, 'policy_denied'])
    expect(await refused.json()).toMatchObject({ code: 'policy_denied' })
  })

  it('are not for a page in a browser, another host, or with anything in the query', async () => {
    const status = async (path: string, more: Record<string, string>) =>
      (await get(path, { authorization: secret, ...more })).status
    expect(await status('/aws/payments', { origin: 'https://evil.example' })).toBe(403)
    expect(await status('/aws/payments?role=other', {})).toBe(400)
    expect(await status('/aws/payments/', {})).toBe(404)
  })

  it('are gone when the agent is told that its tokens are worthless; those that follow come of a new token', async () => {
    await ready()
    const before = sts.issued.length
    const told = await cloud.agent().ask('/v1/admin/invalidate', { socket: 'admin', body: { all: true, hard: true } })
    expect(told.status).toBe(200)
    const { AccessKeyId } = (await (await get('/aws/payments')).json()) as Record<string, string>
    expect(sts.issued.length).toBe(before + 1)
    expect(AccessKeyId).toBe(sts.issued.at(-1)?.accessKeyId)
  })

  it('are not to be had while the cloud refuses, and the reason is told without a token', async () => {
    await cloud.agent().ask('/v1/admin/invalidate', { socket: 'admin', body: { all: true, hard: true } })
    nowMs = () => Date.now() + 16 * 60_000
    const refused = await get('/aws/payments')
    nowMs = Date.now
    const body = await refused.text()
    expect([refused.status, refused.headers.get('attestd-error')]).toEqual([502, 'sts_refused'])
    expect(body).toContain('ExpiredTokenException')
    const told = cloud
      .agent()
      .log.split('\n')
      .filter((line) => line.includes('"event":"role_not_assumed"'))
    expect(told.filter((line) => line.includes('"consumer":"payments"'))).toEqual([
      expect.stringContaining('ExpiredTokenException'),
    ])
    expect(body).not.toContain('eyJ')
  })

  it('leave no trace in the log (API-110)', () => {
    const { log } = cloud.agent()
    expect(log).toContain('role_assumed')
    for (const { secret: given, securityToken } of sts.issued) {
      expect(log).not.toContain(given)
      expect(log).not.toContain(securityToken)
    }
    expect(log).not.toContain(secret)
    expect(tokensIn(log)).toEqual([])
    expect(readFileSync(cloud.path('secret'), 'utf8')).toBe(secret)
  })
})
