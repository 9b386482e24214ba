import { readFileSync } from 'node:fs'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type Entra, openEntra } from '../../mocks/sts/entra.ts'
import { partOf } from '../support/agent-process.ts'
import { withClient } from '../support/client-process.ts'
import { useCloudAgent } from '../support/cloud-agent.ts'
import { provedByClient } from '../support/proved-by-client.ts'
import { haveSwtpm } from '../support/swtpm.ts'
import { throwAwayTls } from '../support/throw-away-tls.ts'

/** API-159: `WorkloadIdentityCredential` of `@azure/identity` with our federated token file, at a double of Entra. */

const audience = 'api://AzureADTokenExchange'
const tenant = '11111111-2222-3333-4444-555555555555'
const scope = 'https://vault.azure.net/.default'
const clientId = '66666666-7777-8888-9999-000000000000'

provedByClient({ packages: ['@azure/identity'], doing: 'Azure: a federated token file' })

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
    withClient('azure', environment(cloud.place(name, text)), (client) => client.ask(scope))
  const assertion = () =>
    new URLSearchParams(Buffer.from(entra.received.at(-1)?.body ?? []).toString()).get('client_assertion')
  const refusal = async (text: string) => {
    const answer = await ask('refused', text)
    return answer.ok ? 'accepted' : answer.message
  }

  it('gets an access token for the token of our file', async () => {
    const file = await cloud.tokenFile()
    const token = readFileSync(file, 'utf8')
    const answer = await withClient('azure', environment(file), (client) => client.ask(scope))
    expect(answer).toEqual({ ok: true, value: { token: entra.issued.at(-1) } })
    expect(assertion()).toBe(token)
  })

  it('reads the file again for a credential of its own, after the agent has replaced it', async () => {
    const file = await cloud.tokenFile()
    const second = await withClient('azure', environment(file), async (client) => {
      await client.obtain(scope)
      const renewed = await cloud.renewTokenFile()
      await client.obtain('https://storage.azure.com/.default')
      return renewed
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
