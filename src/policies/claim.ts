import { codePointsIn } from './language/code-points.ts'

/** String (Unicode), Integer (signed 64 bit, exact), Boolean: `1n`, `"1"` and `true` are three values (POL-401). */
export type ClaimValue = string | bigint | boolean

export type ClaimValueType = 'String' | 'Integer' | 'Boolean'

/** Who says it: the verifier from evidence, a policy, or the attester itself (POL-402). */
export type ClaimIssuer = 'AttestationService' | 'AttestationPolicy' | 'CustomClaim'

/** One statement that a policy can match (section 4). `valueType` follows from the value: `valueTypeOf`. */
export interface Claim {
  /** Not empty, at most 256 characters (POL-310). */
  readonly type: string
  readonly value: ClaimValue
  readonly issuer: ClaimIssuer
  /** The value, or what was taken from it, must not enter a token (POL-425). */
  readonly readOnly?: boolean
}

/** POL-401. */
export function valueTypeOf(value: ClaimValue): ClaimValueType {
  if (typeof value === 'string') return 'String'
  return typeof value === 'bigint' ? 'Integer' : 'Boolean'
}

const longestClaimType = 256

/** POL-310: a String that is not empty, of at most 256 characters. */
export function isClaimType(type: unknown): type is string {
  if (typeof type !== 'string' || type === '' || type.length > 2 * longestClaimType) return false
  return codePointsIn(type) <= longestClaimType
}

const loneSurrogate = /\p{Surrogate}/u

/** Strings are Unicode: one with half a surrogate pair has no UTF-8 that two readers agree on (POL-401). */
export function isUnicode(text: string): boolean {
  return !loneSurrogate.test(text)
}
