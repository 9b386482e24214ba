import type { AttestdError } from '../../base/errors.ts'
import type { ApiContext } from '../api-context.ts'
import type { Exchange } from '../exchange.ts'
import { MemberReader } from '../members.ts'
import { shownDetail } from '../problem.ts'
import { answerToken, type TokenForm } from '../token-operation.ts'
import { requireAudiences, tokenParameters } from '../token-parameters.ts'
import type { Surface, SurfaceError } from './surface.ts'

export interface FlySettings {
  /** Audience of a request that names none; null: the native default. */
  readonly defaultAudience: string | null
  /** Null: the default issuer. */
  readonly issuer: string | null
}

function encodeError({ status, message }: AttestdError): SurfaceError {
  return { status, type: 'application/json', body: JSON.stringify({ error: shownDetail(message) }) }
}

const tokenForm: TokenForm = { type: 'text/plain; charset=utf-8', body: ({ token }) => token }

/** `aud` may be left out, and with it the whole body. */
function parseAudience(exchange: Exchange): readonly string[] | null {
  if (exchange.body.length === 0) return null
  const aud = new MemberReader(exchange.jsonBody(), ['aud']).text('aud')
  return aud === null ? null : requireAudiences([aud])
}

async function serveToken(context: ApiContext, exchange: Exchange, settings: FlySettings): Promise<void> {
  exchange.queryMembers({})
  const { defaultAudience, issuer } = settings
  const audience = parseAudience(exchange) ?? (defaultAudience === null ? null : [defaultAudience])
  await answerToken(context, exchange, tokenParameters({ audience, issuer }), tokenForm)
}

/** The machine API socket of Fly, as far as it gives tokens (API-151). Errors are `{"error":"…"}`. */
export function fly(settings: FlySettings): Surface {
  return {
    listener: 'fly',
    // Its documentation calls with curl -d, which declares a form.
    anyBodyType: true,
    encodeError,
    routes: (context) => [
      {
        method: 'POST',
        path: '/v1/tokens/oidc',
        caller: true,
        handle: (exchange) => serveToken(context, exchange, settings),
      },
    ],
  }
}
