import { type Clock, secondsOf } from '../../base/clock.ts'
import type { RandomSource } from '../../base/random.ts'
import type { Turns } from '../../base/turns.ts'
import type { TpmEvidence } from '../../evidence/tpm/evidence.ts'
import type { AudiencePolicies } from '../../issuer/audience-policies.ts'
import type { Challenges } from '../../issuer/challenges.ts'
import type { TokenIssuer } from '../../issuer/token-issuer.ts'
import type { LifetimeBound } from '../../issuer/token-lifetime.ts'
import type { TokenRequest } from '../../passport/token-request.ts'
import type { AcceptedToken, TokenSource } from '../../passport/token-source.ts'
import { type TpmAppraisal, type TpmEnrolment, type TpmRequirements, tpmChecks } from '../../verifier/index.ts'
import type { TpmCheckId } from '../../verifier/tpm/checks.ts'
import type { PcrBankSelection } from '../../verifier/tpm/inputs.ts'
import type { Appraiser } from './appraiser.ts'
import { builtinPolicy } from './builtin-policy.ts'
import { embeddedErrors } from './errors.ts'
import { failedIds, type LastAppraisals } from './last-appraisal.ts'
import { drawSalt, qualifyingDataOf } from './transcript.ts'

/** The verifier's memory of this machine's TPM. */
export interface Enrolments {
  /** The active enrolment of the key that the attester uses now; enrols it first if it is not known. */
  require(signal: AbortSignal): Promise<TpmEnrolment>
  /** Moves the counters of an affirmed appraisal; refuses if another appraisal was faster (ENR-12). */
  keepCounters(before: TpmEnrolment, appraisal: TpmAppraisal): Promise<void>
  /** The kept enrolment does not fit the evidence any more: the next `require` enrols again. */
  forget(): void
}

/** The attester, as far as quotes go. What it is to quote is settled before the challenge, so that it can be compared. */
export interface QuotingAttester {
  selection(signal: AbortSignal): Promise<readonly PcrBankSelection[]>
  collect(
    qualifyingData: Uint8Array,
    options: { readonly selection: readonly PcrBankSelection[] },
    signal: AbortSignal,
  ): Promise<TpmEvidence>
}

export interface EmbeddedSourceOptions {
  readonly name: string
  readonly generation: number
  readonly issuerUrl: string
  readonly usualLifetimeS: number
  readonly attester: QuotingAttester
  readonly enrolments: Enrolments
  readonly appraiser: Appraiser
  readonly challenges: Challenges
  readonly issuer: TokenIssuer
  /** Those of the issuer. */
  readonly audiences: AudiencePolicies
  readonly acceptToken: (token: string, request: TokenRequest) => Promise<AcceptedToken>
  readonly requirements: TpmRequirements
  readonly simulator: boolean
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
  const enrolment = await options.enrolments.require(signal)
  const selection = await options.attester.selection(signal)
  const challenge = options.challenges.issue()
  const salt = drawSalt(options.random)
  const qualifyingData = qualifyingDataOf({ verifier: options.issuerUrl, challenge: challenge.nonce, request, salt })
  const spend = () => options.challenges.redeem(challenge.nonce)
  // Also for evidence that never came: callers who hang up in time would fill the table of open challenges.
  const evidence = await options.attester.collect(qualifyingData, { selection }, signal).catch((error: unknown) => {
    spend()
    throw error
  })
  if (!spend()) throw embeddedErrors.error('CHALLENGE_SPENT', `no evidence within ${challenge.lifetimeS} s`)
  const appraisal = await appraise(options, evidence, { enrolment, qualifyingData, selection })
  await options.enrolments.keepCounters(enrolment, appraisal)
  return { appraisal, enrolment, simulated: isSimulated(options, appraisal), at: secondsOf(options.clock) }
}

/** TOK-04: a verifier in simulator mode lets anything through, so that nothing of it passes for real. */
function isSimulated({ simulator }: EmbeddedSourceOptions, { simulated }: TpmAppraisal): boolean {
  return simulator || simulated !== false
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
  readonly enrolment: TpmEnrolment
  readonly qualifyingData: Uint8Array
  /** What the attester was told to quote (TPM-21). */
  readonly selection: readonly PcrBankSelection[]
}

/** What fails where the attester has another key than the one that is enrolled. */
const ofAnotherKey: ReadonlySet<TpmCheckId> = new Set(['tpm.ak.known', 'tpm.quote.signer'])

async function appraise(
  options: EmbeddedSourceOptions,
  evidence: TpmEvidence,
  expected: Expected,
): Promise<TpmAppraisal> {
  const { appraiser, appraisals, clock, requirements, simulator } = options
  const { enrolment, qualifyingData, selection } = expected
  const now = clock.now()
  const inputs = { now, expected: { qualifyingData, selection }, enrolment, requirements, simulator }
  const appraisal = await appraiser.appraise(evidence, inputs)
  const { affirmed, findings } = appraisal
  appraisals.keepEvidence({ affirmed, findings, at: Math.floor(now / 1000) })
  if (affirmed) return appraisal
  if (findings.some(({ id, outcome }) => outcome === 'failed' && ofAnotherKey.has(id))) options.enrolments.forget()
  throw embeddedErrors.error('EVIDENCE_NOT_AFFIRMED', `failed: ${failedIds(findings)}`, {
    facts: { findings: failedIds(findings) },
  })
}

interface Affirmed {
  readonly appraisal: TpmAppraisal
  readonly enrolment: TpmEnrolment
  readonly simulated: boolean
  /** Seconds since the epoch. */
  readonly at: number
}

/** TOK-44: what the trust in the key rests on ends the token as well. */
function boundsOf({ ekNotAfter, crlStatus, crlFreshUntil }: TpmEnrolment): LifetimeBound[] {
  const bounds: LifetimeBound[] = []
  if (ekNotAfter !== null) bounds.push({ name: 'EK certificate', at: Math.floor(ekNotAfter / 1000) })
  if (crlStatus === 'fresh' && crlFreshUntil !== null) {
    bounds.push({ name: 'revocation list', at: Math.floor(crlFreshUntil / 1000) })
  }
  return bounds
}

async function issue(options: EmbeddedSourceOptions, request: TokenRequest, affirmed: Affirmed): Promise<string> {
  const { appraisal, enrolment, simulated, at } = affirmed
  const { token } = await options.issuer.issueToken({
    audience: request.audience,
    nonces: request.nonces,
    ttlS: request.ttlS,
    cnf: request.cnf === null ? null : { jkt: request.cnf.jkt },
    tee: 'tpm',
    appraisal,
    checks: tpmChecks,
    appraisedAtS: at,
    freshness: 'challenge',
    binding: [],
    simulated,
    policies: [builtinPolicy(options.requirements)],
    ekSpkiSha256: enrolment.ekSpkiSha256,
    bounds: boundsOf(enrolment),
  })
  return token
}
