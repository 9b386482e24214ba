import { type Clock, secondsOf } from '../../base/clock.ts'
import { AttestdError } from '../../base/errors.ts'
import type { Collateral } from '../../endorsements/tdx/collateral.ts'
import type { GuestEvidence } from '../../evidence/composite.ts'
import { tpmEvidenceLimits } from '../../evidence/tpm/evidence-json.ts'
import type { Challenges } from '../../issuer/challenges.ts'
import { passportErrors } from '../../passport/errors.ts'
import type { AppraisalOutcome } from '../../registry/appraisal-history.ts'
import type { Finding } from '../../results/appraisal.ts'
import type { RequestCommitment } from '../../results/request-commitment.ts'
import type { GuestInputs, TpmCheckId } from '../../verifier/index.ts'
import { outcomeOf } from './appraisal-outcome.ts'
import { type AppraisalPolicies, type AppraisalPolicy, policiesOf } from './appraisal-policies.ts'
import type { Appraiser } from './appraiser.ts'
import { questionOf } from './asked-policies.ts'
import { BatchVerdicts } from './batch-verdicts.ts'
import type { BundleInput } from './bundle-input.ts'
import type { BundleLane } from './bundle-lane.ts'
import { embeddedErrors } from './errors.ts'
import type { JudgedGuest } from './evidence-tasks.ts'
import {
  type CollectedGuest,
  collectGuest,
  type Guest,
  isSimulator,
  partsOf,
  planTpmQuote,
  type TpmPlan,
  tpmInputsOf,
} from './guest.ts'
import { type ImaStages, type ImaStart, imaPartBytes, imaStartFor, wholeLog } from './ima-parts.ts'
import { failedIds, type LastAppraisals } from './last-appraisal.ts'
import { reportOf } from './policy-outcome.ts'
import { stageImaParts } from './stage-ima-parts.ts'
import { commitmentOf, type RequestBatch, seedOf, type TokenTranscript } from './transcript.ts'

/** The bundled verifier, and the guest that it attests. */
export interface AttestingParts {
  readonly issuerUrl: string
  readonly guest: Guest
  readonly appraiser: Appraiser
  readonly challenges: Challenges
  readonly appraisals: LastAppraisals
  readonly stages: ImaStages
  /** Null: none are evaluated. */
  readonly policies: AppraisalPolicies | null
  readonly bundles: BundleLane
  readonly clock: Clock
}

/** Evidence that was affirmed; what the enrolment remembers has been moved. */
export interface Affirmed {
  /** With what texts say of it: whether they permit a token is to be asked for each request. */
  readonly appraisal: JudgedGuest
  /** What bundles say of it. */
  readonly verdicts: BatchVerdicts
  readonly plan: TpmPlan | null
  readonly simulated: boolean
  /** Seconds since the epoch. */
  readonly at: number
  /** Where the request at `index` of the batch stands in what was quoted. */
  commitmentTo(index: number): RequestCommitment
}

/** One batch of requests at one machine: what all its rounds have in common. */
interface Attesting {
  readonly parts: AttestingParts
  readonly batch: RequestBatch
  readonly plan: TpmPlan | null
  readonly signal: AbortSignal
}

interface Collected extends CollectedGuest {
  readonly transcript: TokenTranscript
  readonly seed: Uint8Array
  readonly start: ImaStart
}

/**
 * Challenge, evidence, appraisal, once for all requests of a batch (BRK-85); what the enrolment remembers is moved before anything is issued. The IMA log begins
 * where the last accepted one ended. Where that cannot be continued, after a reboot for instance, the whole log follows
 * at once under a challenge of its own: the machine did nothing wrong (IMA-10). Once: a whole log that does not verify is
 * a verdict.
 */
export async function attestGuest(parts: AttestingParts, batch: RequestBatch, signal: AbortSignal): Promise<Affirmed> {
  const { guest, stages, clock } = parts
  const plan = await planTpmQuote(guest, signal)
  const attesting = { parts, batch, plan, signal }
  const start = plan === null ? wholeLog : imaStartFor(plan.enrolment, stages)
  const first = await attestFrom(attesting, start)
  const { appraisal, outcome, commitmentTo, now } = first.again ? await attestFrom(attesting, wholeLog) : first
  if (!appraisal.affirmed && plan) await guest.tpm?.enrolments.keepRefusal(plan.enrolment, outcome)
  requireAffirmed(parts, appraisal)
  if (guest.tpm && plan && appraisal.tpm) {
    await guest.tpm.enrolments.keepProgress(plan.enrolment, appraisal.tpm, outcome)
    stages.drop(plan.enrolment.akName)
  }
  const { bundleInput: input, ...judged } = appraisal
  const verdicts = verdictsOf(parts, input, now)
  return {
    appraisal: judged,
    verdicts,
    plan,
    simulated: isSimulated(guest, appraisal),
    at: secondsOf(clock),
    commitmentTo,
  }
}

interface Attempt extends Pick<Affirmed, 'appraisal' | 'commitmentTo'> {
  readonly outcome: AppraisalOutcome
  /** When it was appraised, in milliseconds since the epoch. */
  readonly now: number
  /** The log could not be continued from where it began, and says nothing about the machine. */
  readonly again: boolean
}

async function attestFrom(attesting: Attesting, start: ImaStart): Promise<Attempt> {
  const { parts, plan, signal } = attesting
  const collected = await collectParts(attesting, start)
  const collateral = await obtainCollateral(parts.guest, collected.evidence, signal)
  const inputs = inputsOf(attesting, collected, collateral)
  const asked = askedPolicies(attesting)
  const question = questionOf(asked, { simulator: isSimulator(parts.guest), freshness: 'challenge' })
  const appraisal = await parts.appraiser.appraise(collected.evidence, inputs, question)
  const again = collected.start.from > 0 && isDiscontinued(appraisal)
  // What was staged fits neither this log nor, in the end, any other one.
  if (plan && (again || !appraisal.affirmed)) parts.stages.drop(plan.enrolment.akName)
  const outcome = outcomeOf(appraisal, collected.evidence.tpm?.evidence ?? null, parts.clock.now())
  const { transcript, devices } = collected
  return {
    appraisal,
    outcome,
    now: inputs.now,
    again,
    commitmentTo: (index) => commitmentOf(transcript, devices, index),
  }
}

/** Of the requests that are under bundles, when the turn on the devices has ended. */
function verdictsOf({ bundles: lane, appraisals }: AttestingParts, input: BundleInput | undefined, now: number) {
  return new BatchVerdicts({ lane, input, now, observe: (judged) => appraisals.addReport(reportOf(judged)) })
}

/** Every policy that a request of the batch is under: each is evaluated once (POL-429). */
function askedPolicies({ parts: { policies }, batch }: Attesting): readonly AppraisalPolicy[] {
  return [...new Set(batch.requests.flatMap(({ request }) => policiesOf(policies, request)))]
}

/** How often parts are sent before a log that grows as fast as it is read is taken as it is. */
const mostRounds = 3

/** Evidence with the last part of the IMA log; the parts before it are staged (IMA-24). */
async function collectParts(attesting: Attesting, first: ImaStart): Promise<Collected> {
  let [start, cut] = [first, false]
  for (let round = 1; ; round++) {
    const collected = await collectOver(attesting, start, cut)
    if (collected !== null) return collected
    const next = await stageParts(attesting, start)
    cut = round + 1 >= mostRounds || next.from === start.from
    start = next
  }
}

async function stageParts({ parts, plan, signal }: Attesting, start: ImaStart): Promise<ImaStart> {
  const { tpm } = parts.guest
  if (tpm === null || plan === null) throw new TypeError('an IMA log without a TPM')
  return stageImaParts({ ...parts, tpm, plan }, start, signal)
}

/**
 * One round of evidence under a challenge of its own. Null where parts of the IMA log have to go before it; with `cut` as
 * much of the log is taken as evidence may have, and no more.
 */
async function collectOver(
  { parts, batch, plan, signal }: Attesting,
  start: ImaStart,
  cut: boolean,
): Promise<Collected | null> {
  const { guest, challenges, issuerUrl: verifier, appraiser } = parts
  const challenge = challenges.issue()
  const transcript = { verifier, challenge: challenge.nonce, batch }
  const seed = seedOf(transcript)
  const spend = () => challenges.redeem(challenge.nonce)
  const ima = { imaFrom: start.from, imaMost: cut ? tpmEvidenceLimits.ima : imaPartBytes }
  const fix = appraiser.fixContainer.bind(appraiser)
  // Also for evidence that never came: callers who hang up in time would fill the table of open challenges.
  const collected = await collectGuest(guest, { seed, plan, ima, cut }, fix, signal).catch((error: unknown) => {
    spend()
    throw error
  })
  if (!spend()) throw embeddedErrors.error('CHALLENGE_SPENT', `no evidence within ${challenge.lifetimeS} s`)
  if (collected === null) return null
  const from = collected.evidence.tpm?.evidence.ima?.from ?? start.from
  return { ...collected, transcript, seed, start: from === start.from ? start : { from, stage: null } }
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

function inputsOf({ parts, plan }: Attesting, { seed, start }: Collected, collateral: Collateral | null): GuestInputs {
  const { tpm, td } = parts.guest
  return {
    now: parts.clock.now(),
    seed,
    required: partsOf(parts.guest),
    tpm: tpm === null || plan === null ? null : tpmInputsOf(tpm, plan, start.stage),
    tdx: td === null ? null : { ...td.requirements, collateral },
  }
}

/** TOK-04: a verifier in simulator mode lets anything through, so that nothing of it passes for real. */
const isSimulated = (guest: Guest, { simulated }: JudgedGuest) => isSimulator(guest) || simulated !== false

/** What fails, or is waived, where a log does not go on from where the last one ended. */
const ofTheBeginning: ReadonlySet<string> = new Set<TpmCheckId>([
  'tpm.ima.offset',
  'tpm.ima.wellFormed',
  'tpm.ima.replay',
])

/** What failed besides IMA would fail beside a whole log as well. */
function isDiscontinued({ tpm, findings }: JudgedGuest): boolean {
  if (findings.some(({ id, outcome }) => outcome === 'failed' && !id.startsWith('tpm.ima.'))) return false
  const judged = tpm?.findings.filter(({ id }) => ofTheBeginning.has(id)) ?? []
  return judged.some(({ outcome }) => outcome === 'failed' || outcome === 'waived')
}

/** What fails where the attester has another key than the one that is enrolled. */
const ofAnotherKey: ReadonlySet<string> = new Set<TpmCheckId>(['tpm.ak.known', 'tpm.quote.signer'])

const hasFailed = (findings: readonly Finding[], ids: ReadonlySet<string>) =>
  findings.some(({ id, outcome }) => outcome === 'failed' && ids.has(id))

function requireAffirmed({ guest, appraisals, policies, clock }: AttestingParts, appraisal: JudgedGuest): void {
  const { affirmed, findings } = appraisal
  const said = policies === null ? {} : { policies: appraisal.policies.map(reportOf) }
  appraisals.keepEvidence({ affirmed, findings, at: secondsOf(clock), ...said })
  if (affirmed) return
  if (hasFailed(findings, ofAnotherKey)) guest.tpm?.enrolments.forget()
  throw embeddedErrors.error('EVIDENCE_NOT_AFFIRMED', `failed: ${failedIds(findings)}`, {
    facts: { findings: failedIds(findings) },
  })
}
