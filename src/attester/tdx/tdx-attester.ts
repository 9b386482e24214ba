import { equalBytes, toHex } from '../../base/bytes.ts'
import type { Clock } from '../../base/clock.ts'
import { AttestdError } from '../../base/errors.ts'
import type { Standing } from '../../base/fair-queue.ts'
import type { AaelEvent } from '../../evidence/tdx/aael.ts'
import type { TdxEvidence } from '../../evidence/tdx/evidence.ts'
import type { Rtmrs } from '../../evidence/tdx/td-report.ts'
import type { LogShare } from '../recorded-extensions.ts'
import { DeviceTurns } from './device-turns.ts'
import type { BootLogFiles, RuntimeLogFiles } from './event-log-sources.ts'
import { collectEvidenceLog, type EvidenceLog } from './evidence-log.ts'
import { type Extension, MeasurementLog } from './measurement-log.ts'
import type { ExtendableRtmr, MeasurementRegisters, RtmrIndex } from './measurement-registers.ts'
import type { QuotePath, QuotePathName } from './quote-path.ts'
import { type ObtainedQuote, obtainQuote } from './quote-paths.ts'

/** How an event log compares with the registers of a quote (TDX-233, 236). */
export interface LogComparison {
  /** RTMRs whose quoted value is not the one that the log leads to, ascending. */
  readonly differing: readonly RtmrIndex[]
}

/**
 * Replays a confidential-computing event log and compares it with RTMR 0 to 3, 48 bytes each. The verifier has this;
 * whoever wires the attester passes it in. Throws `MalformedError` for what is not such a log.
 */
export type CompareLog = (eventLog: Uint8Array, rtmrs: Rtmrs) => LogComparison

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
  /** Hears how many milliseconds a quote took, its own turn only, whether it came or failed. */
  readonly quoted?: (ms: number) => void
}

/** TDX evidence and what only this machine knows of it. The quote parses, is of a TD, over what was asked (TDX-009). */
export interface TdxCollection extends TdxEvidence {
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

/** What is to be measured (TDX-035); who may use which domain, the caller of the attester decides. */
export interface Measurement extends AaelEvent {
  /** Default 3. */
  readonly register?: ExtendableRtmr
  /** Default: what room there is. */
  readonly share?: LogShare | undefined
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
   * A quote over exactly 64 bytes, and the logs of the same moment. Equal report data that waits shares one answer;
   * callers take turns (API-84). `standing` says for whom.
   * Throws `quote_busy` when 64 wait or the deadline passes in the queue, `quote_timeout` when it passes in flight,
   * `quote_stuck` while an earlier one is unresolved, and what `obtainQuote` throws when no path has a quote. Not to be
   * called for 8 or 32 bytes of data as they are: shorter bindings are padded by whoever defines them (TDX-041).
   */
  collect(reportData: Uint8Array, signal?: AbortSignal, standing?: Standing): Promise<TdxCollection>
  /**
   * Whether the first way to a quote is there, without asking for one: an entry can be made, and is one of a TD. False: only
   * a quote tells. Rejects like `collect` where the device is not to be had in time.
   */
  probe(signal?: AbortSignal): Promise<boolean>
  /**
   * Extends a register and appends the record to the runtime log, both or neither (TDX-030 to 036). Throws
   * `rtmr_unsupported` where the kernel cannot, `rtmr_not_extended` where it did not, `rtmr_log_diverged` after an
   * interruption that left register and log apart.
   */
  extend(measurement: Measurement, signal?: AbortSignal): Promise<Extension>
  state(): TdxAttesterState
  /** Milliseconds before a quote for `standing` could begin, as far as is known (BRK-81). */
  expectedWaitMs(standing: Standing): number
}

const defaultDeadlineMs = 35_000

/** Makes the attester of this guest; nothing is opened or read before its first use. */
export function createTdxAttester(options: TdxAttesterOptions): TdxAttester {
  return new GuestAttester(options)
}

type Comparison = Pick<TdxCollection, 'logMatches' | 'differingRegisters' | 'logProblem'>

interface Snapshot extends Comparison {
  readonly quote: ObtainedQuote
  readonly log: EvidenceLog
}

class GuestAttester implements TdxAttester {
  #options: TdxAttesterOptions
  #turns: DeviceTurns
  #measurements: MeasurementLog
  /** A mismatch that a repetition did not mend. */
  #lasting: Snapshot | null = null

  constructor(options: TdxAttesterOptions) {
    const { clock, deadlineMs = defaultDeadlineMs, warn = () => undefined } = options
    this.#options = options
    this.#turns = new DeviceTurns({ clock, deadlineMs, warn })
    this.#measurements = new MeasurementLog(options)
  }

  async collect(reportData: Uint8Array, signal?: AbortSignal, standing?: Standing): Promise<TdxCollection> {
    if (reportData.length !== 64) throw new TypeError(`report data takes 64 bytes, got ${reportData.length}`)
    const own = new Uint8Array(reportData)
    return this.#turns.take(toHex(own), (turn) => this.#collect(own, turn), signal, standing)
  }

  probe(signal?: AbortSignal): Promise<boolean> {
    const [first] = this.#options.paths
    return this.#turns.take(null, async () => (await first?.probe?.()) ?? false, signal)
  }

  async extend({ register = 3, share, ...event }: Measurement, signal?: AbortSignal): Promise<Extension> {
    // Once begun it goes on to its end, whoever waits for it: half of it would part register and log.
    return this.#turns.take(null, () => this.#measurements.extend(register, event, share), signal)
  }

  expectedWaitMs(standing: Standing): number {
    return this.#turns.expectedWaitMs(standing)
  }

  state(): TdxAttesterState {
    const { queued, stuck, inFlightMs } = this.#turns
    return { queued, stuck, inFlightMs }
  }

  async #collect(reportData: Uint8Array, signal: AbortSignal): Promise<TdxCollection> {
    await this.#recover()
    const first = await this.#snapshot(reportData, signal)
    const final = this.#isWorthRepeating(first) ? await this.#snapshot(reportData, signal) : first
    this.#lasting = final.logMatches === false ? final : null
    const { quote, log, logMatches, differingRegisters, logProblem } = final
    return {
      quote: quote.bytes,
      ccEventLog: log.bytes,
      simulated: this.#options.simulated ?? false,
      quotePath: quote.path,
      logMatches,
      differingRegisters,
      rtmr3Unaccounted: differingRegisters.length === 1 && differingRegisters[0] === 3,
      logProblem,
    }
  }

  /** What could not be mended shows in the comparison; it is no reason to withhold the quote. */
  async #recover(): Promise<void> {
    try {
      await this.#measurements.recover()
    } catch (error) {
      if (!(error instanceof AttestdError)) throw error
      this.#options.warn?.(`${error.code}: ${error.message}`)
    }
  }

  /** TDX-023: quote, then logs, then the comparison of both. */
  async #snapshot(reportData: Uint8Array, signal: AbortSignal): Promise<Snapshot> {
    const { clock, paths, quoted } = this.#options
    const begun = clock.monotonic()
    const quote = await obtainQuote(paths, reportData, signal).finally(() => quoted?.(clock.monotonic() - begun))
    const log = await collectEvidenceLog(this.#options.bootLog, this.#options.runtimeLog)
    return { quote, log, ...this.#compare(log, quote) }
  }

  #compare({ bytes, problem }: EvidenceLog, { rtmrs }: ObtainedQuote): Comparison {
    if (problem !== null) return { logMatches: false, differingRegisters: [], logProblem: problem }
    if (bytes === null) return { logMatches: null, differingRegisters: [], logProblem: null }
    try {
      const { differing } = this.#options.compareLog(bytes, rtmrs)
      return { logMatches: differing.length === 0, differingRegisters: differing, logProblem: null }
    } catch (error) {
      if (!(error instanceof AttestdError)) throw error
      return { logMatches: false, differingRegisters: [], logProblem: error.message }
    }
  }

  /**
   * A mismatch may come from an extension between quote and log, which a repetition mends. The same log against the
   * same registers, though, was repeated already: a machine whose firmware logs wrongly pays for that once.
   */
  #isWorthRepeating({ logMatches, quote, log }: Snapshot): boolean {
    if (logMatches !== false) return false
    const before = this.#lasting
    if (before?.log.bytes == null || log.bytes === null) return true
    const sameRegisters = quote.rtmrs.every((rtmr, at) => equalBytes(rtmr, before.quote.rtmrs[at] ?? new Uint8Array()))
    return !sameRegisters || !equalBytes(log.bytes, before.log.bytes)
  }
}
