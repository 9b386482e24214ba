import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type Entra, openEntra } from '../../mocks/sts/entra.ts'
import { partOf } from '../support/agent-process.ts'
import { withClient } from '../support/client-process.ts'
import { useCloudAgent } from '../support/cloud-agent.ts'
import { haveSwtpm } from '../support/swtpm.ts'
import { throwAwayTls } from '../support/throw-away-tls.ts'

/** API-159: `WorkloadIdentityCredential` of `@azure/identity` with our federated token file, at a double of Entra. */

const audience = 'api://AzureADTokenExchange'
const tenant = '11111111-2222-3333-4444-555555555555'
const clientId = '66666666-7777-8888-9999-000000000000'

describe.skipIf(!haveSwtpm)('the workload identity credential of Azure', () => {
  const cloud = useCloudAgent({ audience })
  const tls = throwAwayTls()
  let entra: Entra
  let nowMs: () => number = Date.now

  beforeAll(async () => {
    const subject = String(partOf(await cloud.token(), 'payload')['sub'])
    const credential = { tenant, clientId, issuer: cloud.issuer(), subject, audience }
    entra = await openEntra({ ...credential, now: () => nowMs() }, tls.server)
  })
  afterAll(() => entra?.close())

  const environment = (file: string) => ({
    AZURE_FEDERATED_TOKEN_FILE: file,
    AZURE_CLIENT_ID: clientId,
    AZURE_TENANT_ID: tenant,
    AZURE_AUTHORITY_HOST: `https://localhost:${entra.host.split(':')[1]}`,
    NODE_EXTRA_CA_CERTS: cloud.place('ca.pem', tls.ca),
  })
  const ask = (name: string, text: string) =>
    withClient('azure', environment(cloud.place(name, text)), (client) =>
      client.ask('https://vault.azure.net/.default'),
    )
  const assertion = () =>
    new URLSearchParams(Buffer.from(entra.received.at(-1)?.body ?? []).toString()).get('client_assertion')
  const refusal = async (text: string) => {
    const answer = await ask('refused', text)
    return answer.ok ? 'accepted' : answer.message
  }

  it('gets an access token for the token of the file', async () => {
    const token = await cloud.token()
    const answer = await ask('good', token)
    expect(answer).toEqual({ ok: true, value: { token: entra.issued.at(-1) } })
    expect(assertion()).toBe(token)
  })

  it('reads the file again for a credential of its own, after it was replaced', async () => {
    const [first, second] = [await cloud.token(), await cloud.token({ fresh: true })]
    const file = cloud.place('rotated', first)
    await withClient('azure', environment(file), async (client) => {
      await client.obtain('https://vault.azure.net/.default')
      cloud.place('rotated', second)
      await client.obtain('https://storage.azure.com/.default')
    })
    expect(assertion()).toBe(second)
  })

  it('is refused when the token has expired', async () => {
    const token = await cloud.token()
    nowMs = () => Date.now() + 16 * 60_000
    try {
      expect(await refusal(token)).toContain('AADSTS700024')
    } finally {
      nowMs = Date.now
    }
  })

  it.each<[string, (claims: Record<string, unknown>) => void, string]>([
    ['another audience', (claims) => Object.assign(claims, { aud: 'other' }), 'AADSTS700212'],
    ['another subject', (claims) => Object.assign(claims, { sub: 'other' }), 'AADSTS700213'],
    ['no subject', (claims) => delete claims['sub'], 'AADSTS700213'],
    ['another issuer', (claims) => Object.assign(claims, { iss: 'https://other.example' }), 'AADSTS700211'],
  ])('is refused with a token of %s', async (_, change, code) => {
    expect(await refusal(await cloud.resigned(await cloud.token(), change))).toContain(code)
  })

  it('cuts a newline behind the token off, other than the clients of other clouds', async () => {
    const token = await cloud.token()
    expect((await ask('newline', `${token}\n`)).ok).toBe(true)
    expect(assertion()).toBe(token)
  })
})
