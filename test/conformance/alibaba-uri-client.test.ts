import { writeFileSync } from 'node:fs'
import { afterAll, describe, expect, it } from 'vitest'
import { type AlibabaSts, openAlibabaSts } from '../../mocks/sts/alibaba.ts'
import { callerRule, freePort } from '../support/agent-process.ts'
import { withClient } from '../support/client-process.ts'
import { useCloudAgent } from '../support/cloud-agent.ts'
import { provedByClient } from '../support/proved-by-client.ts'
import { haveSwtpm } from '../support/swtpm.ts'
import { tokensIn } from '../support/tokens-in.ts'

/** RC-12, API-155: credentials of a role from the agent itself, by `credentials_uri` of `@alicloud/credentials`. */

const audience = 'sts.aliyuncs.com'
const roleArn = 'acs:ram::1234567890123456:role/guest'
const providerArn = 'acs:ram::1234567890123456:oidc-provider/attestd'
const secret = 'Zm9ydHktdGhyZWUtY2hhcmFjdGVycy1vZi1zZWNyZXQ'
const uid = process.getuid?.() ?? 0

provedByClient({ packages: ['@alicloud/credentials'], doing: 'Alibaba Cloud: credentials of a role from the agent' })

describe.skipIf(!haveSwtpm)('the credentials URI of Alibaba Cloud', () => {
  let sts: AlibabaSts
  let port = 0
  const cloud = useCloudAgent({
    audience,
    lines: async (issuer, folder) => {
      port = await freePort()
      sts = await openAlibabaSts({ issuer, audiences: [audience], roleArn, providerArn })
      writeFileSync(`${folder}/secret`, `${secret}\n`, { mode: 0o400 })
      const surface = `[compat.alibaba_uri]
listen = "127.0.0.1:${port}"
[[compat.alibaba_uri.consumers]]
name = "payments"
secret = "${folder}/secret"
role = "${roleArn}"
oidc_provider = "${providerArn}"
session_name = "guest-1"
endpoint = "${sts.url}"
audience = "${audience}"
allow_http_loopback = true
`
      return { tables: [surface], rules: [callerRule('cloud', `uid = ${uid}`, [audience])] }
    },
  })
  afterAll(() => sts?.close())

  const uri = (path = `/ali/payments/${secret}`) => `http://127.0.0.1:${port}${path}`
  const ready = () => cloud.agent().until(() => cloud.agent().log.includes('"event":"role_assumed"'), 'assumed')

  it('gives what the agent got for its token', async () => {
    await ready()
    const value = await withClient('alibaba-uri', { ALIBABA_CLOUD_CREDENTIALS_URI: uri() }, (client) => client.obtain())
    const [given] = sts.issued
    expect(value).toEqual({
      accessKeyId: given?.accessKeyId,
      accessKeySecret: given?.secret,
      securityToken: given?.securityToken,
    })
    const answer = await fetch(uri())
    expect(await answer.json()).toEqual({
      Code: 'Success',
      AccessKeyId: given?.accessKeyId,
      AccessKeySecret: given?.secret,
      SecurityToken: given?.securityToken,
      Expiration: given?.expiration,
    })
    expect(sts.issued).toHaveLength(1)
    const [received] = sts.received
    expect(received?.target).not.toContain('eyJ')
    expect(Buffer.from(received?.body ?? []).toString()).toContain('RoleSessionName=guest-1')
  })

  it('gives the client new credentials when those that it has are old', async () => {
    await ready()
    await withClient('alibaba-uri', { ALIBABA_CLOUD_CREDENTIALS_URI: uri() }, async (client) => {
      const first = await client.obtain()
      expect(await client.obtain()).toEqual(first)
    })
    await cloud.agent().ask('/v1/admin/invalidate', { socket: 'admin', body: { all: true, hard: true } })
    const value = await withClient('alibaba-uri', { ALIBABA_CLOUD_CREDENTIALS_URI: uri() }, (client) => client.obtain())
    expect([value['accessKeyId'], sts.issued.length]).toEqual([sts.issued.at(-1)?.accessKeyId, 2])
  })

  it.each([
    ['another secret', `/ali/payments/${secret.replace('Z', 'A')}`],
    ['a part of the secret', `/ali/payments/${secret.slice(1)}`],
    ['no secret', '/ali/payments/'],
    ['another consumer', `/ali/other/${secret}`],
    ['more behind', `/ali/payments/${secret}/x`],
  ])('does not exist with %s', async (_, path) => {
    const answer = await fetch(uri(path))
    expect([answer.status, answer.headers.get('attestd-error')]).toEqual([404, 'not_found'])
    expect(await answer.json()).toMatchObject({ Code: 'not_found', Message: expect.any(String) })
    const client = await withClient('alibaba-uri', { ALIBABA_CLOUD_CREDENTIALS_URI: uri(path) }, (one) => one.ask())
    expect(client.ok).toBe(false)
  })

  it('leaves neither secret nor credentials in the log (API-110)', () => {
    const { log } = cloud.agent()
    expect(log).toContain('role_assumed')
    for (const given of sts.issued) expect(log).not.toContain(given.secret)
    expect(log).not.toContain(secret)
    expect(tokensIn(log)).toEqual([])
  })
})
