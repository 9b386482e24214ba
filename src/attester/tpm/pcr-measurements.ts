import { concatBytes, equalBytes, isFilledWith } from '../../base/bytes.ts'
import { AttestdError } from '../../base/errors.ts'
import { type EventLog, parseEventLog } from '../../evidence/event-log/event-log.ts'
import { evNoAction } from '../../evidence/event-log/event-types.ts'
import { composeTpmEventLog, encodePcrRecord, encodeRuntimeHeader } from '../../evidence/event-log/runtime-records.ts'
import type { AaelEvent } from '../../evidence/tdx/aael.ts'
import { digestOf, type HashName, hashAlgorithms } from '../../evidence/tpm/algorithms.ts'
import { tpm2 } from '../../evidence/tpm/commands.ts'
import { tpmEvidenceLimits } from '../../evidence/tpm/evidence-json.ts'
import type { PcrSelection } from '../../evidence/tpm/pcr-selection.ts'
import { attesterErrors } from '../errors.ts'
import {
  diverged,
  type LogShare,
  type PlannedExtension,
  type RecordedExtension,
  RecordedExtensions,
} from '../recorded-extensions.ts'
import { refused } from '../refused-step.ts'
import type { RuntimeLogFiles } from '../tdx/event-log-sources.ts'
import type { TpmFlow, TpmFlowRunner } from './flow-runner.ts'
import { inOrder, readActiveBanks, readPcrs } from './pcrs.ts'

export interface PcrMeasurement extends AaelEvent {
  /** 16 or 23: the others belong to firmware, boot loaders and the kernel. */
  readonly pcr: number
  /** Default: what room there is. */
  readonly share?: LogShare | undefined
}

export interface PcrExtension extends RecordedExtension {
  readonly pcr: number
  /** What each active bank was extended with: digests of the event data. */
  readonly digests: ReadonlyMap<HashName, Uint8Array>
}

export interface PcrMeasurementsOptions {
  readonly runner: TpmFlowRunner
  /** Null: nothing is extended. */
  readonly runtimeLog: RuntimeLogFiles | null
  readonly readFirmwareLog: () => Promise<Uint8Array | null>
}

const never = new AbortController().signal
const isExtendable = (pcr: number) => pcr === 16 || pcr === 23
/** Of the log that goes into evidence; what is left is for firmware that logs more after an update. */
const longestLog = tpmEvidenceLimits.eventLog - 65_536

const unsupported = (says: string) => attesterErrors.error('pcr_unsupported', says)

/** What PCR 16 or 23 is after the events of the log: both begin with zeros at every boot (ELOG-08). */
function replayPcr(log: EventLog | null, pcr: number, bank: HashName): Uint8Array {
  let value: Uint8Array = new Uint8Array(hashAlgorithms[bank].size)
  for (const event of log?.events ?? []) {
    const digest = event.pcr === pcr && event.type !== evNoAction ? event.digest(hashAlgorithms[bank].id) : undefined
    if (digest !== undefined) value = digestOf(bank, value, digest)
  }
  return value
}

/** Everything that one extension is planned by. */
interface Ground {
  readonly banks: readonly HashName[]
  /** Hashes of the records of the log; null: there is no log, and ours begins with a header. */
  readonly logged: readonly HashName[] | null
  readonly log: EventLog | null
  readonly firmwareSize: number
}

/**
 * PCRs that are extended through us, and the log of it, which goes into evidence behind that of the firmware. An extension
 * is made only where a verifier will follow it: it would otherwise refuse all evidence until the next boot. For one caller
 * at a time.
 */
export class PcrMeasurements {
  #options: PcrMeasurementsOptions
  #extensions: RecordedExtensions | null

  constructor(options: PcrMeasurementsOptions) {
    const { runtimeLog } = options
    const read = (pcr: number) => this.#read(pcr)
    this.#options = options
    this.#extensions =
      runtimeLog && new RecordedExtensions({ read, runtimeLog, longestLog: tpmEvidenceLimits.eventLog })
  }

  /** The runtime records; null where there are none. */
  async readLog(): Promise<Uint8Array | null> {
    const log = await this.#extensions?.readLog()
    return log === undefined || log.length === 0 ? null : log
  }

  /** Ends what an interruption left half done; what cannot be mended, the replay shows. */
  async recover(): Promise<void> {
    try {
      await this.#extensions?.recover()
    } catch (error) {
      if (!(error instanceof AttestdError)) throw error
    }
  }

  async extend({ pcr, share, ...event }: PcrMeasurement): Promise<PcrExtension> {
    if (this.#extensions === null) throw unsupported('there is no log for what is extended')
    if (!isExtendable(pcr)) throw unsupported(`PCR ${pcr} belongs to somebody else`)
    let digests: PcrExtension['digests'] = new Map()
    const plan = async (runtime: Uint8Array) => {
      const ground = await this.#survey(pcr, runtime)
      const record = encodePcrRecord(pcr, event, { logged: ground.logged ?? ground.banks, extended: ground.banks })
      digests = record.digests
      return this.#plan(pcr, ground, record)
    }
    const extension = await this.#extensions.extend(pcr, plan, share)
    return { pcr, digests, ...extension }
  }

  #plan(
    pcr: number,
    { banks, logged, firmwareSize }: Ground,
    { entry, digests }: ReturnType<typeof encodePcrRecord>,
  ): PlannedExtension {
    return {
      entry: logged === null ? concatBytes(encodeRuntimeHeader(banks), entry) : entry,
      after: (before) => extendedBanks(before, digests, banks),
      extend: () => this.#extend(pcr, digests),
      failed: (failure) => notExtended(pcr, failure),
      room: longestLog - firmwareSize,
    }
  }

  /** What there is to go on from. Throws where no verifier could follow one more extension. */
  async #survey(pcr: number, runtime: Uint8Array): Promise<Ground> {
    const firmware = await this.#options.readFirmwareLog()
    const log = parseLog(composed(firmware, runtime))
    const banks = await this.#banks()
    if (log === null) await this.#requireUntouchedBoot(banks)
    const logged = log && loggedHashes(log)
    if (logged !== null && !logged.some((hash) => hash !== 'sha1' && banks.includes(hash))) {
      throw unsupported('the event log of the firmware has none of the active banks but SHA-1')
    }
    await this.#requireFollowed(pcr, log, logged === null ? banks : banks.filter((bank) => logged.includes(bank)))
    return { banks, logged, log, firmwareSize: firmware?.length ?? 0 }
  }

  /** An extension without a record, or a reset of the PCR, cannot be made up for by any log. */
  async #requireFollowed(pcr: number, log: EventLog | null, banks: readonly HashName[]): Promise<void> {
    const expected = concatBytes(...banks.map((bank) => replayPcr(log, pcr, bank)))
    if (equalBytes(await this.#read(pcr, banks), expected)) return
    throw diverged(`PCR ${pcr} does not have the value that the log leads to`)
  }

  /** ELOG-10: where the firmware measured and left no log, a log of ours alone would contradict the quote. */
  async #requireUntouchedBoot(banks: readonly HashName[]): Promise<void> {
    const boot = [0, 1, 2, 3, 4, 5, 6, 7]
    const values = await this.#run((tpm) => readPcrs(tpm, selectionOf(banks, boot)))
    if (inOrder(values, selectionOf(banks, boot)).every((value) => isFilledWith(value, 0))) return
    throw unsupported('the firmware measured the boot, and its event log is not there')
  }

  #run<T>(flow: TpmFlow<T>, once = false): Promise<T> {
    return this.#options.runner.run(flow, never, { once }).then(({ value }) => value)
  }

  async #banks(): Promise<readonly HashName[]> {
    const active = await this.#run((tpm) => readActiveBanks(tpm))
    return [...active.keys()].sort((left, right) => hashAlgorithms[left].id - hashAlgorithms[right].id)
  }

  async #read(pcr: number, banks?: readonly HashName[]): Promise<Uint8Array> {
    const selection = selectionOf(banks ?? (await this.#banks()), [pcr])
    return concatBytes(...inOrder(await this.#run((tpm) => readPcrs(tpm, selection)), selection))
  }

  /** All active banks in one command (NAT-56); never twice, whatever the connection does (NAT-58). */
  async #extend(pcr: number, digests: ReadonlyMap<HashName, Uint8Array>): Promise<void> {
    const values = [...digests].map(([hash, digest]) => ({ hash, digest }))
    await this.#run((tpm) => tpm.execute(tpm2.pcrExtend, { pcr, digests: values }), true)
  }
}

const selectionOf = (banks: readonly HashName[], pcrs: readonly number[]): PcrSelection[] =>
  banks.map((bank) => ({ hash: hashAlgorithms[bank].id, pcrs }))

function extendedBanks(
  before: Uint8Array,
  digests: ReadonlyMap<HashName, Uint8Array>,
  banks: readonly HashName[],
): Uint8Array {
  let at = 0
  const values = banks.map((bank) => {
    const { size } = hashAlgorithms[bank]
    const value = before.subarray(at, at + size)
    at += size
    return digestOf(bank, value, digests.get(bank) ?? new Uint8Array())
  })
  return concatBytes(...values)
}

function composed(firmware: Uint8Array | null, runtime: Uint8Array): Uint8Array | null {
  try {
    return composeTpmEventLog(firmware, runtime)
  } catch (error) {
    if (error instanceof AttestdError) throw unsupported(`the event log of the firmware: ${error.message}`)
    throw error
  }
}

function parseLog(bytes: Uint8Array | null): EventLog | null {
  try {
    return bytes === null || bytes.length === 0 ? null : parseEventLog(bytes)
  } catch (error) {
    if (error instanceof AttestdError) throw unsupported(`the event log does not parse: ${error.message}`)
    throw error
  }
}

/** ELOG-03: a record carries each hash that the header declares, so that all of them have to be known. */
function loggedHashes({ format, algorithms }: EventLog): readonly HashName[] {
  const names = algorithms.flatMap(({ name }) => name ?? [])
  if (format === 'crypto-agile' && names.length === algorithms.length) return names
  throw unsupported('the event log of the firmware is in a form that takes no record of ours')
}

function notExtended(pcr: number, failure: { readonly cause: unknown } | null): unknown {
  if (failure !== null) return refused(failure.cause, 'rtmr_not_extended', `PCR ${pcr}`)
  return attesterErrors.error('rtmr_not_extended', `the TPM took the digests and left PCR ${pcr} as it was`)
}
