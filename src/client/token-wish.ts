import { canonicalJson, type JsonObject } from '../base/json.ts'
import { publicJwk } from '../base/jwk.ts'

/** What a workload wants of a token. What is left out has the agent's default (section 6.1 of the workload API). */
export interface TokenOptions {
  /** For whom the token is: one audience or up to 8. Default: the default audience of the agent. */
  readonly audience?: string | readonly string[] | undefined
  /** Who issues it, by its name in the agent's configuration. */
  readonly issuer?: string | undefined
  /** Seconds that the token must have left when it is returned; default `min(60, 20 % of its life)`. */
  readonly minValidS?: number | undefined
  /** A shorter life, in seconds. */
  readonly ttlS?: number | undefined
  /** Up to 6 nonces of 8 to 88 printable characters, bound by the evidence. Such a token is for this call alone. */
  readonly nonces?: readonly string[] | undefined
  /** Evidence is collected after the call, and the token is for this call alone. */
  readonly fresh?: boolean | undefined
  /** The key that the token is to name, see `createProofKey`. Only its public members are sent. */
  readonly proofKey?: { readonly jwk: Readonly<Record<string, unknown>> } | undefined
  /** Longest time that the call takes, in milliseconds, with everything that is tried again; default 15 000. */
  readonly timeoutMs?: number | undefined
  /** Ends the call with the reason of the signal. */
  readonly signal?: AbortSignal | undefined
}

/** `TokenOptions`, read: what is asked for, and how. */
export interface TokenWish {
  /** The members of the request but for its times. */
  readonly members: JsonObject
  /** Equal for requests that one token can satisfy; null: the token is for one call alone (API-94, API-95). */
  readonly shape: string | null
  readonly audience: readonly string[]
  readonly minValidS: number | null
}

/** A timer of Node above this fires at once. */
const longestMs = 2 ** 31 - 1

/** Milliseconds of a call; a `TypeError` for what is no time, for it is a fault of the program that calls. */
export function requireTimeout(timeoutMs = 15_000): number {
  if (Number.isFinite(timeoutMs) && timeoutMs >= 1 && timeoutMs <= longestMs) return Math.floor(timeoutMs)
  throw new TypeError('timeoutMs must be a number of milliseconds from 1')
}

function requireMinimum(minValidS: number | undefined): number | null {
  if (minValidS === undefined) return null
  if (Number.isSafeInteger(minValidS) && minValidS >= 0) return minValidS
  throw new TypeError('minValidS must be a whole number of seconds from 0')
}

function audiencesOf(audience: TokenOptions['audience']): readonly string[] {
  if (audience === undefined) return []
  return typeof audience === 'string' ? [audience] : [...new Set(audience)].sort()
}

/** Reads the options of a call. Everything that the agent judges is left to the agent. */
export function readTokenWish(options: TokenOptions): TokenWish {
  const { issuer, ttlS, nonces = [], fresh = false, proofKey } = options
  const audience = audiencesOf(options.audience)
  const minValidS = requireMinimum(options.minValidS)
  const shared: JsonObject = {
    ...(audience.length === 0 ? {} : { audience: [...audience] }),
    ...(issuer === undefined ? {} : { issuer }),
    ...(ttlS === undefined ? {} : { ttl_s: ttlS }),
    ...(proofKey === undefined ? {} : { cnf: { jwk: publicJwk(proofKey.jwk) } }),
  }
  const members = {
    ...shared,
    ...(nonces.length === 0 ? {} : { nonces: [...nonces] }),
    ...(fresh ? { fresh } : {}),
    ...(minValidS === null ? {} : { min_valid_s: minValidS }),
  }
  const alone = nonces.length > 0 || fresh
  return { members, shape: alone ? null : canonicalJson(shared), audience, minValidS }
}
