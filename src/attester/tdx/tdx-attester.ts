import type { Clock } from '../../base/clock.ts'
import type { BootLogFiles, RuntimeLogFiles } from './event-log-sources.ts'
import type { ExtendableRtmr, MeasurementRegisters, RtmrIndex } from './measurement-registers.ts'
import type { QuotePath, QuotePathName } from './quote-path.ts'

/** How an event log compares with the registers of a quote (TDX-233, 236). */
export interface LogComparison {
  /** RTMRs whose quoted value is not the one that the log leads to, ascending. */
  readonly differing: readonly RtmrIndex[]
}

/**
 * Replays a confidential-computing event log and compares it with RTMR 0 to 3, 48 bytes each. The verifier has this;
 * whoever wires the attester passes it in. Throws `MalformedError` for what is not such a log.
 */
export type CompareLog = (eventLog: Uint8Array, rtmrs: readonly Uint8Array[]) => LogComparison

export interface TdxAttesterOptions {
  /** Ways to a quote, in the order in which they are tried (TDX 1.2). */
  readonly paths: readonly QuotePath[]
  /** Null: this kernel has no registers to extend; `extend` then refuses. */
  readonly registers: MeasurementRegisters | null
  readonly bootLog: BootLogFiles
  readonly runtimeLog: RuntimeLogFiles
  readonly compareLog: CompareLog
  readonly clock: Clock
  /** Everything comes from a simulator: all evidence says so. Default false. */
  readonly simulated?: boolean
  /** From the request to the answer, waiting included. Default 35 000 ms (TDX-011, BRK-82). */
  readonly deadlineMs?: number
  /** Hears of what is worth a line in the log and is no failure, such as an entry that could not be removed. */
  readonly warn?: (message: string) => void
}

/** TDX evidence (as TdxEvidence) and what only this machine knows of it. */
export interface TdxCollection {
  /** The quote as it came; it parses, is of a TD, and carries the report data that was asked for (TDX-009). */
  readonly quote: Uint8Array
  /** Boot log cut at its end marker, runtime log, end marker (TDX-022); null where the machine has neither. */
  readonly ccEventLog: Uint8Array | null
  readonly simulated: boolean
  readonly quotePath: QuotePathName
  /** Whether the log leads to the quoted registers, after one repetition (TDX-023); null without a log. */
  readonly logMatches: boolean | null
  /** RTMRs for which it does not. */
  readonly differingRegisters: readonly RtmrIndex[]
  /** Only RTMR 3 differs: somebody extended it without writing a record (TDX-024, `rtmr3_unaccounted`). */
  readonly rtmr3Unaccounted: boolean
  /** Why the log could not be compared at all: it does not parse. */
  readonly logProblem: string | null
}

/** What is to be measured (TDX-035). */
export interface Measurement {
  /** 1 to 128 of `A-Za-z0-9._/-`; who may use which, the caller of the attester decides. */
  readonly domain: string
  /** 1 to 128 of the same. */
  readonly operation: string
  /** Without control characters, at most 8 KiB as UTF-8. */
  readonly content: string
  /** Default 3. */
  readonly register?: ExtendableRtmr
}

export interface Extension {
  readonly register: ExtendableRtmr
  /** SHA-384 of the event data: what the register was extended with. */
  readonly digest: Uint8Array
  /** The register afterwards, read back. */
  readonly value: Uint8Array
}

export interface TdxAttesterState {
  /** Requests that wait, the one in flight not counted. */
  readonly queued: number
  /** A quote has been in flight for longer than the deadline: no other begins before it has ended (BRK-82). */
  readonly stuck: boolean
  /** Milliseconds (monotonic) since the job in flight began; null when there is none. */
  readonly inFlightMs: number | null
}

/** Collects TDX evidence and extends registers, one thing at a time (TDX-011, 023). */
export interface TdxAttester {
  /**
   * A quote over exactly 64 bytes, and the logs of the same moment. Equal report data that waits shares one answer.
   * Throws `quote_busy` when 64 wait or the deadline passes in the queue, `quote_timeout` when it passes in flight,
   * `quote_stuck` while an earlier one is unresolved, and what the last path says when none has a quote.
   */
  collect(reportData: Uint8Array, signal?: AbortSignal): Promise<TdxCollection>
  /**
   * Extends a register and appends the record to the runtime log, both or neither (TDX-030 to 036). Throws
   * `rtmr_unsupported` where the kernel cannot, `rtmr_not_extended` where it did not, `rtmr_log_diverged` after an
   * interruption that left register and log apart.
   */
  extend(measurement: Measurement, signal?: AbortSignal): Promise<Extension>
  state(): TdxAttesterState
}
