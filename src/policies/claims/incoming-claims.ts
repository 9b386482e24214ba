import { type Claim, type ClaimIssuer, type ClaimValue, isClaimType, isUnicode, valueTypeOf } from '../claim.ts'
import type { EvaluationError } from '../evaluation/evaluation.ts'
import { isReadOnlyClaim } from './claim-catalogue.ts'

/** A claim as a file or a caller gives it. Integers beyond 2^53 are decimal Strings with valueType `Integer` (POL-830). */
export interface GivenClaim {
  readonly type?: unknown
  readonly value?: unknown
  readonly valueType?: unknown
  readonly issuer?: unknown
  /** True adds the mark; claims that are read-only by name have it anyway (POL-425). */
  readonly readOnly?: unknown
}

const issuers: ReadonlySet<unknown> = new Set<ClaimIssuer>(['AttestationService', 'CustomClaim'])
const integerForm = /^-?(?:0|[1-9][0-9]{0,18})$/

function isIncomingIssuer(issuer: unknown): issuer is 'AttestationService' | 'CustomClaim' {
  return issuers.has(issuer)
}

function integerOf(text: string): bigint | null {
  const value = integerForm.test(text) ? BigInt(text) : null
  return value === null || BigInt.asIntN(64, value) === value ? value : null
}

/** Null: no value of a claim, or not one of the type that it is said to have. */
function readValue({ value, valueType }: GivenClaim): ClaimValue | null {
  const asNumber = typeof value === 'number' && Number.isSafeInteger(value) ? BigInt(value) : value
  const read = typeof asNumber === 'string' && valueType === 'Integer' ? integerOf(asNumber) : asNumber
  const isValue = typeof read === 'string' || typeof read === 'boolean' || typeof read === 'bigint'
  if (!isValue || (typeof read === 'string' && !isUnicode(read))) return null
  if (typeof read === 'bigint' && BigInt.asIntN(64, read) !== read) return null
  return valueType === undefined || valueType === valueTypeOf(read) ? read : null
}

function readClaim(given: GivenClaim | null | undefined, index: number): Claim | string {
  if (typeof given !== 'object' || given === null) return `claim ${index}: is no claim`
  const { type, issuer = 'CustomClaim' } = given
  if (!isClaimType(type) || !isUnicode(type)) return `claim ${index}: the type is not a String of 1 to 256 characters`
  if (!isIncomingIssuer(issuer)) return `claims[${index}]: the issuer is neither AttestationService nor CustomClaim`
  const value = readValue(given)
  if (value === null) return `claims[${index}]: the value is no String, Integer or Boolean, or not of its valueType`
  const isReadOnly = given.readOnly === true || isReadOnlyClaim(type, issuer)
  return { type, value, issuer, ...(isReadOnly && { readOnly: true }) }
}

/**
 * Takes claims that come from outside, such as those of a test file: the issuer is `CustomClaim` where none is given, and
 * the mark of read-only claims is set. The error POL-402 for another issuer or a value that does not fit.
 */
export function acceptIncomingClaims(
  given: readonly GivenClaim[],
): { readonly claims: readonly Claim[] } | { readonly error: EvaluationError } {
  const claims: Claim[] = []
  for (let index = 0; index < given.length; index++) {
    const read = readClaim(given[index], index)
    if (typeof read === 'string') return { error: { id: 'POL-402', message: read, section: null, line: null } }
    claims.push(read)
  }
  return { claims }
}
