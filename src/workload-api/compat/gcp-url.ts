import type { AttestdError } from '../../base/errors.ts'
import type { ApiContext } from '../api-context.ts'
import type { Exchange } from '../exchange.ts'
import { shownDetail } from '../problem.ts'
import { answerToken, type TokenForm } from '../token-operation.ts'
import { tokenParameters } from '../token-parameters.ts'
import { bearerSecret, type ConsumerSecrets } from './consumer-secrets.ts'
import type { Surface, SurfaceError } from './surface.ts'

export interface GcpUrlSettings {
  /** By name of the consumer: requests cannot name an audience. */
  readonly audiences: ReadonlyMap<string, string>
  /** Null: the default issuer. */
  readonly issuer: string | null
  readonly secrets: ConsumerSecrets
}

function encodeError({ status, code, message }: AttestdError): SurfaceError {
  const body = JSON.stringify({ error: code, error_description: shownDetail(message) })
  return { status, type: 'application/json', body }
}

const tokenForm: TokenForm = { type: 'application/json', body: ({ token }) => JSON.stringify({ id_token: token }) }

/** A name that nobody has is refused like a wrong secret: names of consumers are not to be found out. */
async function serveToken(context: ApiContext, exchange: Exchange, settings: GcpUrlSettings): Promise<void> {
  const { audiences, issuer, secrets } = settings
  const presented = bearerSecret(exchange.soleHeader('authorization'))
  const consumer = secrets.requireConsumer(presented, exchange.parameter ?? '')
  const audience = audiences.get(consumer)
  if (audience === undefined) throw new TypeError('a consumer without an audience')
  exchange.queryMembers({})
  await answerToken(context, exchange, tokenParameters({ audience: [audience], issuer }), tokenForm)
}

/**
 * The `url` source of credentials of Google's `external_account` files (API-157), one path a consumer; the secret is a
 * header of the file. What it answers is the subject token of the exchange that the client does.
 */
export function gcpUrl(settings: GcpUrlSettings): Surface {
  return {
    listener: 'tcp:gcp_url',
    encodeError,
    routes: (context) => [
      {
        method: 'GET',
        path: '/gcp/{consumer}',
        caller: true,
        handle: (exchange) => serveToken(context, exchange, settings),
      },
    ],
  }
}
