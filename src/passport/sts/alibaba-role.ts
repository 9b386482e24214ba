import { isJsonObject, type JsonObject, parseJsonObject } from '../../base/json.ts'
import type { CloudCredentials } from '../../results/cloud-credentials.ts'
import type { AttestationAnswer } from '../remote/attestation-transport.ts'
import { type CredentialTexts, requireCredentials } from './credential-texts.ts'
import { type CloudRole, requireTokenSize } from './role.ts'
import { parsedOrNull, postForm, type StsParts, stsRefused } from './sts-exchange.ts'

export interface AlibabaRole extends CloudRole {
  readonly oidcProviderArn: string
}

const transient =
  /^(?:Throttling(?:\..*)?|ServiceUnavailable|InternalError|AuthenticationFail\.OIDCToken\.IssuerConfigurationBroken)$/

function documentIn({ body }: AttestationAnswer): JsonObject | null {
  return parsedOrNull(() => parseJsonObject(body, 'answer', { maxDepth: 4, maxItems: 64 }))
}

const textAt = (object: JsonObject | null, name: string): string | null => {
  const value = object?.[name]
  return typeof value === 'string' ? value : null
}

function textsIn(document: JsonObject | null): CredentialTexts | null {
  const given = document?.['Credentials']
  if (given === undefined || !isJsonObject(given)) return null
  return {
    accessKeyId: textAt(given, 'AccessKeyId'),
    secret: textAt(given, 'AccessKeySecret'),
    securityToken: textAt(given, 'SecurityToken'),
    expiration: textAt(given, 'Expiration'),
  }
}

/** The parameters of every call are in the query, as the service's own clients send them; the token is in the body. */
function urlOf({ endpoint }: CloudRole, now: number): URL {
  const url = new URL(endpoint)
  const Timestamp = `${new Date(now).toISOString().slice(0, 19)}Z`
  url.search = String(
    new URLSearchParams({ Action: 'AssumeRoleWithOIDC', Version: '2015-04-01', Format: 'JSON', Timestamp }),
  )
  return url
}

/**
 * `AssumeRoleWithOIDC` of Alibaba Cloud's STS (API-155): gives the credentials of the role for this token. Nothing of the
 * token is verified here. Throws one of `stsErrors`, or the reason of `signal`; neither token nor credentials are in any
 * message.
 */
export async function assumeAlibabaRole(
  role: AlibabaRole,
  token: string,
  parts: StsParts,
  signal: AbortSignal,
): Promise<CloudCredentials> {
  requireTokenSize(token)
  const form = new URLSearchParams({
    OIDCProviderArn: role.oidcProviderArn,
    RoleArn: role.roleArn,
    RoleSessionName: role.sessionName,
    DurationSeconds: String(role.durationS),
    OIDCToken: token,
  })
  const answer = await postForm({ url: urlOf(role, parts.clock.now()), form }, parts, signal)
  const document = documentIn(answer)
  const now = parts.clock.now()
  const texts = answer.status === 200 ? textsIn(document) : null
  if (texts !== null) return requireCredentials(texts, Math.floor(now / 1000))
  const { origin: endpoint } = role.endpoint
  throw stsRefused(answer, { endpoint, code: textAt(document, 'Code'), transient, now })
}
