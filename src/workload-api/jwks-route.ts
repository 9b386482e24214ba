import { isJsonObject, type JsonObject } from '../base/json.ts'
import { callerRequest } from '../policies/caller-policy.ts'
import { type ApiContext, requireAllowed } from './api-context.ts'
import type { Exchange } from './exchange.ts'
import { MemberReader } from './members.ts'
import type { Route } from './route.ts'
import { requireIssuer } from './token-parameters.ts'

const privateMembers = ['d', 'p', 'q', 'dp', 'dq', 'qi', 'oth', 'k']

/** A key set with a private member is never answered, however it came to be (API-111). */
function requirePublicKeySet(keySet: JsonObject): string {
  const { keys } = keySet
  const publicOnly =
    Array.isArray(keys) &&
    keys.every((key) => isJsonObject(key) && !privateMembers.some((member) => Object.hasOwn(key, member)))
  if (!publicOnly) throw new TypeError('the key set is not a list of public keys')
  return JSON.stringify({ keys })
}

async function serveKeys(context: ApiContext, exchange: Exchange): Promise<void> {
  const reader = new MemberReader(exchange.queryMembers({ issuer: 'text' }), ['issuer'])
  const issuer = requireIssuer(reader.text('issuer'), context.tokens())
  requireAllowed(context, exchange, callerRequest('jwks', { issuer: issuer.name }), false)
  const body = exchange.method === 'HEAD' ? null : requirePublicKeySet(await context.jwks(issuer.name))
  const headers = { 'cache-control': 'max-age=60' }
  await exchange.answer({ status: 200, type: 'application/jwk-set+json', body, headers })
}

/** `GET /v1/jwks`: the keys that tokens of an issuer are verified with (section 6.4). */
export function jwksRoutes(context: ApiContext): readonly Route[] {
  return [{ method: 'GET', path: '/v1/jwks', caller: true, handle: (exchange) => serveKeys(context, exchange) }]
}
