import type { AttestdError } from '../../base/errors.ts'
import type { CloudCredentials } from '../../results/cloud-credentials.ts'
import type { ApiContext } from '../api-context.ts'
import { workloadApiErrors } from '../errors.ts'
import type { Exchange } from '../exchange.ts'
import { shownDetail } from '../problem.ts'
import { answerCredentials, type CloudSurfaceSettings, consumerAt, expirationText } from './cloud-credentials.ts'
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
async function serveCredentials(
  context: ApiContext,
  exchange: Exchange,
  settings: CloudSurfaceSettings,
): Promise<void> {
  exchange.queryMembers({})
  const [name = '', secret = ''] = exchange.parameters
  const consumer = consumerAt(exchange, settings)
  if (settings.secrets.consumerOf(secret) !== name || consumer === null) {
    throw workloadApiErrors.error('not_found', 'there is no such route here')
  }
  await answerCredentials(context, { exchange, consumer }, settings, encodeCredentials)
}

/**
 * The credentials URI of Alibaba Cloud (API-155): `GET /ali/<consumer>/<secret>`, for the convention has no place for a
 * secret but the path; a rule about the user of the process is needed besides (API-124).
 */
export function alibabaUri(settings: CloudSurfaceSettings): Surface {
  return {
    listener: 'tcp:alibaba_uri',
    encodeError,
    routes: (context) => [
      {
        method: 'GET',
        path: '/ali/{consumer}/{secret}',
        caller: true,
        handle: (exchange) => serveCredentials(context, exchange, settings),
      },
    ],
  }
}
