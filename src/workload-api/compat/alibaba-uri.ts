import type { AttestdError } from '../../base/errors.ts'
import type { CloudCredentials } from '../../results/cloud-credentials.ts'
import { noSuchRoute } from '../errors.ts'
import type { Exchange } from '../exchange.ts'
import { shownDetail } from '../problem.ts'
import { type CloudSurfaceSettings, credentialSurface, expirationText } from './cloud-credentials.ts'
import type { ConsumerSecrets } from './consumer-secrets.ts'
import type { Surface, SurfaceError } from './surface.ts'

function encodeError({ status, code, message }: AttestdError): SurfaceError {
  return { status, type: 'application/json', body: JSON.stringify({ Code: code, Message: shownDetail(message) }) }
}

function encodeCredentials(credentials: CloudCredentials): string {
  const { accessKeyId: AccessKeyId, secret: AccessKeySecret, securityToken: SecurityToken } = credentials
  const Expiration = expirationText(credentials)
  return JSON.stringify({ Code: 'Success', AccessKeyId, AccessKeySecret, SecurityToken, Expiration })
}

/** The path is the secret: a wrong one is a path that does not exist, compared in constant time. */
function requireConsumer({ parameters }: Exchange, secrets: ConsumerSecrets): string {
  const [name = '', secret = ''] = parameters
  if (secrets.consumerOf(secret) === name) return name
  throw noSuchRoute()
}

/**
 * The credentials URI of Alibaba Cloud (API-155): `GET /ali/<consumer>/<secret>`, for the convention has no place for a
 * secret but the path; a rule about the user of the process is needed besides (API-124).
 */
export function alibabaUri(settings: CloudSurfaceSettings): Surface {
  const [listener, path] = ['tcp:alibaba_uri', '/ali/{consumer}/{secret}']
  return credentialSurface({ listener, path, requireConsumer, encodeCredentials, encodeError }, settings)
}
