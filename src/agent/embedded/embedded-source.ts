import { type Clock, secondsOf } from '../../base/clock.ts'
import { AttestdError } from '../../base/errors.ts'
import type { RandomSource } from '../../base/random.ts'
import type { Turns } from '../../base/turns.ts'
import type { Collateral } from '../../endorsements/tdx/collateral.ts'
import type { GuestEvidence } from '../../evidence/composite.ts'
import type { AudiencePolicies } from '../../issuer/audience-policies.ts'
import type { Challenges } from '../../issuer/challenges.ts'
import type { TokenIssuer } from '../../issuer/token-issuer.ts'
import type { LifetimeBound } from '../../issuer/token-lifetime.ts'
import { passportErrors } from '../../passport/errors.ts'
import type { AcceptedToken, TokenSource } from '../../passport/token-source.ts'
import type { TokenRequest } from '../../results/token-request.ts'
import { guestChecks } from '../../verifier/composite/guest-checks.ts'
import type { GuestAppraisal, GuestInputs, TdxAppraisal, TpmCheckId, TpmEnrolment } from '../../verifier/index.ts'
import type { Appraiser } from './appraiser.ts'
import { builtinPolicy } from './builtin-policy.ts'
import { embeddedErrors } from './errors.ts'
import { collectGuest, type Guest, partsOf, planTpmQuote, type TpmPlan } from './guest.ts'
import { failedIds, type LastAppraisals } from './last-appraisal.ts'
import { drawSalt, seedOf } from './transcript.ts'

export interface EmbeddedSourceOptions {
  readonly name: string
  readonly generation: number
  readonly issuerUrl: string
  readonly usualLifetimeS: number
  readonly guest: Guest
  readonly appraiser: Appraiser
  readonly challenges: Challenges
  readonly issuer: TokenIssuer
  /** Those of the issuer. */
  readonly audiences: AudiencePolicies
  readonly acceptToken: (token: string, request: TokenRequest) => Promise<AcceptedToken>
  readonly appraisals: LastAppraisals
  /** Those of the TPM: all sources that share its counters take them together, also while a reload replaces one. */
  readonly turns: Turns
  readonly clock: Clock
  readonly random: RandomSource
}

/**
 * The bundled verifier and issuer as a source of tokens: challenge, evidence, appraisal, token, all in this process.
 * A challenge is redeemed once, by the very bytes that the TPM signed over; nothing is taken from the evidence.
 */
export function createEmbeddedSource(options: EmbeddedSourceOptions): TokenSource {
  const { name, generation, usualLifetimeS, acceptToken, turns } = options
  return {
    name,
    generation,
    usualLifetimeS,
    acceptToken,
    obtainToken: async (request, signal) => {
      requireOneAudience(request)
      requireKey(request, options.audiences)
      // One at a time: counters must be compared in the order in which the TPM counted (ENR-12).
      const affirmed = await turns.take(() => attest(options, request, signal), signal)
      return issue(options, request, affirmed)
    },
  }
}

/** Challenge, evidence, appraisal; what the enrolment remembers is moved before anything is issued. */
async function attest(options: EmbeddedSourceOptions, request: TokenRequest, signal: AbortSignal): Promise<Affirmed> {
  const { guest, challenges, issuerUrl: verifier, random, clock } = options
  const plan = await planTpmQuote(guest, signal)
  const challenge = challenges.issue()
  const seed = seedOf({ verifier, challenge: challenge.nonce, request, salt: drawSalt(random) })
  const spend = () => challenges.redeem(challenge.nonce)
  // Also for evidence that never came: callers who hang up in time would fill the table of open challenges.
  const evidence = await collectGuest(guest, seed, plan, signal).catch((error: unknown) => {
    spend()
    throw error
  })
  if (!spend()) throw embeddedErrors.error('CHALLENGE_SPENT', `no evidence within ${challenge.lifetimeS} s`)
  const collateral = await obtainCollateral(guest, evidence, signal)
  const appraisal = await appraise(options, evidence, { seed, plan, collateral })
  if (guest.tpm && plan && appraisal.tpm) await guest.tpm.enrolments.keepCounters(plan.enrolment, appraisal.tpm)
  return { appraisal, plan, simulated: isSimulated(guest, appraisal), at: secondsOf(clock) }
}

/** What a provisioning service refuses or forges is no verdict on this machine: no token may be lost by it (BRK-47). */
async function obtainCollateral(
  { td }: Guest,
  { tdx }: GuestEvidence,
  signal: AbortSignal,
): Promise<Collateral | null> {
  if (td === null || tdx === null) return null
  try {
    return await td.collateralOf(tdx.quote, signal)
  } catch (error) {
    if (!(error instanceof AttestdError && error.kind === 'refused')) throw error
    const { code, facts, remedy, message } = error
    throw passportErrors.error('evidence_unavailable', message, {
      facts: { ...facts, cause_code: code },
      cause: error,
      remedy,
    })
  }
}

/** TOK-04: a verifier in simulator mode lets anything through, so that nothing of it passes for real. */
function isSimulated({ tpm, td }: Guest, { simulated }: GuestAppraisal): boolean {
  return tpm?.simulator === true || td?.requirements.simulator === true || simulated !== false
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

interface Expected {
  readonly seed: Uint8Array
  readonly plan: TpmPlan | null
  readonly collateral: Collateral | null
}

function inputsOf({ guest, clock }: EmbeddedSourceOptions, { seed, plan, collateral }: Expected): GuestInputs {
  const { tpm, td } = guest
  return {
    now: clock.now(),
    seed,
    required: partsOf(guest),
    tpm:
      tpm === null || plan === null
        ? null
        : {
            requirements: tpm.requirements,
            simulator: tpm.simulator,
            enrolment: plan.enrolment,
            selection: plan.selection,
          },
    tdx: td === null ? null : { ...td.requirements, collateral },
  }
}

/** What fails where the attester has another key than the one that is enrolled. */
const ofAnotherKey: ReadonlySet<string> = new Set<TpmCheckId>(['tpm.ak.known', 'tpm.quote.signer'])

async function appraise(
  options: EmbeddedSourceOptions,
  evidence: GuestEvidence,
  expected: Expected,
): Promise<GuestAppraisal> {
  const inputs = inputsOf(options, expected)
  const appraisal = await options.appraiser.appraise(evidence, inputs)
  const { affirmed, findings } = appraisal
  options.appraisals.keepEvidence({ affirmed, findings, at: Math.floor(inputs.now / 1000) })
  if (affirmed) return appraisal
  if (findings.some(({ id, outcome }) => outcome === 'failed' && ofAnotherKey.has(id))) {
    options.guest.tpm?.enrolments.forget()
  }
  throw embeddedErrors.error('EVIDENCE_NOT_AFFIRMED', `failed: ${failedIds(findings)}`, {
    facts: { findings: failedIds(findings) },
  })
}

interface Affirmed {
  readonly appraisal: GuestAppraisal
  readonly plan: TpmPlan | null
  readonly simulated: boolean
  /** Seconds since the epoch. */
  readonly at: number
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

/** Collateral that is used in its grace has ended already, and bounds nothing any more. */
function boundsOfTd({ collateral, pck }: TdxAppraisal): LifetimeBound[] {
  const bounds: LifetimeBound[] = []
  if (pck !== null) bounds.push({ name: 'PCK certificate', at: Math.floor(pck.notAfter / 1000) })
  if (collateral !== null && !collateral.expired) {
    bounds.push({ name: 'TDX collateral', at: Math.floor(collateral.earliestExpirationDate / 1000) })
  }
  return bounds
}

async function issue(options: EmbeddedSourceOptions, request: TokenRequest, affirmed: Affirmed): Promise<string> {
  const { appraisal, plan, simulated, at } = affirmed
  const { tee, binding, tdx } = appraisal
  if (tee === null) throw new TypeError('an affirmed appraisal of no kind')
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
    binding,
    simulated,
    policies: [builtinPolicy(options.guest)],
    ekSpkiSha256: plan?.enrolment.ekSpkiSha256 ?? null,
    bounds: [...(plan ? boundsOfEnrolment(plan.enrolment) : []), ...(tdx ? boundsOfTd(tdx) : [])],
  })
  return token
}
