import { NewestFew } from '../../base/newest-few.ts'
import type { BoundStatements } from '../../issuer/attestation-api/ports.ts'
import {
  type Claim,
  type Evaluation,
  evaluatePolicy,
  forToken,
  type Policy,
  PreparedPolicy,
  parsePolicy,
  presentClaims,
  type Verdict,
  type VerifiedTrees,
} from '../../policies/index.ts'
import type { TrustName, TrustTier } from '../../policies/rego/trust-claims.ts'
import type { Freshness } from '../../results/token-claims.ts'
import type { TextPolicy } from './appraisal-policies.ts'

/** What is asked beside the appraisal. */
export interface PolicyQuestion {
  /** Each once, whatever the number of requests that name it. */
  readonly policies: readonly TextPolicy[]
  /** Bundles are asked elsewhere, and their input document is to be made. */
  readonly bundles: boolean
  /** The verifier runs in simulator mode. */
  readonly simulator: boolean
  readonly freshness: Freshness
  /** What the attester says of itself and the evidence binds; absent: nothing. */
  readonly statements?: BoundStatements
}

/** Why a rule that would have permitted did not: lines of the rule and of its first condition that is false. */
export interface MissedPermit {
  readonly rule: number
  readonly condition: number
}

/** A name of the trust vector for which a bundle denied. */
export interface OpposedTrust {
  readonly name: TrustName
  readonly tier: TrustTier | 'absent'
}

/** The verdict of one policy. */
export interface JudgedPolicy {
  readonly id: string
  readonly evaluation: Verdict
  /** Of the rules that decided. */
  readonly lines: readonly number[]
  /** Empty but for the reason `no-permit`. */
  readonly missed: readonly MissedPermit[]
  /** Of a bundle; empty but for a denial by its trust vector. */
  readonly opposed?: readonly OpposedTrust[]
}

const profile = { profile: 'attestd' } as const
/** Policies that are kept ready: more than one request can name, and few enough to be nothing in memory. */
const mostKept = 32
const mostMissed = 8
/** Steps of an evaluation that may be done twice: 50 ms and more are not spent again on an explanation. */
const mostTraced = 1_000_000

interface ReadyPolicy {
  readonly policy: Policy
  readonly prepared: PreparedPolicy
}

function makeReady({ id, text }: TextPolicy): ReadyPolicy {
  const { policy } = parsePolicy(text)
  if (policy === undefined) throw new TypeError(`policy ${id} was said to load, and does not`)
  return { policy, prepared: new PreparedPolicy(policy, profile) }
}

/** A second evaluation, of denials only: operators are to see which condition fails, without looking at evidence. */
function missedPermits(policy: Policy, claims: readonly Claim[]): MissedPermit[] {
  const { trace = [] } = evaluatePolicy(policy, claims, { ...profile, trace: true })
  return trace
    .filter(({ section, rule, fired }) => {
      if (section !== 'authorizationrules' || fired) return false
      return policy.authorization[rule - 1]?.action.kind === 'permit'
    })
    .slice(0, mostMissed)
    .map(({ line, conditions }) => ({ rule: line, condition: conditions.at(-1)?.line ?? line }))
}

/** Without what only explains: the claims that a policy added are many and stay in the thread. */
function verdictOf(evaluated: Evaluation): Verdict {
  const evaluation = forToken(evaluated)
  if (evaluation.verdict === 'deny') return { verdict: 'deny', reason: evaluation.reason }
  if (evaluation.verdict === 'error') return { verdict: 'error', error: evaluation.error }
  const { token, properties } = evaluation
  return { verdict: 'permit', token, properties }
}

/** Evaluates policies where appraisals are made. Keeps the newest ready: most appraisals ask the same. */
export class PolicyJudge {
  readonly #ready = new NewestFew<ReadyPolicy>(mostKept)

  /**
   * What each policy says about what was verified; each on a copy of its own of the claims (POL-429). Policies that cannot
   * tell get no documents. Never throws for what a policy or a claim is.
   */
  judge(
    { documents, ...trees }: VerifiedTrees,
    { policies, statements }: Pick<PolicyQuestion, 'policies' | 'statements'>,
  ): readonly JudgedPolicy[] {
    const isAsked = documents !== undefined && policies.some((policy) => policy.documents)
    const { runtimeData = null } = statements ?? {}
    const said = runtimeData === null ? {} : { runtimeData }
    const claims = presentClaims(isAsked ? { ...trees, documents } : trees, said)
    return policies.map((policy) => this.#judgeBy(policy, claims))
  }

  #judgeBy(policy: TextPolicy, claims: readonly Claim[]): JudgedPolicy {
    const { prepared, policy: parsed } = this.#ready.of(policy.hash, () => makeReady(policy))
    const evaluation = prepared.evaluate(claims)
    const { decidedBy: lines, steps } = evaluation
    const isMissed = evaluation.verdict === 'deny' && evaluation.reason === 'no-permit' && steps <= mostTraced
    const missed = isMissed ? missedPermits(parsed, claims) : []
    return { id: policy.id, evaluation: verdictOf(evaluation), lines, missed }
  }
}
