import { parseText } from '../../base/bytes.ts'
import { MalformedError } from '../../base/errors.ts'
import { type JsonObject, type JsonValue, parseJsonObject } from '../../base/json.ts'
import { jwsRefusal, type PolicyJwsRule } from './errors.ts'

/** Characters of a policy JWS (POL-902): the longest policy text, encoded twice, with a chain of certificates. */
export const longestJws = 262_144

/** A policy JWS whose form is right and of which nothing was verified. */
export interface CompactPolicyJws {
  readonly text: string
  /** What is signed: header and payload as they stand in the text. */
  readonly signed: string
  readonly header: JsonObject
  readonly payload: Uint8Array
  /** Empty exactly if `algorithm` is `none`. */
  readonly signature: Uint8Array
  readonly algorithm: 'none' | 'RS256' | 'ES256'
}

/**
 * Members by which a header changes how it has to be read, or names keys that lie elsewhere: they would make this
 * reader and another one see two different documents, or make it fetch what an attacker chose (POL-702).
 */
const refusedMembers = ['crit', 'jku', 'x5u', 'b64', 'zip'] as const
const acceptedAlgorithms = ['none', 'RS256', 'ES256'] as const

/**
 * Whether uploaded text is meant as a JWS: it begins as an encoded JSON object does, or has nothing but base64url before
 * its first dot. No policy begins with `ey`, and each has `=` before its first dot.
 */
export function isCompactForm(text: string): boolean {
  return text.startsWith('ey') || /^[A-Za-z0-9_-]*\./.test(text)
}

/** Splits and decodes by POL-702, and names the algorithm by POL-703. Throws the errors of these rules. */
export function parseCompactForm(text: string): CompactPolicyJws {
  if (text.length > longestJws) {
    throw jwsRefusal('POL-702', `the JWS has ${text.length} characters; the limit is ${longestJws}`)
  }
  const segments = text.split('.', 4)
  const [head = '', body = '', tail = ''] = segments
  if (segments.length !== 3) throw jwsRefusal('POL-702', 'the JWS does not have exactly three segments')
  const header = parseHeader(decodeSegment(head, 'header'))
  const payload = decodeSegment(body, 'payload')
  const signature = decodeSegment(tail, 'signature')
  const algorithm = requireAlgorithm(header['alg'])
  if ((algorithm === 'none') !== (signature.length === 0)) {
    const says = algorithm === 'none' ? '`alg` is none, and there is a signature' : 'the signature is empty'
    throw jwsRefusal('POL-702', says)
  }
  return { text, signed: `${head}.${body}`, header, payload, signature, algorithm }
}

export function decodeSegment(segment: string, name: string): Uint8Array {
  return refusing('POL-702', () => parseText(segment, 'base64url', `jws.${name}`))
}

function parseHeader(bytes: Uint8Array): JsonObject {
  const header = refusing('POL-702', () => parseStrictObject(bytes, 'jws.header'))
  const refused = refusedMembers.find((name) => Object.hasOwn(header, name))
  if (refused !== undefined) throw jwsRefusal('POL-702', `the header member \`${refused}\` is not accepted`)
  return header
}

/** By exact name: what merely looks right, and every HMAC, which a public certificate could key, is another name. */
function requireAlgorithm(name: JsonValue | undefined): CompactPolicyJws['algorithm'] {
  const algorithm = acceptedAlgorithms.find((accepted) => accepted === name)
  if (algorithm === undefined) {
    const shown = typeof name === 'string' ? JSON.stringify(name.slice(0, 32)) : 'no text'
    throw jwsRefusal('POL-703', `\`alg\` is ${shown}; accepted are none, RS256 and ES256`)
  }
  return algorithm
}

/** A strict JSON object, small and shallow. Throws `MalformedError`. */
export function parseStrictObject(bytes: Uint8Array, name: string): JsonObject {
  return parseJsonObject(bytes, name, { maxDepth: 4, maxItems: 64, maxValues: 256, refusePrototypeNames: true })
}

/** Runs `read`; what it finds malformed breaks this rule. */
export function refusing<T>(rule: PolicyJwsRule, read: () => T): T {
  try {
    return read()
  } catch (error) {
    if (!(error instanceof MalformedError)) throw error
    throw jwsRefusal(rule, error.message)
  }
}
