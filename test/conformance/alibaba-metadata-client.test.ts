import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { type AlibabaMetadata, openAlibabaMetadata } from '../../mocks/imds/alibaba.ts'
import { type ClientProcess, withClient } from '../support/client-process.ts'
import { haveEmptyNetworks } from '../support/empty-network.ts'
import { provedByClient } from '../support/proved-by-client.ts'

/** RC-11: `@alicloud/credentials` and the double of instance metadata, at the address that the library has built in. */

const role = 'guest'
const rolePath = '/latest/meta-data/ram/security-credentials/'
const sessionHeader = 'x-aliyun-ecs-metadata-token'
const sessionsOnly = { ALIBABA_CLOUD_IMDSV1_DISABLED: 'true' }

provedByClient({ packages: ['@alicloud/credentials'], doing: 'Alibaba Cloud: the double of instance metadata' })

describe.skipIf(!haveEmptyNetworks)('the role of the instance', () => {
  let metadata: AlibabaMetadata
  let state: { role: string | null; code: string; tokenless: boolean; lifeS: number; laterMs: number }

  beforeAll(async () => {
    metadata = await openAlibabaMetadata({
      role: () => state.role,
      code: () => state.code,
      tokenless: () => state.tokenless,
      lifeS: () => state.lifeS,
      now: () => Date.now() + state.laterMs,
    })
  })
  afterAll(() => metadata?.close())
  beforeEach(() => {
    state = { role, code: 'Success', tokenless: false, lifeS: 21_600, laterMs: 0 }
  })

  /** With the double at the address of the metadata. */
  function withMetadata<T>(use: (client: ClientProcess) => Promise<T>, environment: Record<string, string> = {}) {
    const to = Number(new URL(metadata.url).port)
    return withClient('alibaba-metadata', environment, use, {
      elsewhere: [{ address: '100.100.100.200', port: 80, to }],
    })
  }

  /** Method, path and whether there was a token of a session, of every request that `work` causes. */
  async function asked(work: () => Promise<unknown>): Promise<string[]> {
    const before = metadata.received.length
    await work()
    return metadata.received
      .slice(before)
      .map(({ method, target, headers }) => `${method} ${target}${sessionHeader in headers ? ' in a session' : ''}`)
  }
  const refusal = async (environment?: Record<string, string>) => {
    const answer = await withMetadata((client) => client.ask(), environment)
    return answer.ok ? 'accepted' : answer.message
  }
  const givenLast = () => {
    const { accessKeyId, secret: accessKeySecret, securityToken } = metadata.issued.at(-1) ?? {}
    return { accessKeyId, accessKeySecret, securityToken }
  }

  it('is asked for in a session, and its credentials in another (RC-11, IMDS-01)', async () => {
    const requests = await asked(async () => {
      expect(await withMetadata((client) => client.obtain())).toEqual(givenLast())
    })
    expect(requests).toEqual([
      'PUT /latest/api/token',
      `GET ${rolePath} in a session`,
      'PUT /latest/api/token',
      `GET ${rolePath}${role} in a session`,
    ])
    expect(metadata.received.at(-2)?.headers).toMatchObject({
      'x-aliyun-ecs-metadata-token-ttl-seconds': '21600',
      host: '100.100.100.200',
    })
  })

  it('is asked for without a session where there are none, unless the caller forbids it (RC-11)', async () => {
    state.tokenless = true
    const requests = await asked(() => withMetadata((client) => client.obtain()))
    expect(requests.filter((request) => request.startsWith('GET'))).toEqual([
      `GET ${rolePath}`,
      `GET ${rolePath}${role}`,
    ])
    const before = metadata.issued.length
    expect(await refusal(sessionsOnly)).toContain('404')
    expect(metadata.issued).toHaveLength(before)
  })

  it('gives new credentials when less than 15 min of the old are left (IMDS-04)', async () => {
    state.lifeS = 14 * 60
    const before = metadata.issued.length
    const pair = await withMetadata(async (client) => [await client.obtain(), await client.obtain()])
    expect(metadata.issued).toHaveLength(before + 2)
    expect(pair).toEqual([expect.anything(), givenLast()])
    expect(pair[0]).not.toEqual(pair[1])
  })

  it('is not there on an instance without a role, and the caller sees so', async () => {
    state.role = null
    expect(await refusal(sessionsOnly)).toContain('404')
  })

  it('is asked for once more without a session by a library that may, which is refused', async () => {
    state.role = null
    const requests = await asked(async () => expect(await refusal()).toContain('401'))
    expect(requests).toEqual(['PUT /latest/api/token', `GET ${rolePath} in a session`, `GET ${rolePath}`])
  })

  it('has no credentials with a code other than Success (IMDS-04)', async () => {
    state.code = 'Failed'
    expect(await refusal(sessionsOnly)).toContain('Code is not Success')
  })

  describe('of the double', () => {
    const ask = async (method: string, path: string, headers: Record<string, string> = {}) => {
      const answer = await fetch(metadata.url + path, { method, headers })
      return { status: answer.status, body: await answer.text() }
    }
    const open = (ttl: string, more: Record<string, string> = {}) =>
      ask('PUT', '/latest/api/token', { 'x-aliyun-ecs-metadata-token-ttl-seconds': ttl, ...more })

    it.each(['0', '21601', '-1', '1e3', ' ', 'x'])('opens no session of %j seconds (IMDS-01)', async (ttl) => {
      expect((await open(ttl)).status).toBe(400)
    })

    it('opens no session for a proxy, and reads nothing without one (IMDS-01)', async () => {
      expect((await open('60', { 'x-forwarded-for': '192.0.2.1' })).status).toBe(403)
      expect((await ask('GET', rolePath)).status).toBe(401)
      expect((await ask('GET', rolePath, { [sessionHeader]: 'guessed' })).status).toBe(401)
      const { body: token } = await open('60')
      expect(await ask('GET', rolePath, { [sessionHeader]: token })).toEqual({ status: 200, body: role })
      expect((await ask('GET', `${rolePath}other`, { [sessionHeader]: token })).status).toBe(404)
      state.laterMs = 60_001
      expect((await ask('GET', rolePath, { [sessionHeader]: token })).status).toBe(401)
    })
  })
})
