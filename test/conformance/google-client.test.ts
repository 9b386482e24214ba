import { readFileSync } from 'node:fs'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type GoogleSts, openGoogleSts } from '../../mocks/sts/google.ts'
import { partOf } from '../support/agent-process.ts'
import { builtProgram } from '../support/built-program.ts'
import { type ClientProcess, withClient } from '../support/client-process.ts'
import { useCloudAgent } from '../support/cloud-agent.ts'
import { provedByClient } from '../support/proved-by-client.ts'
import { haveSwtpm } from '../support/swtpm.ts'

/** RC-21: workload identity federation of Google Cloud from a token file, by `google-auth-library`. */

const provider = '//iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/p/providers/q'
const exchanges = 200

provedByClient({ packages: ['google-auth-library'], doing: 'Google Cloud: workload identity federation' })

describe.skipIf(!haveSwtpm)('google-auth-library', () => {
  const cloud = useCloudAgent({ audience: provider })
  let sts: GoogleSts
  let nowMs: () => number = Date.now
  let lifeS = 3600

  beforeAll(async () => {
    sts = await openGoogleSts({ issuer: cloud.issuer(), provider, now: () => nowMs(), lifeS: () => lifeS })
  })
  afterAll(() => sts?.close())

  /** The credential configuration file, with its source of tokens. */
  const environment = (source: object) => ({
    GOOGLE_APPLICATION_CREDENTIALS: cloud.place(
      'credentials.json',
      JSON.stringify({
        type: 'external_account',
        audience: provider,
        subject_token_type: 'urn:ietf:params:oauth:token-type:jwt',
        token_url: `${sts.url}/v1/token`,
        credential_source: source,
      }),
    ),
  })
  /** Its environment names a file, and that the double. */
  const withGoogle = <T>(own: Readonly<Record<string, string>>, use: (client: ClientProcess) => Promise<T>) =>
    withClient('google', own, use, { ports: [Number(new URL(sts.url).port)] })
  const sent = (at: number) => new URLSearchParams(Buffer.from(sts.received.at(at)?.body ?? []).toString())
  const refusal = async (text: string) => {
    const file = cloud.place('refused', text)
    const answer = await withGoogle(environment({ file }), (client) => client.ask())
    return answer.ok ? 'accepted' : answer.message
  }

  it('exchanges the bytes of our token file for an access token', async () => {
    const file = await cloud.tokenFile()
    const token = readFileSync(file, 'utf8')
    const value = await withGoogle(environment({ file }), (client) => client.obtain())
    expect(value).toEqual({ token: sts.issued.at(-1) })
    expect(sts.received.at(-1)?.headers.authorization).toBeUndefined()
    expect(Object.fromEntries(sent(-1))).toMatchObject({
      grant_type: 'urn:ietf:params:oauth:grant-type:token-exchange',
      audience: provider,
      requested_token_type: 'urn:ietf:params:oauth:token-type:access_token',
      subject_token: token,
      subject_token_type: 'urn:ietf:params:oauth:token-type:jwt',
    })
  })

  it('exchanges the new token after the agent has replaced the file, while it lives', async () => {
    const file = await cloud.tokenFile()
    lifeS = 60
    const renewed = await withGoogle(environment({ file }), async (client) => {
      await client.obtain()
      const second = await cloud.renewTokenFile()
      await client.obtain()
      return second
    }).finally(() => {
      lifeS = 3600
    })
    expect(sent(-1).get('subject_token')).toBe(renewed)
  })

  it('takes the token out of a file of JSON too (API-156)', async () => {
    const token = await cloud.token()
    const file = cloud.place('good.json', JSON.stringify({ id_token: token, expires_at: 1 }))
    const format = { type: 'json', subject_token_field_name: 'id_token' }
    await withGoogle(environment({ file, format }), (client) => client.obtain())
    expect(sent(-1).get('subject_token')).toBe(token)
  })

  it(`makes ${exchanges} exchanges while it lives and the file is replaced as often, and every one is accepted`, async () => {
    const tokens = [await cloud.token(), await cloud.token({ fresh: true })]
    const file = cloud.place('busy', tokens[0] ?? '')
    let running = true
    const rewriting = (async () => {
      for (let turn = 0; running || turn < exchanges; turn++) {
        cloud.place('busy', tokens[turn % 2] ?? '')
        await new Promise((resolve) => setImmediate(resolve))
      }
    })()
    const before = sts.issued.length
    lifeS = 60
    await withGoogle(environment({ file }), async (client) => {
      for (let turn = 0; turn < exchanges; turn++) await client.obtain()
    }).finally(() => {
      lifeS = 3600
      running = false
    })
    await rewriting
    expect(sts.issued.length - before).toBe(exchanges)
    const carried = new Set(sts.received.slice(-exchanges).map((_, at) => sent(at - exchanges).get('subject_token')))
    expect(carried).toEqual(new Set(tokens))
  })

  it('is refused behind a newline, which it sends on (RC-07, TOK-153)', async () => {
    const token = await cloud.token()
    expect(await refusal(`${token}\n`)).toContain('Error code invalid_grant')
    expect(Buffer.from(sts.received.at(-1)?.body ?? []).toString()).toContain(`${token}%0A`)
  })

  it('is refused when the token has expired, and the message has the reason', async () => {
    const token = await cloud.token()
    nowMs = () => Date.now() + 16 * 60_000
    try {
      expect(await refusal(token)).toContain('Error code invalid_grant: expired')
    } finally {
      nowMs = Date.now
    }
  })

  it.each<[string, (claims: Record<string, unknown>) => void, string]>([
    ['another audience', (claims) => Object.assign(claims, { aud: 'other' }), 'invalid_grant: audience'],
    ['no subject', (claims) => delete claims['sub'], 'invalid_grant: subject'],
    ['a subject of 128 bytes', (claims) => Object.assign(claims, { sub: 's'.repeat(128) }), '127 bytes'],
    ['a life of more than 48 h', (claims) => Object.assign(claims, { exp: Number(claims['iat']) + 172_801 }), 'times'],
  ])('is refused with a token of %s', async (_, change, says) => {
    expect(await refusal(await cloud.resigned(await cloud.token(), change))).toContain(says)
  })

  describe('with `attestd gcp` as its executable (API-158)', () => {
    const executable = (program: string, socket: string, more: object = {}) => ({
      ...environment({
        executable: {
          command: `${process.execPath} ${program} gcp --socket ${socket}`,
          timeout_millis: 10_000,
          ...more,
        },
      }),
      GOOGLE_EXTERNAL_ACCOUNT_ALLOW_EXECUTABLES: '1',
    })
    const api = () => cloud.agent().home.path('api.sock')

    it('exchanges the token for the audience that the library names', async () => {
      const token = await cloud.token()
      const own = executable(await builtProgram(), api())
      const value = await withGoogle(own, (client) => client.obtain())
      expect([value, sent(-1).get('subject_token')]).toEqual([{ token: sts.issued.at(-1) }, token])
    })

    it('reads the output file in place of running it again', async () => {
      const file = cloud.path('answer.json')
      const own = executable(await builtProgram(), api(), { output_file: file })
      await withGoogle(own, (client) => client.obtain())
      const { success, id_token: kept, expiration_time: until } = JSON.parse(readFileSync(file, 'utf8'))
      expect([success, kept, until]).toEqual([true, sent(-1).get('subject_token'), partOf(kept, 'payload')['exp']])
      const absent = executable(await builtProgram(), cloud.path('nobody.sock'), { output_file: file })
      await withGoogle(absent, (client) => client.obtain())
      expect(sent(-1).get('subject_token')).toBe(kept)
    })

    it('passes on why there is no token', async () => {
      const absent = executable(await builtProgram(), cloud.path('nobody.sock'))
      const answer = await withGoogle(absent, (client) => client.ask())
      expect(answer).toMatchObject({ ok: false, code: '1', message: expect.stringContaining('AGENT_NOT_REACHED') })
    })
  })

  it('reads only regular files', async () => {
    const answer = await withGoogle(environment({ file: cloud.path('missing') }), (client) => client.ask())
    expect(answer).toMatchObject({ ok: false, message: expect.stringContaining('is not a file') })
  })
})
