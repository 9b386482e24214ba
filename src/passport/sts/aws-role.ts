import type { CloudCredentials } from '../../results/cloud-credentials.ts'
import type { AttestationAnswer } from '../remote/attestation-transport.ts'
import { type CredentialTexts, requireCredentials } from './credential-texts.ts'
import { type CloudRole, requireTokenSize } from './role.ts'
import { parsedOrNull, postForm, type StsParts, stsRefused } from './sts-exchange.ts'
import { elementAt, parseXml, type XmlElement } from './xml-elements.ts'

const transient =
  /^(?:IDPCommunicationError|Throttling|ThrottlingException|RequestLimitExceeded|ServiceUnavailable|InternalFailure)$/

function documentIn({ body }: AttestationAnswer): XmlElement | null {
  return parsedOrNull(() => parseXml(new TextDecoder('utf-8', { ignoreBOM: true }).decode(body)))
}

function codeIn(document: XmlElement | null): string | null {
  if (document?.name !== 'ErrorResponse') return null
  return elementAt(document, 'Error', 'Code')?.text ?? null
}

function textsIn(document: XmlElement | null): CredentialTexts | null {
  if (document?.name !== 'AssumeRoleWithWebIdentityResponse') return null
  const given = elementAt(document, 'AssumeRoleWithWebIdentityResult', 'Credentials')
  if (given === null) return null
  const text = (name: string) => elementAt(given, name)?.text ?? null
  return {
    accessKeyId: text('AccessKeyId'),
    secret: text('SecretAccessKey'),
    securityToken: text('SessionToken'),
    expiration: text('Expiration'),
  }
}

/**
 * `AssumeRoleWithWebIdentity` of AWS STS (API-153): gives the credentials of the role for this token. Nothing of the token is
 * verified here. Throws one of `stsErrors`, or the reason of `signal`; neither token nor credentials are in any message.
 */
export async function assumeAwsRole(
  { endpoint: url, roleArn, sessionName, durationS }: CloudRole,
  token: string,
  parts: StsParts,
  signal: AbortSignal,
): Promise<CloudCredentials> {
  requireTokenSize(token)
  const form = new URLSearchParams({
    Action: 'AssumeRoleWithWebIdentity',
    Version: '2011-06-15',
    RoleArn: roleArn,
    RoleSessionName: sessionName,
    DurationSeconds: String(durationS),
    WebIdentityToken: token,
  })
  const answer = await postForm({ url, form }, parts, signal)
  const document = documentIn(answer)
  const now = parts.clock.now()
  const texts = answer.status === 200 ? textsIn(document) : null
  if (texts !== null) return requireCredentials(texts, Math.floor(now / 1000))
  throw stsRefused(answer, { endpoint: url.origin, code: codeIn(document), transient, now })
}
