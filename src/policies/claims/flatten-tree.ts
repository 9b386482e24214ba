import type { ClaimValue } from '../claim.ts'
import type { ClaimTree } from './verified-trees.ts'

/** Values by the name of their claim, distinct, in order. */
export type FlatClaims = Map<string, ClaimValue[]>

/** Trees come from the verifier; what is deeper than this is no tree of ours. */
const mostLevels = 8

const [leastInteger, mostInteger] = [-(2n ** 63n), 2n ** 63n - 1n]

/** POL-401. Throws `TypeError` for what is no value of a claim: such a tree is a bug of the verifier (POL-431). */
export function claimValueOf(value: unknown, name: string): ClaimValue {
  if (typeof value === 'string' || typeof value === 'boolean') return value
  if (typeof value === 'number' && Number.isSafeInteger(value)) return BigInt(value)
  if (typeof value === 'bigint' && value >= leastInteger && value <= mostInteger) return value
  throw new TypeError(`${name} is no String, Boolean or 64-bit integer`)
}

function addValue(claims: FlatClaims, name: string, value: ClaimValue): void {
  const values = claims.get(name)
  if (values === undefined) claims.set(name, [value])
  else if (!values.includes(value)) values.push(value)
}

function addMember(claims: FlatClaims, name: string, value: unknown, level: number): void {
  if (value === null || value === undefined) return
  if (Array.isArray(value)) for (const item of value) addValue(claims, name, claimValueOf(item, name))
  else if (typeof value === 'object') flattenTree(claims, name, value as ClaimTree, level + 1)
  else addValue(claims, name, claimValueOf(value, name))
}

/** Adds the claims of a tree under its name, sorted by name at each level (POL-431). */
export function flattenTree(claims: FlatClaims, prefix: string, tree: ClaimTree, level = 1): void {
  if (level > mostLevels) throw new TypeError(`${prefix} is nested deeper than ${mostLevels} levels`)
  for (const name of Object.keys(tree).sort()) addMember(claims, `${prefix}.${name}`, tree[name], level)
}
