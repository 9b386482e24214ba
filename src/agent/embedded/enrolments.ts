import type { Logger } from 'pino'
import type { TpmAttester, TpmIdentity } from '../../attester/tpm/tpm-attester.ts'
import { toHex } from '../../base/bytes.ts'
import type { Clock } from '../../base/clock.ts'
import { AttestdError } from '../../base/errors.ts'
import { secondOf } from '../../base/pki/whole-second.ts'
import type { RandomSource } from '../../base/random.ts'
import { abandonable } from '../../base/tasks.ts'
import { type EnrolmentRequest, proveActivation } from '../../evidence/tpm/enrolment.ts'
import type { AppraisalOutcome } from '../../registry/appraisal-history.ts'
import { isReleased, type RevocationReason, type SuspensionReason } from '../../registry/enrolment-record.ts'
import type { RegistryStore } from '../../registry/registry-store.ts'
import { TpmRegistry } from '../../registry/tpm-registry.ts'
import type { TpmAppraisal, TpmEnrolment } from '../../verifier/index.ts'
import { appraiseEnrolment, type EnrolmentCandidate } from '../../verifier/tpm/enrolment.ts'
import type { Settings } from '../wiring/settings.ts'
import { recordJudge } from './daily-recheck.ts'
import { enrolmentInputs } from './enrolment-inputs.ts'
import { embeddedErrors } from './errors.ts'
import type { Enrolments } from './guest.ts'
import { failedIds, type LastAppraisals } from './last-appraisal.ts'

export interface EnrolmentParts {
  readonly attester: TpmAttester
  /** Outlives settings: counters that a reload forgot could be rolled back behind it (TPM-26). */
  readonly store: RegistryStore
  readonly settings: Settings
  readonly clock: Clock
  readonly random: RandomSource
  readonly appraisals: LastAppraisals
  readonly log: Logger
  /** Aborts when the agent stops: enrolling is for all who wait, so no single caller's leaving ends it. */
  readonly ended: AbortSignal
}

/** The one that enrols here is this process itself; a verifier service names its peers. */
const requester = 'local'

/**
 * Reasons of an enrolment that is not active which enrolling again answers: by what this agent trusts. Another one with
 * the same registry may trust other makers and pin other keys. What its lists say is revoked stays so: they may be newer.
 */
const answeredByEnrolling: ReadonlySet<unknown> = new Set<SuspensionReason | RevocationReason>([
  'released',
  'certificate_untrusted',
  'certificate_expired',
])

/** The registry says so when an enrolment is not there any more, or rests for what only another enrolment can mend. */
function isGone({ code, facts }: AttestdError): boolean {
  if (code === 'ak_unknown' || code === 'ek_revoked') return true
  return code === 'enrolment_state' && answeredByEnrolling.has(facts['reason'])
}

function requestOf({ ek, ak, simulated }: TpmIdentity): EnrolmentRequest {
  const { publicArea, certificate, chain } = ek
  return { ek: { publicArea, certificate, chain }, ak: { publicArea: ak.publicArea }, instanceId: null, simulated }
}

/**
 * Enrols the attestation key of this machine with the bundled verifier: the chain of its endorsement key is checked, and
 * a challenge proves that both keys are in one TPM (tpm.md section 10). Each start and each change of the settings
 * enrols again, for the settings say what is trusted; what the store remembers of the key goes on (ENR-08).
 */
class ProcessEnrolments implements Enrolments {
  #parts: EnrolmentParts
  #registry: TpmRegistry
  #enrolled: Promise<Uint8Array> | null = null

  constructor(parts: EnrolmentParts) {
    const { settings, clock } = parts
    this.#parts = parts
    this.#registry = new TpmRegistry({ ...parts, judge: recordJudge(() => enrolmentInputs(settings, clock.now())) })
  }

  async require(signal: AbortSignal): Promise<TpmEnrolment> {
    const known = this.#enrolled
    if (known !== null) {
      const enrolment = await this.#recall(abandonable(known, signal))
      if (enrolment !== null && !this.#hasStaleLists(enrolment)) return enrolment
      this.forget()
    }
    return this.#registry.requireEnrolment(await abandonable(this.#enrolOnce(), signal))
  }

  async #recall(known: Promise<Uint8Array>): Promise<TpmEnrolment | null> {
    try {
      return await this.#registry.requireEnrolment(await known)
    } catch (error) {
      if (error instanceof AttestdError && isGone(error)) return null
      throw error
    }
  }

  /** Lists that were current have ended: only another enrolment says whether policy takes the key without them (EKC-08). */
  #hasStaleLists({ crlStatus, crlFreshUntil }: TpmEnrolment): boolean {
    return crlStatus === 'fresh' && crlFreshUntil !== null && secondOf(this.#parts.clock.now()) > crlFreshUntil
  }

  keepProgress(before: TpmEnrolment, appraisal: TpmAppraisal, outcome: AppraisalOutcome): Promise<void> {
    const { akName, counters, imaCheckpoint: checkpoint } = appraisal
    if (akName === null || counters === null) throw new TypeError('an affirmed appraisal without key and counters')
    return this.#registry.keepProgress(akName, before.counters, { counters, checkpoint, outcome })
  }

  async keepRefusal({ akName }: TpmEnrolment, outcome: AppraisalOutcome): Promise<void> {
    try {
      await this.#registry.keepOutcome(akName, outcome)
    } catch (error) {
      if (!(error instanceof AttestdError)) throw error
      this.#parts.log.warn({ event: 'refusal_not_kept', code: error.code }, error.message)
    }
  }

  forget(): void {
    this.#enrolled = null
  }

  /** All who wait share one enrolment; a failed one is forgotten, so that the next request tries again. */
  #enrolOnce(): Promise<Uint8Array> {
    if (this.#enrolled !== null) return this.#enrolled
    const enrolled = this.#enrol()
    this.#enrolled = enrolled
    enrolled.catch(() => {
      if (this.#enrolled === enrolled) this.#enrolled = null
    })
    return enrolled
  }

  async #enrol(): Promise<Uint8Array> {
    const { log } = this.#parts
    const candidate = this.#appraise(requestOf(await this.#identity()))
    await this.#prove(candidate)
    const { trust, anchor } = candidate
    log.info({ event: 'enrolled', ak_name: toHex(candidate.akName), trust, anchor }, 'attestation key enrolled')
    return candidate.akName
  }

  /** A key that was released stays dead: the TPM makes another one (ENR-07). Only then, for a new key ends the old one. */
  async #identity(): Promise<TpmIdentity> {
    const { attester, ended } = this.#parts
    const identity = await attester.identity({}, ended)
    const known = await this.#registry.describe(identity.ak.name)
    return known !== null && isReleased(known) ? attester.identity({ renewKey: true }, ended) : identity
  }

  /** The TPM opens a challenge that only a TPM with both keys can open. One that it fails at is not kept open. */
  async #prove(candidate: EnrolmentCandidate): Promise<void> {
    const { attester, ended } = this.#parts
    const { id, idObject, encryptedSecret } = this.#registry.openChallenge(candidate, requester)
    try {
      const secret = await attester.activate(idObject, encryptedSecret, ended)
      const answer = proveActivation(secret, id, candidate.akName)
      await this.#registry.acceptAnswer({ id, answer }, requester)
    } finally {
      this.#registry.withdrawChallenge(id, requester)
    }
  }

  #appraise(request: EnrolmentRequest): EnrolmentCandidate {
    const { settings, clock, appraisals } = this.#parts
    const now = clock.now()
    const { affirmed, findings, candidate } = appraiseEnrolment(request, enrolmentInputs(settings, now))
    appraisals.keepEnrolment({ affirmed, findings, at: Math.floor(now / 1000) })
    if (candidate !== null) return candidate
    throw embeddedErrors.error('ENROLMENT_NOT_AFFIRMED', `failed: ${failedIds(findings)}`, {
      facts: { findings: failedIds(findings) },
    })
  }
}

export function createEnrolments(parts: EnrolmentParts): Enrolments {
  return new ProcessEnrolments(parts)
}
