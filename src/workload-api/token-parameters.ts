import type { JsonObject } from '../base/json.ts'
import type { TokenRequest } from '../results/token-request.ts'
import { invalidRequest, workloadApiErrors } from './errors.ts'
import { MemberReader } from './members.ts'
import { quoted } from './problem.ts'
import { parseProofKey } from './proof-key.ts'
import type { ParameterForm } from './query.ts'
import type { IssuerFacts, TokenSettings } from './token-provider.ts'

/** What a caller said about a token (section 6.1), checked; null where it said nothing. */
export interface TokenParameters {
  /** Sorted by bytes, unique. */
  readonly audience: readonly string[] | null
  readonly nonces: readonly string[]
  readonly issuer: string | null
  readonly minValidS: number | null
  readonly fresh: boolean
  readonly ttlS: number | null
  readonly timeoutMs: number
  readonly cnf: TokenRequest['cnf']
}

export const defaultTimeoutMs = 15_000

/** `GET` has neither nonces nor a key to bind. */
export const tokenQueryForms: Readonly<Record<string, ParameterForm>> = {
  audience: 'texts',
  token_type: 'text',
  issuer: 'text',
  min_valid_s: 'integer',
  fresh: 'boolean',
  ttl_s: 'integer',
  timeout_ms: 'integer',
}

/** What is asked for where only `parts` is: the native defaults for everything else. Nothing is checked. */
export function tokenParameters(parts: Partial<TokenParameters> = {}): TokenParameters {
  return {
    audience: null,
    nonces: [],
    issuer: null,
    minValidS: null,
    fresh: false,
    ttlS: null,
    timeoutMs: defaultTimeoutMs,
    cnf: null,
    ...parts,
  }
}

const tokenMembers = [...Object.keys(tokenQueryForms), 'nonces', 'cnf']

const byBytes = (left: string, right: string) => Buffer.compare(Buffer.from(left), Buffer.from(right))

function requireAudience(audience: string): void {
  const size = Buffer.byteLength(audience)
  if (size < 1 || size > 512) throw invalidRequest('audience', 'is not 1 to 512 bytes long')
  if (/[\p{Cc}\p{Cs}]/u.test(audience))
    throw invalidRequest('audience', 'holds a control character or half a character')
  if (audience.trim() !== audience) throw invalidRequest('audience', 'begins or ends with white space')
}

/** 1 to 8 audiences, checked one by one, sorted by bytes; a duplicate is an error. */
export function requireAudiences(audiences: readonly string[]): readonly string[] {
  if (audiences.length < 1 || audiences.length > 8) throw invalidRequest('audience', 'is not 1 to 8 texts')
  for (const audience of audiences) requireAudience(audience)
  if (new Set(audiences).size !== audiences.length) throw invalidRequest('audience', 'names one audience twice')
  return [...audiences].sort(byBytes)
}

/** 0 to 6 nonces, checked one by one. */
export function requireNonces(nonces: readonly string[]): readonly string[] {
  if (nonces.length > 6) throw invalidRequest('nonces', 'is not 0 to 6 texts')
  if (!nonces.every((nonce) => /^[\x21-\x7e]{8,88}$/.test(nonce))) {
    throw invalidRequest('nonces', 'holds one that is not 8 to 88 printable ASCII characters without space')
  }
  return nonces
}

export function requireTokenType(tokenType: string | null): 'OIDC' {
  if (tokenType === null || tokenType === 'OIDC') return 'OIDC'
  throw workloadApiErrors.error('unsupported_token_type', `${quoted(tokenType)} is not served`, {
    facts: { field: 'token_type' },
  })
}

/** Reads the members of a token request: a JSON body, or a query that `tokenQueryForms` has read. */
export function parseTokenParameters(members: JsonObject): TokenParameters {
  const reader = new MemberReader(members, tokenMembers)
  const audience = reader.texts('audience', true)
  const cnf = reader.object('cnf')
  requireTokenType(reader.text('token_type'))
  return {
    audience: audience && requireAudiences(audience),
    nonces: requireNonces(reader.texts('nonces') ?? []),
    issuer: reader.text('issuer'),
    minValidS: reader.integer('min_valid_s', 0, 86_400),
    fresh: reader.boolean('fresh') ?? false,
    ttlS: reader.integer('ttl_s', 60, 86_400),
    timeoutMs: reader.integer('timeout_ms', 1, 60_000) ?? defaultTimeoutMs,
    cnf: cnf && parseProofKey(cnf),
  }
}

/** The configured issuer of that name, or the default one. An unknown name is a 400. */
export function requireIssuer(name: string | null, { issuers, defaultIssuer }: TokenSettings): IssuerFacts {
  const issuer = issuers.find((one) => one.name === (name ?? defaultIssuer))
  if (issuer) return issuer
  throw invalidRequest('issuer', name === null ? 'must be named: there is no default' : `${quoted(name)} is unknown`)
}

/** What is asked for when no audience is: the issuer's only one, else the only default one (API-96). */
export function requireAudienceSet(
  audience: readonly string[] | null,
  issuer: IssuerFacts,
  { defaultAudiences }: TokenSettings,
): readonly string[] {
  if (audience !== null) return audience
  if (issuer.fixedAudience !== null) return [issuer.fixedAudience]
  const [only, ...others] = defaultAudiences
  if (only !== undefined && others.length === 0) return [only]
  throw invalidRequest('audience', 'must be named: there is no single default')
}

/**
 * API-96: an issuer with one audience is never asked for another, for its kept token would be the answer, with an `aud`
 * that the caller did not ask for. Throws `audience_unsupported`.
 */
export function requireNameable(audience: readonly string[], { fixedAudience }: IssuerFacts): void {
  if (fixedAudience === null || audience.every((name) => name === fixedAudience)) return
  throw workloadApiErrors.error('audience_unsupported', 'the issuer names one audience in every token', {
    facts: { issuer_audience: fixedAudience },
  })
}
