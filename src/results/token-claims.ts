import { isJsonObject, type JsonObject, type JsonValue } from '../base/json.ts'
import { jwkThumbprint, publicJwk } from '../base/jwk.ts'
import { type BindingEdge, composeAcr, type Tee } from './acr.ts'
import { resultsErrors } from './errors.ts'
import { encodeCommitment, type RequestCommitment } from './request-commitment.ts'
import { reservedClaims } from './reserved-claims.ts'

export const attestdProfile = 'urn:attestd:eat:1'

/** How the evidence is known to be new (BRK-94): by the verifier's challenge, by a caller's nonce, or not at all. */
export type Freshness = 'challenge' | 'nonce' | 'unbound'

/** A key that the evidence binds (TOK-29); never one that was merely named in a request. */
export interface Confirmation {
  /** RFC 7638 SHA-256 thumbprint, base64url. */
  readonly jkt: string
  /** The public key itself, if the token is to carry it in place of the thumbprint; its thumbprint must be `jkt`. */
  readonly jwk?: JsonObject
  /** The guest's TPM certified the key (`hwk`); else it counts as software (`swk`). */
  readonly certifiedByTpm?: boolean
  /** Possession was proved in this exchange (`pop`). */
  readonly possessionProved?: boolean
}

/** Verified structured runtime data, echoed in the token (TOK-25), and the hash under which the evidence binds it. */
export interface RuntimeData {
  readonly document: JsonObject
  readonly hash: 'sha256' | 'sha384' | 'sha512'
}

/** What an OpenID request adds (TOK-14, TOK-16, TOK-17, TOK-20). */
export interface OpenIdContext {
  readonly nonce?: string
  readonly clientId?: string
  /** Puts `auth_time`, the time of the appraisal, into the token. */
  readonly authTime?: boolean
  readonly atHash?: string
  readonly cHash?: string
}

/** Everything that the claims of profile `attestd` are made from. Times are whole seconds since the epoch. */
export interface TokenClaimsInput {
  readonly issuer: string
  readonly subject: string
  /** At least one; a single one becomes a string (TOK-11). */
  readonly audience: readonly string[]
  readonly issuedAt: number
  readonly expiresAt: number
  readonly jti: string
  /** The nonces of the request that the evidence binds, in request order. */
  readonly nonces: readonly string[]
  readonly cnf: Confirmation | null
  readonly tee: Tee
  /** Claims of an affirmed appraisal; the trees of the kinds are taken, anything else is left out. */
  readonly claims: Readonly<Record<string, unknown>>
  readonly appraisedAt: number
  readonly freshness: Freshness
  readonly binding: readonly BindingEdge[]
  readonly simulated: boolean
  /** Ids of the rules whose checks a policy waived (TOK-03). */
  readonly waived: readonly string[]
  /** Evaluated policies in order of evaluation; `hash` is 64 hexadecimal digits (TOK-26). */
  readonly policies: readonly { readonly id: string; readonly hash: string }[]
  readonly runtimeData?: RuntimeData
  readonly initData?: JsonValue
  readonly policyClaims?: JsonObject
  readonly openid?: OpenIdContext
  /** Where the request stands in what the evidence committed to; absent where no evidence was made for the request. */
  readonly commitment?: RequestCommitment
}

const treesOf: Readonly<Record<Tee, readonly string[]>> = {
  tdx: ['tdx', 'tcb'],
  nvgpu: ['gpu'],
  acstdxnvgpu: ['tdx', 'tcb', 'gpu'],
  tpm: ['tpm'],
}
const treeNames = ['tdx', 'tpm', 'ima', 'gpu', 'tcb'] as const

function missing(claim: string) {
  return resultsErrors.error('CLAIM_MISSING', `the appraisal has no verified claim ${claim}`, { facts: { claim } })
}

/** Content of event logs is for policies: a guest logs as much as it likes, and a token fits into a header (TOK-152). */
function withoutLogContent(tree: JsonValue): JsonValue {
  if (!isJsonObject(tree) || !Object.hasOwn(tree, 'eventlog')) return tree
  const { eventlog: _content, ...rest } = tree
  return rest
}

/** The trees of the appraisal that go into the token. Those that the kind requires must be there (TOK-23, TOK-24). */
function selectTrees({ tee, claims }: TokenClaimsInput): JsonObject {
  const trees: JsonObject = {}
  for (const name of treeNames) {
    if (Object.hasOwn(claims, name) && claims[name] !== undefined) {
      trees[name] = withoutLogContent(claims[name] as JsonValue)
    }
  }
  for (const name of treesOf[tee]) if (trees[name] === undefined) throw missing(name)
  return trees
}

function debugOf(part: JsonValue | undefined, name: string): boolean {
  const status = isJsonObject(part) ? part['dbgstat'] : undefined
  if (status !== 'enabled' && status !== 'disabled') throw missing(name)
  return status === 'enabled'
}

/** TOK-27: `enabled` if any part is in debug mode. A part that does not say counts as an error, never as `disabled`. */
function composeDebugStatus(trees: JsonObject): JsonObject {
  const modes: boolean[] = []
  if (isJsonObject(trees['tdx'])) {
    const attributes = trees['tdx']['td_attributes']
    const debug = isJsonObject(attributes) ? attributes['debug'] : undefined
    if (typeof debug !== 'boolean') throw missing('tdx.td_attributes.debug')
    modes.push(debug)
  }
  if (Array.isArray(trees['gpu'])) modes.push(...trees['gpu'].map((device) => debugOf(device, 'gpu.dbgstat')))
  return modes.length === 0 ? {} : { dbgstat: modes.includes(true) ? 'enabled' : 'disabled' }
}

function composeConfirmation(cnf: Confirmation | null): JsonObject {
  if (cnf === null) return {}
  if (cnf.jwk !== undefined && jwkThumbprint(cnf.jwk) !== cnf.jkt) {
    throw new TypeError('the key of a confirmation is not the key of its thumbprint')
  }
  const amr = [cnf.certifiedByTpm ? 'hwk' : 'swk', ...(cnf.possessionProved ? ['pop'] : [])]
  return { cnf: cnf.jwk === undefined ? { jkt: cnf.jkt } : { jwk: publicJwk(cnf.jwk) }, amr }
}

/** One value stands alone, several form an array (TOK-11, TOK-15). */
function oneOrMany(values: readonly string[]): JsonValue {
  const [first] = values
  return values.length === 1 && first !== undefined ? first : [...values]
}

function composeOpenId({ openid, audience, appraisedAt }: TokenClaimsInput): JsonObject {
  if (openid === undefined) return {}
  const { nonce, clientId, authTime, atHash, cHash } = openid
  const foreign = clientId !== undefined && (audience.length > 1 || audience[0] !== clientId)
  return {
    ...(nonce === undefined ? {} : { nonce }),
    ...(foreign ? { azp: clientId } : {}),
    ...(authTime ? { auth_time: appraisedAt } : {}),
    ...(atHash === undefined ? {} : { at_hash: atHash }),
    ...(cHash === undefined ? {} : { c_hash: cHash }),
  }
}

function composeAttestd(input: TokenClaimsInput): JsonObject {
  const { simulated, freshness, binding, appraisedAt, waived, runtimeData, commitment } = input
  return {
    profile: 1,
    simulated,
    freshness,
    ...(runtimeData === undefined ? {} : { runtimeDataHash: runtimeData.hash }),
    binding: binding.map(({ edge, outcome }) => ({ edge, outcome })),
    appraisedAt,
    waived: [...new Set(waived)].sort(),
    ...(commitment === undefined ? {} : { commitment: encodeCommitment(commitment) }),
  }
}

function requirePolicyClaims(claims: JsonObject = {}): JsonObject {
  for (const name of Object.keys(claims)) {
    if (reservedClaims.has(name)) {
      throw resultsErrors.error('CLAIM_RESERVED', `a policy issues the reserved claim ${name}`, { facts: { name } })
    }
  }
  return claims
}

function requireConsistent({ audience, freshness, nonces, expiresAt, issuedAt }: TokenClaimsInput): void {
  if (audience.length === 0) throw new TypeError('a token without audience')
  if (!(Number.isSafeInteger(issuedAt) && Number.isSafeInteger(expiresAt) && expiresAt > issuedAt)) {
    throw new TypeError('the times of a token are whole seconds, and it expires after it was issued (TOK-12)')
  }
  if (freshness === 'unbound' && nonces.length > 0) throw new TypeError('a bound nonce contradicts `unbound` (SVC-27)')
}

/**
 * The claims of profile `attestd` (table of token.md section 3). Only what the input says was verified goes in; whether
 * the appraisal is affirmed and the times are allowed is the issuer's to check. Throws `CLAIM_MISSING` where the kind of
 * evidence demands a claim that is absent, `CLAIM_RESERVED` for a policy claim with a name of the profile.
 */
export function composeTokenClaims(input: TokenClaimsInput): JsonObject {
  requireConsistent(input)
  const trees = selectTrees(input)
  return {
    ...requirePolicyClaims(input.policyClaims),
    iss: input.issuer,
    sub: input.subject,
    aud: oneOrMany(input.audience),
    exp: input.expiresAt,
    iat: input.issuedAt,
    nbf: input.issuedAt,
    jti: input.jti,
    ...(input.nonces.length === 0 ? {} : { eat_nonce: oneOrMany(input.nonces) }),
    ...composeOpenId(input),
    acr: composeAcr(input.tee, input.binding, input.simulated),
    ...composeConfirmation(input.cnf),
    eat_profile: attestdProfile,
    tee: input.tee,
    ...trees,
    ...composeDebugStatus(trees),
    customized_claims: { init_data: input.initData ?? null, runtime_data: input.runtimeData?.document ?? null },
    'evaluation-reports': input.policies.map(({ id, hash }) => ({ 'policy-id': id, 'policy-hash': hash })),
    intuse: 'generic',
    attestd: composeAttestd(input),
  }
}
