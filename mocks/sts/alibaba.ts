import { randomBytes } from 'node:crypto'
import { CloudError } from './cloud-error.ts'
import {
  type DoubleAnswer,
  type HttpDouble,
  openHttpDouble,
  type ReceivedRequest,
  type ServerTls,
} from './double-server.ts'
import type { IssuedCredentials, StsOptions } from './issued-credentials.ts'
import { type JudgedToken, judgeToken, type Refusal, type RegisteredIssuer, TokenRefused } from './judge-token.ts'

const json = (status: number, document: object): DoubleAnswer => ({
  status,
  type: 'application/json;charset=utf-8',
  body: JSON.stringify(document),
})
const requestId = () => crypto.randomUUID().toUpperCase()

function errorAnswer({ status, code, message }: CloudError): DoubleAnswer {
  return json(status, { RequestId: requestId(), HostId: 'sts.aliyuncs.com', Code: code, Message: message })
}

const tokenError = (code: string, message: string) =>
  new CloudError(400, `AuthenticationFail.OIDCToken.${code}`, message)
const malformed = () => tokenError('Invalid', 'This JsonWebToken is invalid.')
const expired = () => tokenError('Expired', 'This JsonWebToken is expired.')

const refusals: Readonly<Record<Refusal, () => CloudError>> = {
  length: malformed,
  syntax: malformed,
  algorithm: malformed,
  issuer: () => tokenError('IssuerNotMatch', 'The issuer of the token does not match the OIDC provider.'),
  keys: () => tokenError('IssuerConfigurationBroken', 'The configuration of the issuer cannot be fetched.'),
  signature: malformed,
  audience: () => tokenError('AudienceNotMatch', 'The audience of the token does not match the OIDC provider.'),
  times: malformed,
  expired,
  subject: () => new CloudError(403, 'AuthenticationFail.NoPermission', 'This operation is not permitted.'),
}

interface OidcRequest {
  readonly providerArn: string
  readonly roleArn: string
  readonly sessionName: string
  readonly token: string
  readonly durationS: number
}

/** Parameters may be in the query, in the form or, for the newer protocol, in headers; the parameter wins. */
function parameterIn({ target, headers, body }: ReceivedRequest): (name: string, header?: string) => string {
  const query = new URLSearchParams(target.split('?')[1] ?? '')
  const form = new URLSearchParams(Buffer.from(body).toString())
  return (name, header) => {
    const given = [...query.getAll(name), ...form.getAll(name)]
    if (given.length > 1) throw new CloudError(400, 'InvalidParameter', `${name} is given twice`)
    const inHeader = header === undefined ? undefined : headers[header]
    return given[0] ?? (typeof inHeader === 'string' ? inHeader : '')
  }
}

function readRequest(request: ReceivedRequest): OidcRequest {
  const parameter = parameterIn(request)
  const [action, version] = [parameter('Action', 'x-acs-action'), parameter('Version', 'x-acs-version')]
  if (request.method !== 'POST' || action !== 'AssumeRoleWithOIDC' || version !== '2015-04-01') {
    throw new CloudError(404, 'InvalidAction.NotFound', 'Specified api is not found.')
  }
  if (request.headers.authorization !== undefined) throw new CloudError(400, 'InvalidParameter', 'it is not signed')
  const duration = parameter('DurationSeconds')
  const durationS = duration === '' ? 3600 : Number(duration)
  if (!(durationS >= 900 && durationS <= 43_200)) {
    throw new CloudError(400, 'InvalidParameter.DurationSeconds', 'The specified DurationSeconds is invalid.')
  }
  const sessionName = parameter('RoleSessionName')
  if (!/^[A-Za-z0-9.@_-]{2,64}$/.test(sessionName)) {
    throw new CloudError(400, 'InvalidParameter.RoleSessionName', 'The specified RoleSessionName is invalid.')
  }
  const [providerArn, roleArn, token] = [parameter('OIDCProviderArn'), parameter('RoleArn'), parameter('OIDCToken')]
  return { providerArn, roleArn, token, sessionName, durationS }
}

function credentialsAnswer(issued: IssuedCredentials, judged: JudgedToken, asked: OidcRequest): DoubleAnswer {
  const time = (seconds: number) => `${new Date(seconds * 1000).toISOString().slice(0, 19)}Z`
  return json(200, {
    RequestId: requestId(),
    OIDCTokenInfo: {
      Subject: judged.subject,
      Issuer: judged.issuer,
      ClientIds: judged.audience,
      ExpirationTime: time(judged.expiresAt),
      IssuanceTime: time(judged.issuedAt),
      VerificationInfo: 'Success',
    },
    AssumedRoleUser: {
      Arn: `${asked.roleArn.replace(':role/', ':assumed-role/')}/${asked.sessionName}`,
      AssumedRoleId: `33157794895460****:${asked.sessionName}`,
    },
    Credentials: {
      AccessKeyId: issued.accessKeyId,
      AccessKeySecret: issued.secret,
      SecurityToken: issued.securityToken,
      Expiration: issued.expiration,
    },
  })
}

function issue(expiresAtS: number): IssuedCredentials {
  return {
    accessKeyId: `STS.${randomBytes(12).toString('hex')}`,
    secret: randomBytes(22).toString('base64url'),
    securityToken: randomBytes(96).toString('base64'),
    expiration: `${new Date(expiresAtS * 1000).toISOString().slice(0, 19)}Z`,
  }
}

export interface AlibabaStsOptions extends StsOptions {
  readonly providerArn: string
}

/** A double of Alibaba Cloud's STS: unsigned `AssumeRoleWithOIDC` for one role and one OIDC provider. */
export interface AlibabaSts extends HttpDouble {
  /** What it gave, the oldest first. */
  readonly issued: readonly IssuedCredentials[]
}

/** Opens the double on loopback; IssuanceLimitTime of its provider is 12 hours, the default of the cloud. */
export async function openAlibabaSts(options: AlibabaStsOptions, tls?: ServerTls): Promise<AlibabaSts> {
  const { issuer, audiences, roleArn, providerArn, subject, now = Date.now, lifeS } = options
  const registered: RegisteredIssuer = { issuer, audiences, algorithms: ['RS256'], longestAgeS: 43_200 }
  const issued: IssuedCredentials[] = []
  const answer = async (request: ReceivedRequest): Promise<DoubleAnswer> => {
    const nowS = Math.floor(now() / 1000)
    try {
      const asked = readRequest(request)
      if (asked.providerArn !== providerArn) {
        throw new CloudError(404, 'EntityNotExist.OIDCProvider', 'The OIDC provider does not exist.')
      }
      if (asked.roleArn !== roleArn) throw new CloudError(404, 'EntityNotExist.Role', 'The role does not exist.')
      const judged = await judgeToken(asked.token, registered, nowS)
      if (subject !== undefined && judged.subject !== subject) throw refusals.subject()
      const credentials = issue(nowS + (lifeS?.() ?? asked.durationS))
      issued.push(credentials)
      return credentialsAnswer(credentials, judged, asked)
    } catch (error) {
      if (error instanceof CloudError) return errorAnswer(error)
      if (error instanceof TokenRefused) return errorAnswer(refusals[error.why]())
      throw error
    }
  }
  return Object.assign(await openHttpDouble(answer, tls), { issued })
}
