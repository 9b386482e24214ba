import { MalformedError } from '../../base/errors.ts'
import { isJsonObject, type JsonTree, parseJson, parseJsonWith } from '../../base/json.ts'
import { type CustomClaim, type GivenClaim, parseCustomClaims } from '../../policies/index.ts'
import { readInput } from '../input-file.ts'

const largestFile = 64 << 20
const limits = { maxDepth: 64, maxValues: 2_000_000, maxItems: 200_000 }

/** JSON with exact integers: those that a double cannot hold are BigInts (POL-401). */
export type ExactJson = JsonTree<number | bigint>

function decoded(bytes: Uint8Array, path: string): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes)
  } catch (cause) {
    throw new MalformedError({ path }, 'is not UTF-8', { cause })
  }
}

/** Reads JSON in which integers stay what they are. Throws `MalformedError`. */
export function parseExactJson(bytes: Uint8Array, name: string): ExactJson {
  return parseJsonWith<number | bigint>(decoded(bytes, name), name, limits, ({ text: digits, isInteger }) => {
    const value = Number(digits)
    return !isInteger || Number.isSafeInteger(value) || digits.length > 20 ? value : BigInt(digits)
  })
}

export function isExactObject(value: ExactJson | undefined): value is { [member: string]: ExactJson } {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

const members: readonly string[] = ['type', 'value', 'valueType', 'issuer', 'readOnly']

/** What is said is read by `acceptIncomingClaims`; here only misspelt members are refused, for they would be ignored. */
export function requireClaim(given: ExactJson, path: string): GivenClaim {
  if (!isExactObject(given)) throw new MalformedError({ path }, 'is no object {type, value, issuer}')
  const unknown = Object.keys(given).find((name) => !members.includes(name))
  if (unknown === undefined) return given
  throw new MalformedError({ path }, `has the unknown member ${JSON.stringify(unknown.slice(0, 64))}`)
}

function claimsIn(document: ExactJson, path: string): readonly ExactJson[] {
  const list = isExactObject(document) ? document['claims'] : document
  if (Array.isArray(list)) return list
  throw new MalformedError({ path }, 'is neither an array of claims nor an object with such a member `claims`')
}

/** Reads claims as test files have them: an array, or an object with the array `claims`. Throws `MalformedError`. */
export async function readClaimsFile(path: string): Promise<readonly GivenClaim[]> {
  const document = parseExactJson(await readInput(path, largestFile), path)
  return claimsIn(document, path).map((claim, at) => requireClaim(claim, `${path}: claims[${at}]`))
}

/** Reads what a guest says of itself, an array of `{name, value}` (POL-434). */
export async function readCustomClaims(path: string | undefined): Promise<readonly CustomClaim[]> {
  if (path === undefined) return []
  const document = parseJson(await readInput(path, 1 << 20), path)
  return parseCustomClaims(isJsonObject(document) ? (document['custom_claims'] ?? null) : document)
}
