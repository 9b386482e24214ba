import { MalformedError } from '../../base/errors.ts'
import { isJsonObject, type JsonObject, type JsonValue, parseJson } from '../../base/json.ts'
import type { ClaimValue } from '../claim.ts'
import type { TokenValue } from '../evaluation/evaluation.ts'
import { IssuedToken } from '../evaluation/issued-token.ts'
import { EvaluationFailure } from '../evaluation-failure.ts'
import { defaultPolicyLimits } from '../policy-limits.ts'
import type { PolicyProfile } from '../reserved-claims.ts'
import { type Extension, nothingSaid, type RegoEvaluation, regoError, regoVerdict } from './rego-evaluation.ts'
import { isTrustName, judgeTrust, type TrustClaim, type TrustName, tierOf } from './trust-claims.ts'

export const regoEntrypoints = ['policy/trust_claims', 'policy/extensions', 'policy/allow'] as const
export type RegoEntrypoint = (typeof regoEntrypoints)[number]

/** Texts of the result sets, by entrypoint. */
export type RegoResults = ReadonlyMap<RegoEntrypoint, string>

export interface ResultRules {
  /** What must be affirming. */
  readonly required: readonly TrustName[]
  /** Says which names no policy can put into a token (POL-427). */
  readonly profile: PolicyProfile
}

/** UTF-16 code units of one result set (POL-609); a policy that says more than a token can hold says too much. */
export const longestResult = defaultPolicyLimits.issuedBytes

const limits = { maxDepth: 16, maxItems: 4096, maxValues: 20_000 }
const longestName = 256
const mostExtensions = 256

/** A result set has one result, or none if the rule is undefined for this input. */
function resultOf(results: RegoResults, entrypoint: RegoEntrypoint): JsonValue {
  const text = results.get(entrypoint) ?? ''
  if (text.length > longestResult)
    throw new EvaluationFailure('POL-609', `${entrypoint} gives ${text.length} characters`)
  const set = parseJson(text, entrypoint, limits)
  if (!Array.isArray(set)) throw new EvaluationFailure('POL-961', `${entrypoint} gives no result set`)
  const [only, ...others] = set
  if (only === undefined) throw new EvaluationFailure('POL-961', `${entrypoint} is undefined for this evidence`)
  if (others.length > 0 || !isJsonObject(only) || !Object.hasOwn(only, 'result')) {
    throw new EvaluationFailure('POL-961', `${entrypoint} gives a result set of another form`)
  }
  return only['result'] ?? null
}

const quoted = (name: string) => JSON.stringify(name.slice(0, 64))

function trustClaim([name, value]: readonly [string, JsonValue]): TrustClaim {
  if (!isTrustName(name))
    throw new EvaluationFailure('POL-964', `policy/trust_claims has the unknown name ${quoted(name)}`)
  const tier = tierOf(value)
  if (tier === null) throw new EvaluationFailure('POL-964', `${name} is no integer from -127 to 127`)
  return { name, value: Number(value), tier }
}

function readTrust(value: JsonValue): readonly TrustClaim[] {
  if (!isJsonObject(value)) throw new EvaluationFailure('POL-964', 'policy/trust_claims is no object')
  return Object.entries(value).map(trustClaim)
}

/** Half of a character, which UTF-8 cannot hold. */
const loneSurrogate = /\p{Surrogate}/u

/** A number that is no exact integer is none that a token may hold. */
function claimValue(value: JsonValue, name: string): ClaimValue {
  if (typeof value === 'boolean' || (typeof value === 'string' && !loneSurrogate.test(value))) return value
  if (typeof value === 'number' && Number.isSafeInteger(value)) return BigInt(value)
  throw new EvaluationFailure('POL-964', `extension ${quoted(name)} has a value that is no text, integer or Boolean`)
}

function claimValues(value: JsonValue, name: string): readonly ClaimValue[] {
  if (!Array.isArray(value)) return [claimValue(value, name)]
  const values = [...new Set(value.map((item) => claimValue(item, name)))]
  if (values.length === 0) throw new EvaluationFailure('POL-964', `extension ${quoted(name)} has no value`)
  return values
}

function extensionMembers(item: JsonValue): JsonObject {
  const isComplete = isJsonObject(item) && Object.keys(item).sort().join() === 'key,name,value'
  if (isComplete) return item
  throw new EvaluationFailure('POL-964', 'policy/extensions has an item whose members are not name, key and value')
}

function readExtension(item: JsonValue): Extension {
  const { name, key, value = null } = extensionMembers(item)
  if (typeof name !== 'string' || name === '' || name.length > longestName || loneSurrogate.test(name)) {
    throw new EvaluationFailure('POL-964', 'policy/extensions has an item without a name')
  }
  if (typeof key !== 'number' || !Number.isSafeInteger(key)) {
    throw new EvaluationFailure('POL-964', `extension ${quoted(name)} has a key that is no integer`)
  }
  return { name, values: claimValues(value, name) }
}

function readExtensions(value: JsonValue): readonly Extension[] {
  if (!Array.isArray(value)) throw new EvaluationFailure('POL-964', 'policy/extensions is no array')
  if (value.length > mostExtensions)
    throw new EvaluationFailure('POL-964', `policy/extensions has ${value.length} items`)
  const extensions = value.map(readExtension)
  const names = new Set(extensions.map(({ name }) => name))
  if (names.size < extensions.length) throw new EvaluationFailure('POL-964', 'policy/extensions has a name twice')
  return extensions
}

function readAllow(value: JsonValue): 'permit' | 'no-permit' {
  if (typeof value !== 'boolean') throw new EvaluationFailure('POL-964', 'policy/allow is no Boolean')
  return value ? 'permit' : 'no-permit'
}

/** By the rules of the other engine: names, size, order and form of the members are the same (POL-419, POL-427, POL-609). */
function tokenOf(extensions: readonly Extension[], { profile }: ResultRules): Readonly<Record<string, TokenValue>> {
  const issued = new IssuedToken(profile, defaultPolicyLimits)
  for (const { name, values } of extensions) for (const value of values) issued.issue(name, value)
  return issued.token()
}

/** Where a policy has both, both must permit. */
function read(results: RegoResults, rules: ResultRules): RegoEvaluation {
  const allow = results.has('policy/allow') ? readAllow(resultOf(results, 'policy/allow')) : 'permit'
  if (!results.has('policy/trust_claims')) {
    return regoVerdict(results.has('policy/allow') ? allow : 'no-permit', nothingSaid)
  }
  const trust = readTrust(resultOf(results, 'policy/trust_claims'))
  const extensions = results.has('policy/extensions') ? readExtensions(resultOf(results, 'policy/extensions')) : []
  const judged = judgeTrust(trust, rules.required)
  const token = tokenOf(extensions, rules)
  return regoVerdict(judged === 'permit' ? allow : judged, { trust, extensions, token })
}

/**
 * Reads what the entrypoints of a policy gave (POL-964). Never throws for what a policy says: whatever is missing or has
 * another form than it should is verdict *error*. The results are of the policy, and nothing of them is verified.
 */
export function readRegoResults(results: RegoResults, rules: ResultRules): RegoEvaluation {
  try {
    return read(results, rules)
  } catch (error) {
    if (error instanceof EvaluationFailure) return regoError(error.id, error.message)
    if (error instanceof MalformedError) return regoError('POL-961', error.message)
    throw error
  }
}
