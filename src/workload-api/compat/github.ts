import type { AttestdError } from '../../base/errors.ts'
import type { ApiContext } from '../api-context.ts'
import type { Exchange } from '../exchange.ts'
import { MemberReader } from '../members.ts'
import { shownDetail } from '../problem.ts'
import { answerToken, type TokenForm } from '../token-operation.ts'
import { requireAudiences, tokenParameters } from '../token-parameters.ts'
import { bearerSecret, type ConsumerSecrets } from './consumer-secrets.ts'
import type { Surface, SurfaceError } from './surface.ts'

export interface GithubSettings {
  /** Audience of a request that names none; null: the native default. */
  readonly defaultAudience: string | null
  /** Null: the default issuer. */
  readonly issuer: string | null
  readonly secrets: ConsumerSecrets
}

/** Clients show `message`. */
function encodeError({ status, message }: AttestdError): SurfaceError {
  return { status, type: 'application/json', body: JSON.stringify({ message: shownDetail(message) }) }
}

const tokenForm: TokenForm = {
  type: 'application/json',
  body: ({ token }) => JSON.stringify({ count: 1, value: token }),
}

/** `v` is there only so that the URL of the environment has a `?`: clients append `&audience=…` to it. */
const queryForms = { v: 'text', audience: 'text' } as const

async function serveToken(context: ApiContext, exchange: Exchange, settings: GithubSettings): Promise<void> {
  const { defaultAudience, issuer, secrets } = settings
  secrets.requireConsumer(bearerSecret(exchange.soleHeader('authorization')))
  const named = new MemberReader(exchange.queryMembers(queryForms), Object.keys(queryForms)).text('audience')
  const audience = named ?? defaultAudience
  const parameters = tokenParameters({ audience: audience === null ? null : requireAudiences([audience]), issuer })
  await answerToken(context, exchange, parameters, tokenForm)
}

/**
 * The token request of GitHub Actions (API-150): `ACTIONS_ID_TOKEN_REQUEST_URL` and `ACTIONS_ID_TOKEN_REQUEST_TOKEN` of a
 * workload point here. The secret is asked for before anything else; the policy decides by the user of the connection.
 */
export function github(settings: GithubSettings): Surface {
  return {
    listener: 'tcp:github',
    encodeError,
    routes: (context) => [
      {
        method: 'GET',
        path: '/gha/token',
        caller: true,
        handle: (exchange) => serveToken(context, exchange, settings),
      },
    ],
  }
}
