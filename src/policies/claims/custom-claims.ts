import { MalformedError } from '../../base/errors.ts'
import { isJsonObject, type JsonValue } from '../../base/json.ts'
import { type Claim, type ClaimValue, isUnicode } from '../claim.ts'

/** What a request says of the attester, unverified. */
export interface CustomClaim {
  readonly name: string
  readonly value: ClaimValue
}

const mostClaims = 64
const nameForm = /^[A-Za-z0-9._-]{1,64}$/
const mostBytes = 4096

const utf8 = new TextEncoder()

function malformed(at: number | string, problem: string): MalformedError {
  return new MalformedError({ path: `custom_claims.${at}` }, problem)
}

function readValue(value: JsonValue | undefined, at: number): ClaimValue {
  if (typeof value === 'boolean') return value
  if (typeof value === 'number' && Number.isSafeInteger(value)) return BigInt(value)
  if (typeof value !== 'string') throw malformed(at, 'value is no String, Boolean or integer up to 2^53')
  if (!isUnicode(value)) throw malformed(at, 'value is no Unicode')
  if (utf8.encode(value).length > mostBytes) throw malformed(at, `value is longer than ${mostBytes} bytes`)
  return value
}

function readClaim(item: JsonValue, at: number): CustomClaim {
  if (!isJsonObject(item)) throw malformed(at, 'is no object')
  const { name, value, ...others } = item
  if (Object.keys(others).length > 0) throw malformed(at, 'has other members than name and value')
  if (typeof name !== 'string' || !nameForm.test(name)) {
    throw malformed(at, 'name is not 1 to 64 letters, digits, dots, underscores and hyphens')
  }
  return { name, value: readValue(value, at) }
}

/**
 * Reads the custom claims of a request, an array of `{name, value}` (POL-434): at most 64, Strings of at most 4 096
 * bytes. Throws `MalformedError`.
 */
export function parseCustomClaims(value: JsonValue): readonly CustomClaim[] {
  if (!Array.isArray(value)) throw new MalformedError({ path: 'custom_claims' }, 'is no array')
  if (value.length > mostClaims)
    throw new MalformedError({ path: 'custom_claims' }, `has more than ${mostClaims} items`)
  return value.map(readClaim)
}

/** The prefix keeps a rule without `issuer` from being fooled by a claim named like one of the service. */
export function presentCustomClaims(claims: readonly CustomClaim[]): readonly Claim[] {
  return claims.map(({ name, value }) => ({ type: `custom:${name}`, value, issuer: 'CustomClaim' }))
}
