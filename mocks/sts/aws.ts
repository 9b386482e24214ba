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

const namespace = 'https://sts.amazonaws.com/doc/2011-06-15/'
const algorithms = ['RS256', 'RS384', 'RS512', 'ES256', 'ES384', 'ES512']

const escaped = (text: string) => text.replace(/[&<>"']/g, (one) => `&#${one.charCodeAt(0)};`)

function errorAnswer({ status, code, message }: CloudError): DoubleAnswer {
  const body = `<ErrorResponse xmlns="${namespace}">
  <Error>
    <Type>Sender</Type>
    <Code>${code}</Code>
    <Message>${escaped(message)}</Message>
  </Error>
  <RequestId>${crypto.randomUUID()}</RequestId>
</ErrorResponse>
`
  return { status, type: 'text/xml', body }
}

const invalid = (message: string) => new CloudError(400, 'InvalidIdentityToken', message)
const validation = (name: string, rule: string) =>
  new CloudError(
    400,
    'ValidationError',
    `1 validation error detected: Value at '${name}' failed to satisfy constraint: ${rule}`,
  )

const refusals: Readonly<Record<Refusal, (says: string) => CloudError>> = {
  length: () => validation('webIdentityToken', 'Member must have length between 4 and 20000'),
  syntax: () =>
    invalid('The ID Token provided is not a valid JWT. (You may see this error if you sent an Access Token)'),
  algorithm: () => invalid('The ID Token is signed with an algorithm that is not supported'),
  issuer: () => invalid('No OpenIDConnect provider found in your account for the issuer of the token'),
  keys: () =>
    new CloudError(400, 'IDPCommunicationError', "Couldn't retrieve verification key from your identity provider"),
  signature: () => invalid('The ID Token signature could not be validated'),
  audience: () => invalid('Incorrect token audience'),
  times: () => invalid('Token has an iat or exp that is not valid'),
  expired: (says) => new CloudError(400, 'ExpiredTokenException', `Token expired: ${says}`),
  subject: () => invalid('Missing a required claim: sub'),
}

interface WebIdentityRequest {
  readonly roleArn: string
  readonly sessionName: string
  readonly token: string
  readonly durationS: number
}

function readRequest({ method, headers, body }: ReceivedRequest): WebIdentityRequest {
  if (method !== 'POST') throw new CloudError(405, 'MethodNotAllowed', 'use POST')
  if (headers.authorization !== undefined) throw new CloudError(403, 'SignatureDoesNotMatch', 'this call is not signed')
  if (headers['content-type']?.split(';')[0] !== 'application/x-www-form-urlencoded') {
    throw new CloudError(404, 'UnknownOperationException', 'not a form')
  }
  const form = new URLSearchParams(Buffer.from(body).toString())
  const field = (name: string) => form.get(name) ?? ''
  if (field('Action') !== 'AssumeRoleWithWebIdentity' || field('Version') !== '2011-06-15') {
    throw new CloudError(400, 'InvalidAction', 'Could not find operation for this version')
  }
  const [roleArn, sessionName, duration] = [field('RoleArn'), field('RoleSessionName'), field('DurationSeconds')]
  if (!/^[\w+=,.@-]{2,64}$/.test(sessionName)) throw validation('roleSessionName', '[\\w+=,.@-]*, 2 to 64 characters')
  if (roleArn.length < 20) throw validation('roleArn', 'Member must have length greater than or equal to 20')
  const durationS = duration === '' ? 3600 : Number(duration)
  if (!(durationS >= 900 && durationS <= 43_200)) throw validation('durationSeconds', '900 to 43200')
  return { roleArn, sessionName, durationS, token: field('WebIdentityToken') }
}

function credentialsAnswer(issued: IssuedCredentials, judged: JudgedToken, asked: WebIdentityRequest): DoubleAnswer {
  const role = asked.roleArn.split('/').at(-1)
  const body = `<AssumeRoleWithWebIdentityResponse xmlns="${namespace}">
  <AssumeRoleWithWebIdentityResult>
    <Audience>${escaped(judged.audience)}</Audience>
    <AssumedRoleUser>
      <AssumedRoleId>AROACLKWSDQRAOEXAMPLE:${asked.sessionName}</AssumedRoleId>
      <Arn>arn:aws:sts::123456789012:assumed-role/${role}/${asked.sessionName}</Arn>
    </AssumedRoleUser>
    <Provider>${escaped(judged.issuer.replace(/^https?:\/\//, ''))}</Provider>
    <SubjectFromWebIdentityToken>${escaped(judged.subject)}</SubjectFromWebIdentityToken>
    <Credentials>
      <AccessKeyId>${issued.accessKeyId}</AccessKeyId>
      <SecretAccessKey>${escaped(issued.secret)}</SecretAccessKey>
      <SessionToken>${escaped(issued.securityToken)}</SessionToken>
      <Expiration>${issued.expiration}</Expiration>
    </Credentials>
  </AssumeRoleWithWebIdentityResult>
  <ResponseMetadata>
    <RequestId>${crypto.randomUUID()}</RequestId>
  </ResponseMetadata>
</AssumeRoleWithWebIdentityResponse>
`
  return { status: 200, type: 'text/xml', body }
}

function issue(expiresAtS: number): IssuedCredentials {
  return {
    accessKeyId: `ASIA${randomBytes(8).toString('hex').toUpperCase()}`,
    secret: randomBytes(30).toString('base64'),
    securityToken: randomBytes(96).toString('base64'),
    expiration: `${new Date(expiresAtS * 1000).toISOString().slice(0, 19)}Z`,
  }
}

/** A double of AWS STS: unsigned `AssumeRoleWithWebIdentity` for one role and one registered issuer. */
export interface AwsSts extends HttpDouble {
  /** What it gave, the oldest first. */
  readonly issued: readonly IssuedCredentials[]
}

/**
 * Opens the double on loopback. The trust policy of its one role demands the registered audience, and the subject where
 * `options.subject` names one.
 */
export async function openAwsSts(options: StsOptions, tls?: ServerTls): Promise<AwsSts> {
  const { issuer, audiences, roleArn, subject, now = Date.now, lifeS } = options
  const registered: RegisteredIssuer = { issuer, audiences, algorithms, longestAgeS: 86_400 }
  const issued: IssuedCredentials[] = []
  const answer = async (request: ReceivedRequest): Promise<DoubleAnswer> => {
    const nowS = Math.floor(now() / 1000)
    try {
      const asked = readRequest(request)
      const judged = await judgeToken(asked.token, registered, nowS)
      if (asked.roleArn !== roleArn || (subject !== undefined && judged.subject !== subject)) {
        throw new CloudError(403, 'AccessDenied', 'Not authorized to perform sts:AssumeRoleWithWebIdentity')
      }
      const credentials = issue(nowS + (lifeS?.() ?? asked.durationS))
      issued.push(credentials)
      return credentialsAnswer(credentials, judged, asked)
    } catch (error) {
      if (error instanceof CloudError) return errorAnswer(error)
      if (error instanceof TokenRefused) return errorAnswer(refusals[error.why](error.message))
      throw error
    }
  }
  return Object.assign(await openHttpDouble(answer, tls), { issued })
}
