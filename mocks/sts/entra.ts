import { randomBytes } from 'node:crypto'
import {
  type DoubleAnswer,
  type HttpDouble,
  openHttpDouble,
  type ReceivedRequest,
  type ServerTls,
} from './double-server.ts'
import { judgeToken, type Refusal, TokenRefused } from './judge-token.ts'

/** A federated identity credential of an application: issuer, subject and the one audience, all exact. */
export interface FederatedCredential {
  readonly tenant: string
  readonly clientId: string
  readonly issuer: string
  readonly subject: string
  readonly audience: string
  /** Milliseconds since the epoch; default the clock of this process. */
  readonly now?: () => number
}

/** A double of Microsoft Entra's token endpoint, for client assertions of one application. */
export interface Entra extends HttpDouble {
  /** Access tokens that it gave, the oldest first. */
  readonly issued: readonly string[]
}

const assertionType = 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer'

const refusals: Readonly<Record<Refusal, string>> = {
  length: 'AADSTS50027: JWT token is invalid or malformed.',
  syntax: 'AADSTS50027: JWT token is invalid or malformed.',
  algorithm: 'AADSTS700027: The assertion has an algorithm that is not supported.',
  issuer: 'AADSTS700211: No matching federated identity record found for presented assertion issuer.',
  keys: 'AADSTS50166: The request to the external OIDC endpoint failed.',
  signature: 'AADSTS700027: The signature of the assertion could not be validated.',
  audience: 'AADSTS700212: No matching federated identity record found for presented assertion audience.',
  times: 'AADSTS700024: Client assertion is not within its valid time range.',
  expired: 'AADSTS700024: Client assertion is not within its valid time range.',
  subject: 'AADSTS700213: No matching federated identity record found for presented assertion subject.',
}

const json = (status: number, document: object): DoubleAnswer => ({
  status,
  type: 'application/json; charset=utf-8',
  body: JSON.stringify(document),
})

/** What a client library looks at before it asks for a token. */
function discovery({ headers }: ReceivedRequest, tenant: string): DoubleAnswer {
  const base = `https://${headers.host}/${tenant}`
  return json(200, {
    issuer: `${base}/v2.0`,
    token_endpoint: `${base}/oauth2/v2.0/token`,
    authorization_endpoint: `${base}/oauth2/v2.0/authorize`,
    jwks_uri: `${base}/discovery/v2.0/keys`,
  })
}

function requireFields(form: URLSearchParams, clientId: string): void {
  const expected = { grant_type: 'client_credentials', client_id: clientId, client_assertion_type: assertionType }
  for (const [name, value] of Object.entries(expected)) {
    if (form.get(name) !== value) throw new TokenRefused('syntax', `${name} is not ${value}`)
  }
}

export async function openEntra(credential: FederatedCredential, tls: ServerTls): Promise<Entra> {
  const { tenant, clientId, issuer, subject, audience, now = Date.now } = credential
  const registered = { issuer, audiences: [audience], algorithms: ['RS256'] }
  const issued: string[] = []
  const exchange = async ({ body }: ReceivedRequest): Promise<DoubleAnswer> => {
    const form = new URLSearchParams(Buffer.from(body).toString())
    requireFields(form, clientId)
    const judged = await judgeToken(form.get('client_assertion') ?? '', registered, Math.floor(now() / 1000))
    if (judged.subject !== subject) throw new TokenRefused('subject', 'another subject')
    const token = randomBytes(48).toString('base64url')
    issued.push(token)
    return json(200, { token_type: 'Bearer', expires_in: 3599, ext_expires_in: 3599, access_token: token })
  }
  const answer = async (request: ReceivedRequest): Promise<DoubleAnswer> => {
    const path = request.target.split('?')[0]
    if (path === `/${tenant}/v2.0/.well-known/openid-configuration`) return discovery(request, tenant)
    if (path !== `/${tenant}/oauth2/v2.0/token`) return json(404, { error: 'not_found' })
    try {
      return await exchange(request)
    } catch (error) {
      if (!(error instanceof TokenRefused)) throw error
      return json(401, { error: 'invalid_client', error_description: refusals[error.why] })
    }
  }
  return Object.assign(await openHttpDouble(answer, tls), { issued })
}
