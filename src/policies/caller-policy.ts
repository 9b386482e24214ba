import type { CallerIdentity } from './caller-identity.ts'
import { type CallerMatch, isUnidentified, matchesCaller, type UnmappedIds } from './caller-match.ts'

/** What a caller can ask for (API-62). The liveness and readiness probes need no rule. */
export const callerMethods = ['token', 'evidence', 'raw_report_data', 'measure', 'jwks', 'explain'] as const
export type CallerMethod = (typeof callerMethods)[number]

/** Where a request failed (API-67), in the order in which it is judged. */
export type DenialDimension =
  | 'caller'
  | 'method'
  | 'audience'
  | 'token_type'
  | 'issuer'
  | 'nonce'
  | 'fresh'
  | 'ttl'
  | 'min_valid'
  | 'domain'

/** Matched byte for byte; a prefix ends in `/`, `:` or `#`, so that it never covers half a name (API-63). */
export type AudiencePattern = { readonly exact: string } | { readonly prefix: string }

export interface CallerGrant {
  readonly methods: readonly CallerMethod[]
  readonly audiences: readonly AudiencePattern[]
  readonly tokenTypes: readonly string[]
  readonly issuers: readonly string[]
  readonly nonce: 'forbid' | 'allow' | 'require'
  readonly fresh: boolean
  /** Bound of a requested life and of the life of what is served (API-64); null: no bound. */
  readonly ttlMaxS: number | null
  readonly minValidMaxS: number
  /** Longest caller-chosen report data, 1 to 64 bytes (API-66). */
  readonly rawMaxBytes: number
  /** Domains of runtime measurements; one workload must not write another's (section 6.3). */
  readonly domains: readonly AudiencePattern[]
  /** Bytes that records of these domains may take in the event log of this boot: it has no room for ever. */
  readonly measureBytesMax: number
}

export interface CallerRate {
  readonly perMin: number
  readonly burst: number
  /** True: this rate stands also where it is higher than the built-in one (API-81). */
  readonly raise: boolean
}

export interface CallerRule {
  readonly id: string
  readonly match: CallerMatch
  readonly allow: CallerGrant
  readonly rate: CallerRate | null
}

export interface CallerPolicy {
  /** In the order of the file. */
  readonly rules: readonly CallerRule[]
  /** What the kernel reports for ids that it cannot map: matches nothing (API-49). */
  readonly unmapped: UnmappedIds
}

/** One request in the terms of the policy. What a method does not have is null, false or empty. */
export interface CallerRequest {
  readonly method: CallerMethod
  readonly audience: readonly string[]
  readonly tokenType: string | null
  /** Name of a configured issuer, never a URL. */
  readonly issuer: string | null
  readonly nonces: boolean
  readonly fresh: boolean
  readonly ttlS: number | null
  readonly minValidS: number | null
  /** Report data that the caller chose, before padding. */
  readonly rawReportData: Uint8Array | null
  /** Whose measurement it is; never null for one that is to be made. */
  readonly domain: string | null
}

export type Decision =
  | { readonly allowed: true; readonly rule: CallerRule }
  | {
      readonly allowed: false
      /** `caller_unidentified`: the kernel could not say who calls (API-48, API-49). */
      readonly code: 'policy_denied' | 'caller_unidentified'
      readonly dimension: DenialDimension
      /** Id of the rule that came furthest, for operators; null: none is about the caller. */
      readonly rule: string | null
    }

const plainRequest: Omit<CallerRequest, 'method'> = {
  audience: [],
  tokenType: null,
  issuer: null,
  nonces: false,
  fresh: false,
  ttlS: null,
  minValidS: null,
  rawReportData: null,
  domain: null,
}

/** A request for `method` that has nothing but what `parts` names. */
export function callerRequest(method: CallerMethod, parts: Partial<Omit<CallerRequest, 'method'>> = {}): CallerRequest {
  return { ...plainRequest, ...parts, method }
}

function coversAudience(pattern: AudiencePattern, audience: string): boolean {
  return 'exact' in pattern ? audience === pattern.exact : audience.startsWith(pattern.prefix)
}

function allowsAudience({ audiences }: CallerGrant, { method, audience }: CallerRequest): boolean {
  if (method === 'token' && audience.length === 0) return false
  return audience.every((one) => audiences.some((pattern) => coversAudience(pattern, one)))
}

/** First bytes of the tag that ends our own report data (BRK-92): no caller can make a quote that carries it. */
const ownTag = new TextEncoder().encode('attestd')
const ownTagOffset = 48

function allowsRawReportData({ rawMaxBytes }: CallerGrant, data: Uint8Array | null): boolean {
  if (data === null) return true
  const tagged = ownTag.every((byte, at) => data[ownTagOffset + at] === byte)
  return data.length <= rawMaxBytes && !tagged
}

function allowsNonces({ nonce }: CallerGrant, { method, nonces }: CallerRequest): boolean {
  if (method !== 'token') return !nonces
  return nonces ? nonce !== 'forbid' : nonce !== 'require'
}

/** What the agent itself measures, such as the head of its journal (BRK-123): no workload may pass for it. */
export const ownDomains = 'attestd/'

/** Whether a grant is about measurements of this domain; never of the agent's own. */
export function coversDomain({ domains }: CallerGrant, domain: string): boolean {
  return !domain.startsWith(ownDomains) && domains.some((pattern) => coversAudience(pattern, domain))
}

function allowsDomain(grant: CallerGrant, { method, domain }: CallerRequest): boolean {
  // Who only asks what is allowed names none.
  if (domain === null) return method !== 'measure' || grant.domains.length > 0
  return coversDomain(grant, domain)
}

type Dimension = (allow: CallerGrant, request: CallerRequest) => boolean

const dimensions: readonly (readonly [DenialDimension, Dimension])[] = [
  ['method', (allow, { method }) => allow.methods.includes(method)],
  ['audience', allowsAudience],
  [
    'token_type',
    (allow, { method, tokenType }) => (tokenType === null ? method !== 'token' : allow.tokenTypes.includes(tokenType)),
  ],
  ['issuer', (allow, { method, issuer }) => (issuer === null ? method !== 'token' : allow.issuers.includes(issuer))],
  ['nonce', (allow, request) => allowsNonces(allow, request) && allowsRawReportData(allow, request.rawReportData)],
  ['fresh', (allow, { fresh }) => !fresh || allow.fresh],
  ['ttl', (allow, { ttlS }) => ttlS === null || allow.ttlMaxS === null || ttlS <= allow.ttlMaxS],
  ['min_valid', (allow, { minValidS }) => minValidS === null || minValidS <= allow.minValidMaxS],
  ['domain', allowsDomain],
]

/** Index of the first dimension that the rule refuses; the number of dimensions when it refuses none. */
function reach(rule: CallerRule, request: CallerRequest): number {
  const at = dimensions.findIndex(([, holds]) => !holds(rule.allow, request))
  return at === -1 ? dimensions.length : at
}

/** The rule that bounds the life of what is served least, so that adding a rule never takes anything away. */
function mostGenerous(rules: readonly CallerRule[]): CallerRule | undefined {
  const bound = ({ allow }: CallerRule) => allow.ttlMaxS ?? Number.POSITIVE_INFINITY
  return rules.reduce<CallerRule | undefined>(
    (best, rule) => (best && bound(best) >= bound(rule) ? best : rule),
    undefined,
  )
}

/**
 * Decides whether `caller` may make `request` (API-60 to API-68): one single rule must match the caller and allow every
 * dimension; rights of several rules are never combined. What no rule allows is denied, with the dimension in which the
 * rule that came furthest refused. Rules that do not match the caller have no influence on the answer, so that a denial
 * tells nothing about others.
 */
export function decide(policy: CallerPolicy, caller: CallerIdentity, request: CallerRequest): Decision {
  const mine = policy.rules.filter(({ match }) => matchesCaller(match, caller, policy.unmapped))
  if (mine.length === 0) {
    const code = isUnidentified(caller, policy.unmapped) ? 'caller_unidentified' : 'policy_denied'
    return { allowed: false, code, dimension: 'caller', rule: null }
  }
  const reached = mine.map((rule) => reach(rule, request))
  const rule = mostGenerous(mine.filter((_, at) => reached[at] === dimensions.length))
  if (rule) return { allowed: true, rule }
  const furthest = Math.max(...reached)
  const [refused, closest] = [dimensions[furthest], mine[reached.indexOf(furthest)]]
  if (!refused || !closest) throw new TypeError('a refusal without a dimension')
  return { allowed: false, code: 'policy_denied', dimension: refused[0], rule: closest.id }
}

/** Requests per minute and burst that the rules matching the caller raise above the built-in rate; null: none does. */
export function raisedRate(policy: CallerPolicy, caller: CallerIdentity): CallerRate | null {
  const raised = policy.rules.filter(
    ({ rate, match }) => rate?.raise === true && matchesCaller(match, caller, policy.unmapped),
  )
  return raised.reduce<CallerRate | null>(
    (best, { rate }) => (rate && (best === null || rate.perMin > best.perMin) ? rate : best),
    null,
  )
}
