import { CompactSign } from 'jose'
import { canonicalJson, type JsonObject } from '../base/json.ts'
import type { SigningKey } from './signing-key.ts'

/**
 * Compact JWS with the header members `alg`, `kid`, `typ` and no other (TOK-05, TOK-06, TOK-33). The payload is signed as
 * text in canonical form (TOK-32): an object would bring members with numeric names, `tpm.pcr`, into an order of its own.
 */
export function signToken(claims: JsonObject, { alg, kid, privateKey }: SigningKey): Promise<string> {
  const payload = new TextEncoder().encode(canonicalJson(claims))
  return new CompactSign(payload).setProtectedHeader({ alg, kid, typ: 'JWT' }).sign(privateKey)
}
