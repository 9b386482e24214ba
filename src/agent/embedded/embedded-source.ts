import type { Clock } from '../../base/clock.ts'
import type { Standing } from '../../base/fair-queue.ts'
import type { FairTurns } from '../../base/fair-turns.ts'
import type { RandomSource } from '../../base/random.ts'
import { Turns } from '../../base/turns.ts'
import type { AudiencePolicies } from '../../issuer/audience-policies.ts'
import type { Challenges } from '../../issuer/challenges.ts'
import type { TokenIssuer } from '../../issuer/token-issuer.ts'
import type { LifetimeBound } from '../../issuer/token-lifetime.ts'
import type { AcceptedToken, TokenSource } from '../../passport/token-source.ts'
import type { TokenRequest } from '../../results/token-request.ts'
import { guestChecks } from '../../verifier/composite/guest-checks.ts'
import type { TpmEnrolment } from '../../verifier/index.ts'
import { type AppraisalPolicies, isBundled, policiesOf } from './appraisal-policies.ts'
import type { Appraiser } from './appraiser.ts'
import { type Affirmed, attestGuest } from './attest-guest.ts'
import type { BatchLedger } from './batch-ledger.ts'
import { reportedPolicies } from './builtin-policy.ts'
import type { BundleLane } from './bundle-lane.ts'
import { embeddedErrors } from './errors.ts'
import type { Guest } from './guest.ts'
import { ImaStages } from './ima-parts.ts'
import type { LastAppraisals } from './last-appraisal.ts'
import type { JudgedPolicy } from './policy-judge.ts'
import { requirePermit } from './policy-outcome.ts'
import { asVerdict } from './registry-verdict.ts'
import { type BatchPlace, RequestBatches } from './request-batches.ts'
import { boundsOfTd } from './td-bounds.ts'
import { batchRequests, type SaltedRequest, saltRequest } from './transcript.ts'

export interface EmbeddedSourceOptions {
  readonly name: string
  readonly generation: number
  readonly issuerUrl: string
  readonly usualLifetimeS: number
  readonly guest: Guest
  /** Null: the configured requirements are all that is asked of the evidence. */
  readonly policies: AppraisalPolicies | null
  /** Of the process: a reload replaces sources, and the memory is as large as it was. */
  readonly bundles: BundleLane
  readonly appraiser: Appraiser
  readonly challenges: Challenges
  readonly issuer: TokenIssuer
  /** Those of the issuer. */
  readonly audiences: AudiencePolicies
  readonly acceptToken: (token: string, request: TokenRequest) => Promise<AcceptedToken>
  /** Verifies one that was issued in an earlier run (BRK-117). */
  readonly recogniseToken?: (token: string, request: TokenRequest) => Promise<AcceptedToken>
  readonly appraisals: LastAppraisals
  /** Those of the TPM: all sources that share its counters take them together, also while a reload replaces one. */
  readonly turns: FairTurns
  /** Of the process, like the turns. */
  readonly ledger: BatchLedger
  readonly clock: Clock
  readonly random: RandomSource
}

/** Whoever names nobody waits as one caller. */
const unnamed: Standing = { caller: '', background: false }

/**
 * The bundled verifier and issuer as a source of tokens: challenge, evidence, appraisal, tokens, all in this process.
 * One quote answers all requests that came before it began (BRK-85), and each token proves which of them it answers
 * (BRK-86). A challenge is redeemed once, by the very bytes that the TPM signed over; nothing is taken from the evidence.
 */
export function createEmbeddedSource(options: EmbeddedSourceOptions): TokenSource {
  const { name, generation, usualLifetimeS, acceptToken, recogniseToken, turns, ledger, clock, random } = options
  const stages = new ImaStages(clock)
  // Two signatures at a time: a batch of a thousand must not hold all threads that files wait for as well (BRK-164).
  const signing = [new Turns(), new Turns()] as const
  // One after another: counters must be compared in the order in which the TPM counted (ENR-12).
  const batches = new RequestBatches<SaltedRequest, Affirmed>({
    answer: (requests, signal) => asVerdict(attestGuest({ ...options, stages }, batchRequests(requests), signal)),
    turns,
    ledger,
    name: `${name}/${generation}`,
  })
  return {
    name,
    generation,
    usualLifetimeS,
    acceptToken,
    ...(recogniseToken === undefined ? {} : { recogniseToken }),
    expectedWaitMs: () => batches.expectedWaitMs(),
    obtainToken: async (request, signal, standing = unnamed) => {
      requireOneAudience(request)
      requireKey(request, options.audiences)
      // Found out before the devices are troubled.
      const bundles = policiesOf(options.policies, request).filter(isBundled)
      await options.bundles.rested(bundles, signal)
      const place = await batches.join(saltRequest(request, random), standing, signal)
      const verdicts = await place.answer.verdicts.of(bundles, signal)
      const lane = signing[place.index % 2 === 0 ? 0 : 1]
      return lane.take(() => issue(options, request, place, verdicts), signal)
    },
  }
}

/** What TOK-11 lets stand in a token; the socket takes more (API 6.1). */
const audienceForm = /^[\x21-\x7e]{1,256}$/

/** Several audiences need an `azp` (TOK-16), and callers of the socket are no OpenID clients. */
function requireOneAudience({ audience }: TokenRequest): void {
  const refuse = (says: string) => embeddedErrors.error('audience_unsupported', says)
  if (audience.length !== 1) throw refuse(`${audience.length} audiences in one request`)
  if (!audience.every((name) => audienceForm.test(name)))
    throw refuse('the audience is not 1 to 256 printable ASCII characters')
}

/** Found out before the TPM is troubled, and no verdict on this machine: what is missing is the caller's to send. */
function requireKey({ audience, cnf }: TokenRequest, { policyFor }: AudiencePolicies): void {
  if (cnf !== null || policyFor(audience).subject.mode !== 'key') return
  throw embeddedErrors.error('audience_unsupported', 'tokens for this audience name the key of the caller', {
    remedy: 'send `cnf` with a public key of the workload',
  })
}

/** TOK-44: what the trust in the key rests on ends the token as well. */
function boundsOfEnrolment({ ekNotAfter, crlStatus, crlFreshUntil }: TpmEnrolment): LifetimeBound[] {
  const bounds: LifetimeBound[] = []
  if (ekNotAfter !== null) bounds.push({ name: 'EK certificate', at: Math.floor(ekNotAfter / 1000) })
  if (crlStatus === 'fresh' && crlFreshUntil !== null) {
    bounds.push({ name: 'revocation list', at: Math.floor(crlFreshUntil / 1000) })
  }
  return bounds
}

async function issue(
  options: EmbeddedSourceOptions,
  request: TokenRequest,
  { answer, index }: BatchPlace<Affirmed>,
  verdicts: readonly JudgedPolicy[],
): Promise<string> {
  const { appraisal, plan, simulated, at } = answer
  const { tee, binding, tdx } = appraisal
  if (tee === null) throw new TypeError('an affirmed appraisal of no kind')
  const permit = requirePermit(policiesOf(options.policies, request), [...appraisal.policies, ...verdicts], at)
  const { token } = await options.issuer.issueToken({
    audience: request.audience,
    nonces: request.nonces,
    ttlS: request.ttlS,
    cnf: request.cnf === null ? null : { jkt: request.cnf.jkt },
    tee,
    appraisal,
    checks: guestChecks,
    appraisedAtS: at,
    freshness: 'challenge',
    commitment: answer.commitmentTo(index),
    binding,
    simulated,
    policies: reportedPolicies(options.guest, options.policies, request),
    policyClaims: permit.claims,
    ekSpkiSha256: plan?.enrolment.ekSpkiSha256 ?? null,
    bounds: [...(plan ? boundsOfEnrolment(plan.enrolment) : []), ...(tdx ? boundsOfTd(tdx) : []), ...permit.bounds],
  })
  return token
}
