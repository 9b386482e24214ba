import { canonicalJson } from '../base/json.ts'
import type { SubjectRule } from '../results/subject.ts'
import { type ConsumerName, requireConsumerTakesPolicy } from './consumers.ts'
import { issuerErrors } from './errors.ts'
import type { SigningAlgorithm } from './signing-key.ts'

/** How tokens for an audience are made. */
export interface AudiencePolicy {
  /** What `sub` names; one audience always sees one mode (TOK-41). */
  readonly subject: SubjectRule
  readonly algorithm: SigningAlgorithm
  /** 60 to 86 400 (TOK-43). */
  readonly lifetimeS: number
  /** Whose limits the tokens must keep (TOK-150), or null. */
  readonly consumer: ConsumerName | null
  /** Size budget; 8 192 fits into one HTTP header, more is for audiences that need no header (TOK-152). */
  readonly maxCharacters: number
}

/** The settings that one token must keep: those of all its audiences together. */
export interface EffectivePolicy extends Omit<AudiencePolicy, 'consumer'> {
  readonly consumers: readonly ConsumerName[]
}

export interface AudiencePolicies {
  /**
   * Takes 1 to 8 different audiences of 1 to 256 printable ASCII characters (TOK-11) and gives what holds for a token
   * that names them all. Throws `AUDIENCE_INVALID`, `AUDIENCE_REFUSED`, `AUDIENCES_DISAGREE`.
   */
  policyFor(audience: readonly string[]): EffectivePolicy
}

export interface AudiencePolicyOptions {
  readonly issuer: string
  /** For audiences that are not listed; null refuses them. */
  readonly fallback: AudiencePolicy | null
  readonly listed?: readonly { readonly audience: string; readonly policy: AudiencePolicy }[]
  /** Least configurable lifetime; default 60 (TOK-43). */
  readonly leastLifetimeS?: number
}

const audienceForm = /^[\x21-\x7e]{1,256}$/

function invalidPolicy(problem: string) {
  return issuerErrors.error('AUDIENCE_POLICY_INVALID', problem)
}

function requirePolicy(policy: AudiencePolicy, name: string, leastLifetimeS = 60): void {
  const { lifetimeS, maxCharacters } = policy
  if (!Number.isSafeInteger(lifetimeS) || lifetimeS < leastLifetimeS || lifetimeS > 86_400) {
    throw invalidPolicy(`${name}: a lifetime of ${lifetimeS} s is not within ${leastLifetimeS} to 86400 s`)
  }
  if (!Number.isSafeInteger(maxCharacters) || maxCharacters < 1) {
    throw invalidPolicy(`${name}: the size budget is not a number of characters`)
  }
}

function indexPolicies({ issuer, listed = [], leastLifetimeS }: AudiencePolicyOptions): Map<string, AudiencePolicy> {
  const byAudience = new Map<string, AudiencePolicy>()
  for (const { audience, policy } of listed) {
    if (!audienceForm.test(audience))
      throw invalidPolicy('a listed audience is not 1 to 256 printable ASCII characters')
    if (byAudience.has(audience)) throw invalidPolicy(`audience ${audience} is listed twice`)
    requirePolicy(policy, `audience ${audience}`, leastLifetimeS)
    if (policy.consumer !== null) requireConsumerTakesPolicy(policy.consumer, { issuer, audience, ...policy })
    byAudience.set(audience, policy)
  }
  return byAudience
}

function requireAudience(audience: readonly string[]): void {
  const sound = audience.length >= 1 && audience.length <= 8 && audience.every((name) => audienceForm.test(name))
  if (!sound || new Set(audience).size !== audience.length) {
    throw issuerErrors.error('AUDIENCE_INVALID', 'the audiences of the request are not 1 to 8 different audiences')
  }
}

/** A token with two audiences must look the same to both: a subject of one mode, a signature that both take. */
function combine(policies: readonly AudiencePolicy[]): EffectivePolicy {
  const [first, ...others] = policies
  if (first === undefined) throw new TypeError('no policies to combine')
  const key = ({ subject, algorithm }: AudiencePolicy) => canonicalJson([subject, algorithm])
  if (others.some((other) => key(other) !== key(first))) {
    throw issuerErrors.error('AUDIENCES_DISAGREE', 'the audiences of the request have different subjects or algorithms')
  }
  return {
    subject: first.subject,
    algorithm: first.algorithm,
    lifetimeS: Math.min(...policies.map(({ lifetimeS }) => lifetimeS)),
    maxCharacters: Math.min(...policies.map(({ maxCharacters }) => maxCharacters)),
    consumers: [...new Set(policies.flatMap(({ consumer }) => consumer ?? []))],
  }
}

/** Checks every policy against its consumer's limits, so that a bad one stops the start and not the first token. */
export function createAudiencePolicies(options: AudiencePolicyOptions): AudiencePolicies {
  const { fallback, leastLifetimeS } = options
  const byAudience = indexPolicies(options)
  if (fallback !== null) {
    requirePolicy(fallback, 'other audiences', leastLifetimeS)
    if (fallback.consumer !== null) throw invalidPolicy('only a listed audience can name a consumer')
  }
  const policyOf = (audience: string): AudiencePolicy => {
    const policy = byAudience.get(audience) ?? fallback
    if (policy === null) throw issuerErrors.error('AUDIENCE_REFUSED', 'the audience is not configured')
    return policy
  }
  return {
    policyFor: (audience) => {
      requireAudience(audience)
      return combine(audience.map(policyOf))
    },
  }
}
