import { concatBytes } from '../../src/base/bytes.ts'
import type { Clock } from '../../src/base/clock.ts'
import { type AaelEvent, encodeAaelRecord } from '../../src/evidence/tdx/aael.ts'
import { SystemError } from '../../src/platform/system-error.ts'
import type { SimulatedBoot } from '../swtpm/measured-events.ts'
import { Faults } from './faults.ts'
import { type SimulatedCcBoot, simulateCcBoot } from './measured-boot.ts'
import type { QuoteOptions } from './quotes.ts'
import { SimulatedRegisters } from './registers.ts'
import { SimulatedReportFolder } from './report-folder.ts'
import type { SimulatedTdx } from './simulator.ts'

export interface KernelOptions {
  readonly sim: SimulatedTdx
  /** Its `sleep` is the host's delay. */
  readonly clock: Pick<Clock, 'sleep'>
  /** What quotes say besides report data and registers, which are the kernel's own. */
  readonly quote?: Omit<QuoteOptions, 'reportData' | 'rtmr'>
  /** Null: firmware left no log, and the registers are zero. */
  readonly boot?: SimulatedBoot | null
  /** What was measured into RTMR 3 since the boot; default one event. */
  readonly runtime?: readonly AaelEvent[]
}

const usualRuntime: readonly AaelEvent[] = [
  { domain: 'attestd.simulator', operation: 'boot', content: 'simulated guest' },
]

/**
 * The kernel of a simulated TD: report folder, registers and logs that agree with each other. `files`, `registers`,
 * `bootLog` and `runtimeLog` are what the TDX attester asks for; the rest turns its knobs (TDX-284).
 */
export class SimulatedKernel {
  readonly faults = new Faults()
  readonly files: SimulatedReportFolder
  readonly rtmrs = new SimulatedRegisters()
  /** While positive, quotes are empty, as on hosts without a quoting service (TDX-006). One is taken by each quote. */
  emptyQuotes = 0
  /** Changes what the next quotes say. */
  quoteOptions: Omit<QuoteOptions, 'reportData' | 'rtmr'>
  readonly #sim: SimulatedTdx
  readonly #boot: SimulatedCcBoot | null
  #runtimeLog: Uint8Array | null = null
  #record: Uint8Array | null = null

  constructor({ sim, clock, quote = {}, boot = {}, runtime = usualRuntime }: KernelOptions) {
    this.#sim = sim
    this.quoteOptions = quote
    this.files = new SimulatedReportFolder({ clock, faults: this.faults, quote: (data) => this.#quote(data) })
    this.#boot = boot === null ? null : simulateCcBoot(boot)
    for (const { rtmr, digest } of this.#boot?.extended ?? []) this.rtmrs.extend(rtmr, digest)
    for (const event of runtime) this.measure(event)
  }

  #quote(reportData: Uint8Array): Uint8Array {
    if (this.emptyQuotes > 0) {
      this.emptyQuotes -= 1
      return new Uint8Array()
    }
    return this.#sim.quote({ reportData, rtmr: this.rtmrs.values, ...this.quoteOptions })
  }

  /** Extends RTMR 3 and appends the record, as an agent of the guest would. */
  measure(event: AaelEvent): void {
    const { entry, digest } = encodeAaelRecord(3, event)
    this.rtmrs.extend(3, digest)
    this.#runtimeLog = concatBytes(this.#runtimeLog ?? new Uint8Array(), entry)
  }

  readonly registers = {
    read: async (index: number): Promise<Uint8Array> => {
      this.faults.meet('readRegister')
      return this.rtmrs.read(index)
    },
    extend: async (index: number, digest: Uint8Array): Promise<void> => {
      this.faults.meet('extendRegister')
      this.rtmrs.extend(index, digest)
    },
  }

  readonly bootLog = {
    readTable: async (): Promise<Uint8Array | null> => this.#boot?.table ?? null,
    readLog: async (limit: number): Promise<Uint8Array | null> => {
      this.faults.meet('readBootLog')
      return within(limit, this.#boot?.logArea ?? null)
    },
  }

  readonly runtimeLog = {
    read: async (limit: number): Promise<Uint8Array | null> => {
      this.faults.meet('readRuntimeLog')
      return within(limit, this.#runtimeLog)
    },
    writeAt: async (offset: number, bytes: Uint8Array): Promise<void> => {
      this.faults.meet('writeRuntimeLog')
      const before = this.#runtimeLog ?? new Uint8Array()
      if (offset > before.length) throw new SystemError('EINVAL', 'write', 'the runtime log')
      this.#runtimeLog = concatBytes(before.subarray(0, offset), bytes)
    },
    readRecord: async (): Promise<Uint8Array | null> => {
      this.faults.meet('readRecord')
      return this.#record
    },
    writeRecord: async (record: Uint8Array): Promise<void> => {
      this.faults.meet('writeRecord')
      this.#record = Uint8Array.from(record)
    },
    removeRecord: async (): Promise<void> => {
      this.faults.meet('removeRecord')
      this.#record = null
    },
  }
}

function within(limit: number, bytes: Uint8Array | null): Uint8Array | null {
  if (bytes !== null && bytes.length > limit) throw new SystemError('EFBIG', 'read', 'the log')
  return bytes
}
