import type { AttestdError } from '../../base/errors.ts'
import type { CloudCredentials } from '../../results/cloud-credentials.ts'
import type { Exchange } from '../exchange.ts'
import { shownDetail } from '../problem.ts'
import { type CloudSurfaceSettings, credentialSurface, expirationText } from './cloud-credentials.ts'
import type { ConsumerSecrets } from './consumer-secrets.ts'
import type { Surface, SurfaceError } from './surface.ts'

function encodeError({ status, code, message }: AttestdError): SurfaceError {
  return { status, type: 'application/json', body: JSON.stringify({ code, message: shownDetail(message) }) }
}

function encodeCredentials(credentials: CloudCredentials): string {
  const { accessKeyId: AccessKeyId, secret: SecretAccessKey, securityToken: Token } = credentials
  return JSON.stringify({ AccessKeyId, SecretAccessKey, Token, Expiration: expirationText(credentials) })
}

/** A consumer that does not exist is told as a wrong secret is: names are not found out by asking. */
function requireConsumer(exchange: Exchange, secrets: ConsumerSecrets): string {
  return secrets.requireConsumer(exchange.soleHeader('authorization'), exchange.parameter ?? '')
}

/**
 * The container credentials of AWS (API-153): `GET /aws/<consumer>` with the secret of the consumer as the whole of
 * `Authorization`, which SDKs read from the file that `AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE` names. Errors are
 * `{"code","message"}`.
 */
export function awsContainer(settings: CloudSurfaceSettings): Surface {
  const [listener, path] = ['tcp:aws_container', '/aws/{consumer}']
  return credentialSurface({ listener, path, requireConsumer, encodeCredentials, encodeError }, settings)
}
