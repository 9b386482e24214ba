import { parseText } from '../../base/bytes.ts'
import { isJsonObject, type JsonObject, type JsonValue } from '../../base/json.ts'
import { parseStrictObject, refusing } from './compact-form.ts'
import { jwsRefusal } from './errors.ts'
import { algorithmOfKey, type PolicySigner, readSigner } from './policy-signer.ts'

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

/** The policy text of a payload, as bytes of strict UTF-8 (POL-707). */
export function parsePolicyPayload(payload: Uint8Array): Uint8Array {
  const encoded = onlyMember(payload, 'AttestationPolicy', 'POL-707')
  if (typeof encoded !== 'string') throw jwsRefusal('POL-707', '`AttestationPolicy` is not a text')
  const policy = decodePolicy(encoded)
  requireUtf8(policy)
  return policy
}

/** Throws the error of POL-707 for bytes that are not UTF-8. */
export function requireUtf8(policy: Uint8Array): void {
  try {
    utf8.decode(policy)
  } catch {
    throw jwsRefusal(
      'POL-707',
      'the policy text is not valid UTF-8',
      'save the policy as UTF-8 (attestd policy check names the first wrong byte)',
    )
  }
}

function decodePolicy(encoded: string): Uint8Array {
  const hint = hintFor(encoded)
  if (hint !== undefined) throw jwsRefusal('POL-707', '`AttestationPolicy` is not base64url without padding', hint)
  return refusing('POL-707', () => parseText(encoded, 'base64url', 'payload.AttestationPolicy'))
}

function hintFor(encoded: string): string | undefined {
  if (/^[A-Za-z0-9_-]*$/.test(encoded)) return undefined
  if (/^[A-Za-z0-9+/_-]*={1,2}$/.test(encoded)) return 'leave the padding `=` out, and use `-` and `_` for `+` and `/`'
  if (/^[A-Za-z0-9+/]*$/.test(encoded)) return 'this is standard base64: use `-` and `_` for `+` and `/`'
  return 'the member holds the policy text itself, as the old preview API had it: encode the text as base64url first'
}

/** The signer that a change of signers is about (POL-708). */
export function parseSignerPayload(payload: Uint8Array): PolicySigner {
  const jwk = onlyMember(payload, 'policyCertificate', 'POL-708')
  if (!isJsonObject(jwk)) throw jwsRefusal('POL-708', '`policyCertificate` is not a JWK')
  if (jwk['x5c'] === undefined) throw jwsRefusal('POL-708', '`policyCertificate` has no `x5c`')
  const hasMembers = ['n', 'e', 'x', 'y', 'crv'].some((name) => Object.hasOwn(jwk, name))
  const signer = readSigner(jwk['x5c'], hasMembers ? jwk : undefined, 'POL-708')
  requireFit(jwk, signer)
  return signer
}

/**
 * What the JWK says of its key must be so, for another reader may believe it. `kty` is the exception: the client library
 * takes it from the key that signed the certificate.
 */
function requireFit(jwk: JsonObject, { key }: PolicySigner): void {
  const alg = algorithmOfKey(key)
  if (alg === null) throw jwsRefusal('POL-703', 'the key of the certificate can neither sign RS256 nor ES256')
  if (jwk['kty'] !== 'RSA' && jwk['kty'] !== 'EC') throw jwsRefusal('POL-708', '`kty` is neither RSA nor EC')
  if (jwk['alg'] !== undefined && jwk['alg'] !== alg) throw jwsRefusal('POL-708', `\`alg\` is not ${alg}`)
  if (jwk['use'] !== undefined && jwk['use'] !== 'sig') throw jwsRefusal('POL-708', '`use` is not sig')
}

function onlyMember(payload: Uint8Array, name: string, rule: 'POL-707' | 'POL-708'): JsonValue {
  const members = refusing(rule, () => parseStrictObject(payload, 'payload'))
  const value = members[name]
  if (value === undefined || Object.keys(members).length !== 1) {
    throw jwsRefusal(rule, `the payload does not have exactly the member \`${name}\``)
  }
  return value
}
