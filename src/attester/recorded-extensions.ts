import { equalBytes } from '../base/bytes.ts'
import { AttestdError } from '../base/errors.ts'
import { countRuntimeRecords, runtimeBytesOf } from '../evidence/event-log/runtime-records.ts'
import { attesterErrors } from './errors.ts'
import { encodePendingRecord, type PendingExtension, type PendingRecord, parsePendingRecord } from './pending-record.ts'
import { attempt } from './refused-step.ts'
import type { RuntimeLogFiles } from './tdx/event-log-sources.ts'

export interface RecordedExtensionsOptions {
  /** The register in all its banks, behind each other. Rejects with attester errors. */
  readonly read: (register: number) => Promise<Uint8Array>
  readonly runtimeLog: RuntimeLogFiles
  /** Bytes of a log that are read. */
  readonly longestLog: number
}

/** How much of the log the records of some domains may take, so that nobody leaves no room for the others. */
export interface LogShare {
  readonly bytes: number
  covers(domain: string): boolean
}

/** An extension that is about to be made. */
export interface PlannedExtension {
  /** What is to be appended to the log. */
  readonly entry: Uint8Array
  /** What the register is to become. */
  after(before: Uint8Array): Uint8Array
  /** May do it and reject all the same, and the other way round: what happened, the register tells. */
  extend(): Promise<void>
  /** The error for a register that stayed as it was; `cause` is what `extend` rejected with, if it did. */
  failed(failure: { readonly cause: unknown } | null): unknown
  /** Bytes that the log may have with the entry. */
  readonly room: number
}

export interface RecordedExtension {
  /** The register afterwards, read back. */
  readonly value: Uint8Array
  /** Where the record stands among the runtime records, counted from 0. */
  readonly logIndex: number
}

/**
 * Registers and the log of what they were extended with, kept together across crashes (TDX-036): a record of what is
 * to happen is forced to the disk first, then the register is extended, then the log gets its entry, then the record
 * goes. Which of these steps were done is told afterwards by the register alone. For one caller at a time.
 */
export class RecordedExtensions {
  #options: RecordedExtensionsOptions

  constructor(options: RecordedExtensionsOptions) {
    this.#options = options
  }

  /**
   * Ends what an interruption left half done. Resolves with false when register and log have parted for good. Throws
   * `rtmr_log_pending`, `tdx_log_unreadable`, or why the register cannot be read.
   */
  async recover(): Promise<boolean> {
    const record = await this.#readRecord()
    if (record === null) return true
    return record.kind === 'extending' && (await this.#settle(record.extension)) !== 'diverged'
  }

  /** Whether there is anything to recover from. */
  async isPending(): Promise<boolean> {
    return (await this.#readRecord())?.kind === 'extending'
  }

  /**
   * Extends and logs, both or neither. Throws `rtmr_log_diverged`, `rtmr_log_full`, `rtmr_log_share`, and what the plan
   * does. Without `share` the record may take what room there is.
   */
  async extend(
    register: number,
    plan: (log: Uint8Array) => Promise<PlannedExtension>,
    share: LogShare | undefined,
  ): Promise<RecordedExtension> {
    if (!(await this.recover())) throw diverged('an extension left the register at neither of its expected values')
    const log = await this.readLog()
    const logIndex = countRecords(log)
    const planned = await plan(log)
    const { entry, room } = planned
    if (log.length + entry.length > room) {
      throw attesterErrors.error('rtmr_log_full', `the log has ${log.length} bytes`)
    }
    if (share !== undefined) requireShare(log, entry.length, share)
    const before = await this.#options.read(register)
    const extension = { register, before, after: planned.after(before), offset: log.length, entry }
    await this.#carryOut(extension, planned)
    return { value: extension.after, logIndex }
  }

  async readLog(): Promise<Uint8Array> {
    const { runtimeLog, longestLog } = this.#options
    const read = () => runtimeLog.read(longestLog)
    return (await attempt('tdx_log_unreadable', 'the event log', read)) ?? new Uint8Array()
  }

  async #carryOut(extension: PendingExtension, planned: PlannedExtension): Promise<void> {
    await attempt('rtmr_not_extended', 'the write-ahead record', () =>
      this.#options.runtimeLog.writeRecord(encodePendingRecord({ kind: 'extending', extension })),
    )
    const failure = await planned.extend().then(
      () => null,
      (cause: unknown) => ({ cause }),
    )
    const settled = await this.#settle(extension).catch((cause: unknown) => {
      throw unknownOutcome(cause)
    })
    if (settled === 'diverged') throw diverged('an extension left the register at neither of its expected values')
    if (settled === 'dropped') throw planned.failed(failure)
  }

  /** The rule of TDX-036: the register alone tells how far it got. */
  async #settle(extension: PendingExtension): Promise<'logged' | 'dropped' | 'diverged'> {
    const { runtimeLog, read } = this.#options
    const value = await read(extension.register)
    if (equalBytes(value, extension.after)) return this.#append(extension)
    if (!equalBytes(value, extension.before)) return this.#diverge()
    await attempt('rtmr_log_pending', 'the write-ahead record', () => runtimeLog.removeRecord())
    return 'dropped'
  }

  async #append({ offset, entry }: PendingExtension): Promise<'logged' | 'diverged'> {
    const { runtimeLog } = this.#options
    const log = await this.readLog()
    const tail = log.subarray(offset)
    // A crash may have left the beginning of our entry; anything else there was written by somebody else.
    if (log.length < offset || !equalBytes(tail, entry.subarray(0, tail.length))) return this.#diverge()
    await attempt('rtmr_log_pending', 'the event log', () => runtimeLog.writeAt(offset, entry))
    await attempt('rtmr_log_pending', 'the write-ahead record', () => runtimeLog.removeRecord())
    return 'logged'
  }

  async #diverge(): Promise<'diverged'> {
    const { runtimeLog } = this.#options
    await attempt('rtmr_log_pending', 'the write-ahead record', () =>
      runtimeLog.writeRecord(encodePendingRecord({ kind: 'diverged' })),
    )
    return 'diverged'
  }

  /** A record that does not parse says that something happened, and not what. */
  async #readRecord(): Promise<PendingRecord | null> {
    const { runtimeLog } = this.#options
    const bytes = await attempt('tdx_log_unreadable', 'the write-ahead record', () => runtimeLog.readRecord())
    if (bytes === null) return null
    try {
      return parsePendingRecord(bytes)
    } catch (error) {
      if (error instanceof AttestdError) return { kind: 'diverged' }
      throw error
    }
  }
}

/** Counted from the log itself: whoever restarts the agent, or itself, has no new share. */
function requireShare(log: Uint8Array, more: number, { bytes, covers }: LogShare): void {
  const taken = runtimeBytesOf(log, covers)
  if (taken + more <= bytes) return
  throw attesterErrors.error('rtmr_log_share', `the records of these domains have ${taken} of ${bytes} bytes`)
}

/** A log that does not parse leads to no register: one more record in it would be lost. */
function countRecords(log: Uint8Array): number {
  try {
    return countRuntimeRecords(log)
  } catch (error) {
    if (error instanceof AttestdError) throw diverged(`the log cannot be read: ${error.message}`)
    throw error
  }
}

/** Nothing is claimed of a register that could not be read back: the next use finds out. */
function unknownOutcome(cause: unknown): unknown {
  if (!(cause instanceof AttestdError)) return cause
  const says = `whether the register was extended is not known yet: ${cause.message}`
  return attesterErrors.error('rtmr_log_pending', says, { cause, facts: cause.facts })
}

export function diverged(says: string): AttestdError {
  return attesterErrors.error('rtmr_log_diverged', says)
}
