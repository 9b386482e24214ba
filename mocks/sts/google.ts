import { randomBytes } from 'node:crypto'
import { type DoubleAnswer, type HttpDouble, openHttpDouble, type ReceivedRequest } from './double-server.ts'
import { judgeToken, TokenRefused } from './judge-token.ts'

/** A workload identity pool provider as the owner of a project configured it. */
export interface GooglePoolOptions {
  readonly issuer: string
  /** `//iam.googleapis.com/projects/N/locations/global/workloadIdentityPools/P/providers/V`. */
  readonly provider: string
  /** Further audiences of tokens that are taken. */
  readonly allowedAudiences?: readonly string[]
  /** Milliseconds since the epoch; default the clock of this process. */
  readonly now?: () => number
  /** Life of the access tokens in seconds; clients ask anew when less than 300 are left. Default 3600. */
  readonly lifeS?: () => number
}

/** A double of Google's STS: the token exchange of RFC 8693 for one provider, at `url` + `/v1/token`. */
export interface GoogleSts extends HttpDouble {
  /** Access tokens that it gave, the oldest first. */
  readonly issued: readonly string[]
}

const longestSubject = 127
const idToken = 'urn:ietf:params:oauth:token-type:id_token'
const jwt = 'urn:ietf:params:oauth:token-type:jwt'
const accessToken = 'urn:ietf:params:oauth:token-type:access_token'

/** An error of RFC 6749 section 5.2. */
class OAuthError extends Error {
  readonly code: string

  constructor(code: string, says: string) {
    super(says)
    this.code = code
  }
}

const json = (status: number, document: object): DoubleAnswer => ({
  status,
  type: 'application/json; charset=UTF-8',
  body: JSON.stringify(document),
})

function readRequest({ method, target, headers, body }: ReceivedRequest): URLSearchParams {
  if (method !== 'POST' || target !== '/v1/token') throw new OAuthError('invalid_request', 'not the token endpoint')
  if (headers.authorization !== undefined) throw new OAuthError('invalid_client', 'no client authentication here')
  const form = new URLSearchParams(Buffer.from(body).toString())
  const required: Readonly<Record<string, readonly string[]>> = {
    grant_type: ['urn:ietf:params:oauth:grant-type:token-exchange'],
    requested_token_type: [accessToken],
    subject_token_type: [jwt, idToken],
  }
  for (const [name, values] of Object.entries(required)) {
    const given = form.getAll(name)
    if (given.length !== 1 || !values.includes(given[0] ?? ''))
      throw new OAuthError('invalid_request', `Invalid ${name}`)
  }
  if (!form.get('scope')) throw new OAuthError('invalid_request', 'Missing required parameter: scope')
  return form
}

export async function openGoogleSts({
  issuer,
  provider,
  allowedAudiences = [],
  now = Date.now,
  lifeS = () => 3600,
}: GooglePoolOptions): Promise<GoogleSts> {
  const issued: string[] = []
  // A list of allowed audiences replaces the two names of the provider.
  const audiences = allowedAudiences.length > 0 ? allowedAudiences : [provider, `https:${provider}`]
  const registered = { issuer, audiences, algorithms: ['RS256', 'ES256'], longestLifeS: 172_800 }
  const exchange = async (form: URLSearchParams): Promise<DoubleAnswer> => {
    if (form.get('audience') !== provider) throw new OAuthError('invalid_target', 'The target service is not known.')
    const { subject } = await judgeToken(form.get('subject_token') ?? '', registered, Math.floor(now() / 1000))
    if (Buffer.byteLength(subject) > longestSubject) {
      throw new OAuthError('invalid_request', 'The mapped google.subject is longer than 127 bytes.')
    }
    const token = `ya29.d.${randomBytes(48).toString('base64url')}`
    issued.push(token)
    return json(200, { access_token: token, issued_token_type: accessToken, token_type: 'Bearer', expires_in: lifeS() })
  }
  const answer = async (request: ReceivedRequest): Promise<DoubleAnswer> => {
    try {
      return await exchange(readRequest(request))
    } catch (error) {
      if (error instanceof OAuthError) return json(400, { error: error.code, error_description: error.message })
      if (!(error instanceof TokenRefused)) throw error
      return json(400, { error: 'invalid_grant', error_description: `${error.why}: ${error.message}` })
    }
  }
  return Object.assign(await openHttpDouble(answer), { issued })
}
