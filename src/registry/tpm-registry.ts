import { toHex } from '../base/bytes.ts'
import type { Clock } from '../base/clock.ts'
import { secondOf } from '../base/pki/whole-second.ts'
import type { RandomSource } from '../base/random.ts'
import type { EnrolmentChallenge } from '../evidence/tpm/enrolment.ts'
import type { EnrolmentCandidate } from '../verifier/tpm/enrolment.ts'
import type { TpmCounters, TpmEnrolment } from '../verifier/tpm/inputs.ts'
import { type AppraisalOutcome, changesBetween, type HistoryEntry } from './appraisal-history.ts'
import { ChallengeTable } from './challenge-table.ts'
import {
  type EnrolmentRecord,
  type EnrolmentState,
  enrolmentOf,
  holdsIdentity,
  isLive,
  isReleased,
  recordOf,
  renewed,
  type SuspensionReason,
  sameCounters,
} from './enrolment-record.ts'
import { registryErrors } from './errors.ts'
import {
  type KeptOutcome,
  pageLength,
  type RecordChange,
  type RegistryStore,
  recordsIn,
  type StoredRecord,
} from './registry-store.ts'

export interface TpmRegistryOptions {
  readonly store: RegistryStore
  readonly clock: Pick<Clock, 'now' | 'boottime'>
  readonly random: RandomSource
  /** Asked at every appraisal, so that what is known of a certificate by now counts at once (ENR-10). */
  readonly judge?: RecordJudge
}

export interface ChallengeAnswer {
  /** Id of the challenge, 16 bytes. */
  readonly id: Uint8Array
  /** What `proveActivation` gives, 32 bytes. */
  readonly answer: Uint8Array
}

/** What an affirmed appraisal leaves behind. */
export interface Progress {
  readonly counters: TpmCounters
  /** Encoded IMA checkpoint; null where none holds for the present boot (IMA-11). */
  readonly checkpoint: Uint8Array | null
  /** For the history of the key; its firmware version becomes that of the record. */
  readonly outcome?: AppraisalOutcome
}

/** Says why an active enrolment may not stay so, or null. */
export type RecordJudge = (record: EnrolmentRecord) => SuspensionReason | null

/** How often a change is tried again when others changed the same records meanwhile. */
const attempts = 8

/**
 * The verifier's memory of TPMs (tpm.md section 10): challenges, enrolments and their counters. A candidate has
 * passed `appraiseEnrolment`; the registry proves by a challenge that its keys are in one TPM, and remembers it.
 * Safe for concurrent use: every change is a compare-and-set on the store.
 */
export class TpmRegistry {
  #store: RegistryStore
  #clock: Pick<Clock, 'now' | 'boottime'>
  #challenges: ChallengeTable
  #judge: RecordJudge

  constructor({ store, clock, random, judge = () => null }: TpmRegistryOptions) {
    this.#store = store
    this.#clock = clock
    this.#judge = judge
    this.#challenges = new ChallengeTable(clock, random)
  }

  /**
   * Opens a challenge for a candidate (ENR-02, ENR-03). `requester` is what the transport knows of the sender; only
   * it can answer. Says nothing about what is enrolled: public keys and certificates can be sent by anybody.
   */
  openChallenge(candidate: EnrolmentCandidate, requester: string): EnrolmentChallenge {
    return this.#challenges.open(candidate, requester)
  }

  /** The requester gives a challenge up, so that it takes no place among those of its EK for five minutes (ENR-02). */
  withdrawChallenge(id: Uint8Array, requester: string): void {
    this.#challenges.withdraw(id, requester)
  }

  /**
   * Takes the answer to a challenge and enrols its candidate (ENR-05 to ENR-09); the record is durable when this
   * resolves. Another AK of the same EK, by its key, is superseded. The same AK keeps its counters: enrolling it again must not
   * let an older state of its TPM pass. Throws `enrolment_challenge_expired`, `enrolment_challenge_refused`,
   * `enrolment_state` and `identity_conflict`.
   */
  async acceptAnswer({ id, answer }: ChallengeAnswer, requester: string): Promise<EnrolmentRecord> {
    const candidate = this.#challenges.redeem(id, answer, requester)
    const made = recordOf(candidate, this.#clock.now())
    return this.#change(async () => {
      const sameEk = await this.#store.findByEkKey(made.ekSpkiSha256)
      const sameAk = await this.#store.findByAk(made.akName)
      await this.#requireIdentity(made)
      requireEnrollable(made, sameEk, sameAk)
      const record = sameAk ? renewed(sameAk.record, made) : made
      const others = sameEk.filter((stored) => isLive(stored.record) && stored.record.akName !== made.akName)
      const superseded: EnrolmentState = { is: 'revoked', reason: 'superseded', since: made.created }
      const changes = [...others.map((stored) => moved(stored, superseded)), changeTo(record, sameAk)]
      return { changes, result: record }
    })
  }

  /**
   * What an appraisal needs of the active enrolment of a key. An EK certificate that has run out, or for which the judge
   * names a reason, suspends it on the way (ENR-10). Throws `ak_unknown`, `enrolment_state`, `ek_revoked`.
   */
  async requireEnrolment(akName: Uint8Array): Promise<TpmEnrolment> {
    return enrolmentOf(await this.#requireActive(toHex(akName)))
  }

  /** Everything that is known of a key, in any state; null if it was never enrolled. */
  async describe(akName: Uint8Array): Promise<EnrolmentRecord | null> {
    return (await this.#store.findByAk(toHex(akName)))?.record ?? null
  }

  /**
   * Keeps what an affirmed appraisal found. `before` are the counters that it was compared with: if they are no
   * longer those of the record, another appraisal was faster, and this one is refused with `rollback` (ENR-12).
   * Whether the counters may follow each other is judged by the appraisal, not here.
   */
  async keepProgress(akName: Uint8Array, before: TpmCounters | null, progress: Progress): Promise<void> {
    const stored = await this.#requireStored(toHex(akName))
    requireState(stored.record)
    const { counters, checkpoint, outcome } = progress
    const firmwareVersion = outcome?.firmwareVersion ?? stored.record.firmwareVersion
    const record = { ...stored.record, counters, checkpoint, firmwareVersion, lastSeen: this.#clock.now() }
    const kept = outcome ? [keptOutcome(stored.record, outcome)] : []
    const isNext = sameCounters(stored.record.counters, before)
    if (isNext && (await this.#store.commit([changeTo(record, stored)], kept))) return
    throw registryErrors.error('rollback', 'the counters of the enrolment are not those that the appraisal began with')
  }

  /**
   * Keeps what became of an appraisal that was not affirmed. It changes nothing but the history (tpm.md section 5).
   * Gives false, and keeps nothing, for a key that was never enrolled: anybody can send evidence of such keys.
   */
  async keepOutcome(akName: Uint8Array, outcome: AppraisalOutcome): Promise<boolean> {
    const stored = await this.#store.findByAk(toHex(akName))
    return stored !== null && this.#store.commit([], [keptOutcome(stored.record, outcome)])
  }

  /** At most `pageLength` records in the order of their AK names, those after `after`; `next` is null on the last page. */
  async list(after = ''): Promise<{ readonly records: readonly EnrolmentRecord[]; readonly next: string | null }> {
    const records = (await this.#store.list(after)).map(({ record }) => record)
    return { records, next: records.length < pageLength ? null : (records.at(-1)?.akName ?? null) }
  }

  /** What became of the last appraisals of a key, newest first, whatever its state; at most `historyLength`. */
  history(akName: Uint8Array): Promise<readonly HistoryEntry[]> {
    return this.#store.history(toHex(akName))
  }

  /** An operator lets an enrolment rest (ENR-07). Throws `ak_unknown`, and `enrolment_state` if it is revoked. */
  suspend(akName: Uint8Array): Promise<EnrolmentRecord> {
    return this.#move(toHex(akName), { is: 'suspended', reason: 'operator', since: this.#clock.now() })
  }

  /** An operator makes a suspended enrolment active again. Throws as `suspend` does. */
  resume(akName: Uint8Array): Promise<EnrolmentRecord> {
    return this.#move(toHex(akName), { is: 'active' })
  }

  /** An operator ends an enrolment for good; its EK cannot be enrolled until it is released. Throws as `suspend` does. */
  revoke(akName: Uint8Array): Promise<EnrolmentRecord> {
    return this.#move(toHex(akName), { is: 'revoked', reason: 'operator', since: this.#clock.now() })
  }

  /**
   * An operator gives an EK and its identity free: all its enrolments end, and the identity may be enrolled with
   * another EK (ENR-09; clouds reuse instance ids). Gives the number of enrolments that were released.
   */
  release(ekName: Uint8Array): Promise<number> {
    const state: EnrolmentState = { is: 'revoked', reason: 'released', since: this.#clock.now() }
    return this.#change(async () => {
      const held = (await this.#store.findByEk(toHex(ekName))).filter(({ record }) => !isReleased(record))
      return { changes: held.map((stored) => moved(stored, state)), result: held.length }
    })
  }

  /** The daily check of ENR-10: suspends every active enrolment for which `judge` names a reason. Gives their number. */
  async recheck(judge: RecordJudge): Promise<number> {
    let suspended = 0
    for await (const record of recordsIn(this.#store)) {
      const reason = record.state.is === 'active' ? (this.#expiry(record) ?? judge(record)) : null
      if (reason !== null && (await this.#suspendFor(record.akName, reason))) suspended += 1
    }
    return suspended
  }

  async #requireActive(akName: string): Promise<EnrolmentRecord> {
    const { record } = await this.#requireStored(akName)
    requireState(record)
    const reason = this.#expiry(record) ?? this.#judge(record)
    if (reason === null) return record
    await this.#suspendFor(akName, reason)
    throw registryErrors.error('ek_revoked', lossOf[reason], { facts: { reason } })
  }

  #expiry({ ekNotAfter }: EnrolmentRecord): SuspensionReason | null {
    return ekNotAfter !== null && secondOf(this.#clock.now()) > ekNotAfter ? 'certificate_expired' : null
  }

  #suspendFor(akName: string, reason: SuspensionReason): Promise<boolean> {
    return this.#change(async () => {
      const stored = await this.#requireStored(akName)
      if (stored.record.state.is !== 'active') return { changes: [], result: false }
      return { changes: [moved(stored, { is: 'suspended', reason, since: this.#clock.now() })], result: true }
    })
  }

  #move(akName: string, state: EnrolmentState): Promise<EnrolmentRecord> {
    return this.#change(async () => {
      const stored = await this.#requireStored(akName)
      if (stored.record.state.is === 'revoked') throw stateError(stored.record)
      const change = moved(stored, state)
      return { changes: [change], result: change.record }
    })
  }

  async #requireStored(akName: string): Promise<StoredRecord> {
    const stored = await this.#store.findByAk(akName)
    if (!stored) throw registryErrors.error('ak_unknown', 'the attestation key is not enrolled')
    return stored
  }

  async #requireIdentity({ identity, ekName }: EnrolmentRecord): Promise<void> {
    if (identity === null) return
    const holders = await this.#store.findByIdentity(identity)
    if (holders.every(({ record }) => record.ekName === ekName || !holdsIdentity(record))) return
    throw registryErrors.error('identity_conflict', 'the identity of this TPM is held by another endorsement key')
  }

  /** Decides on fresh records, commits, and begins anew where others were faster. */
  async #change<T>(decide: () => Promise<{ changes: readonly RecordChange[]; result: T }>): Promise<T> {
    for (let attempt = 0; attempt < attempts; attempt++) {
      const { changes, result } = await decide()
      if (changes.length === 0 || (await this.#store.commit(changes))) return result
    }
    throw registryErrors.error('enrolment_conflict', `the enrolment changed ${attempts} times meanwhile`)
  }
}

const lossOf: Readonly<Record<SuspensionReason, string>> = {
  operator: 'the enrolment was suspended',
  certificate_expired: 'the EK certificate of the enrolment has expired',
  certificate_revoked: 'the EK certificate of the enrolment was revoked',
  certificate_untrusted: 'what vouched for the EK of the enrolment is not trusted any more',
}

function keptOutcome(record: EnrolmentRecord, outcome: AppraisalOutcome): KeptOutcome {
  return { akName: record.akName, entry: { ...outcome, changes: changesBetween(record, outcome) } }
}

function changeTo(record: EnrolmentRecord, stored: StoredRecord | null): RecordChange {
  return { record, expected: stored?.version ?? null }
}

function moved(stored: StoredRecord, state: EnrolmentState): RecordChange {
  return changeTo({ ...stored.record, state }, stored)
}

/** Enrolling anew must not undo what an operator decided about this TPM, nor revive a key that ended. */
function requireEnrollable(made: EnrolmentRecord, sameEk: readonly StoredRecord[], sameAk: StoredRecord | null): void {
  if (sameAk && (sameAk.record.state.is === 'revoked' || sameAk.record.ekName !== made.ekName)) {
    throw stateError(sameAk.record)
  }
  const stopped = sameEk.find(({ record }) => record.state.is !== 'active' && record.state.reason === 'operator')
  if (stopped) throw stateError(stopped.record)
}

function requireState(record: EnrolmentRecord): void {
  if (record.state.is !== 'active') throw stateError(record)
}

function stateError({ state }: EnrolmentRecord): Error {
  const reason = state.is === 'active' ? 'another endorsement key has it' : state.reason
  const facts = { state: state.is, reason }
  return registryErrors.error('enrolment_state', `the enrolment is ${state.is} (${reason})`, { facts })
}
