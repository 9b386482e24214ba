import { chooseMedia, type TokenMedia } from './accept.ts'
import type { ApiContext } from './api-context.ts'
import { workloadApiErrors } from './errors.ts'
import type { Exchange } from './exchange.ts'
import type { Route } from './route.ts'
import { answerToken, type TokenForm } from './token-operation.ts'
import { parseTokenParameters, tokenQueryForms } from './token-parameters.ts'

function requireMedia(accept: string | undefined): TokenMedia {
  const media = chooseMedia(accept)
  if (media) return media
  throw workloadApiErrors.error('not_acceptable', 'a token is application/jwt, text/plain or application/json')
}

function documentForm(requestId: string): TokenForm {
  return {
    type: 'application/json',
    body: ({ token, issuer, audience, issuedAt, expiresAt, refreshAt, jti, source, generation }, request) =>
      JSON.stringify({
        token,
        token_type: request.tokenType,
        issuer,
        audience,
        issued_at: issuedAt,
        expires_at: expiresAt,
        refresh_at: refreshAt,
        jti,
        source,
        generation,
        request_id: requestId,
      }),
  }
}

async function serveToken(context: ApiContext, exchange: Exchange): Promise<void> {
  const members = exchange.method === 'POST' ? exchange.jsonBody() : exchange.queryMembers(tokenQueryForms)
  const parameters = parseTokenParameters(members)
  const type = requireMedia(exchange.header('accept'))
  const form = type === 'application/json' ? documentForm(exchange.id) : { type, body: bareToken }
  await answerToken(context, exchange, parameters, form)
}

const bareToken: TokenForm['body'] = ({ token }) => token

/** `GET` and `POST /v1/token` (section 6.1). */
export function tokenRoutes(context: ApiContext): readonly Route[] {
  const handle = (exchange: Exchange) => serveToken(context, exchange)
  return (['GET', 'POST'] as const).map((method) => ({ method, path: '/v1/token', caller: true, handle }))
}
