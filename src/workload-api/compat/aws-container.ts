import type { AttestdError } from '../../base/errors.ts'
import type { CloudCredentials } from '../../results/cloud-credentials.ts'
import type { ApiContext } from '../api-context.ts'
import type { Exchange } from '../exchange.ts'
import { shownDetail } from '../problem.ts'
import { answerCredentials, type CloudSurfaceSettings, consumerAt, expirationText } from './cloud-credentials.ts'
import type { Surface, SurfaceError } from './surface.ts'

function encodeError({ status, code, message }: AttestdError): SurfaceError {
  return { status, type: 'application/json', body: JSON.stringify({ code, message: shownDetail(message) }) }
}

function encodeCredentials(credentials: CloudCredentials): string {
  const { accessKeyId: AccessKeyId, secret: SecretAccessKey, securityToken: Token } = credentials
  return JSON.stringify({ AccessKeyId, SecretAccessKey, Token, Expiration: expirationText(credentials) })
}

/** A consumer that does not exist is told as a wrong secret is: names are not found out by asking. */
async function serveCredentials(
  context: ApiContext,
  exchange: Exchange,
  settings: CloudSurfaceSettings,
): Promise<void> {
  exchange.queryMembers({})
  const [name = ''] = exchange.parameters
  settings.secrets.requireConsumer(exchange.soleHeader('authorization'), name)
  const consumer = consumerAt(exchange, settings)
  if (consumer === null) throw new TypeError('a secret of a consumer that is not there')
  await answerCredentials(context, { exchange, consumer }, settings, encodeCredentials)
}

/**
 * The container credentials of AWS (API-153): `GET /aws/<consumer>` with the secret of the consumer as the whole of
 * `Authorization`, which SDKs read from the file that `AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE` names. Errors are
 * `{"code","message"}`.
 */
export function awsContainer(settings: CloudSurfaceSettings): Surface {
  return {
    listener: 'tcp:aws_container',
    encodeError,
    routes: (context) => [
      {
        method: 'GET',
        path: '/aws/{consumer}',
        caller: true,
        handle: (exchange) => serveCredentials(context, exchange, settings),
      },
    ],
  }
}
