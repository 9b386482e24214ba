import type { EventLog, LoggedEvent } from '../../evidence/event-log/event-log.ts'
import { evNoAction } from '../../evidence/event-log/event-types.ts'
import { type HashName, hashAlgorithms, hashNames } from '../../evidence/tpm/algorithms.ts'
import { type BindingOptions, bindEvent, coveredBytes, type EventBinding } from './event-binding.ts'
import type { EventLogReplay, PcrValues } from './replay-event-log.ts'

/** An event that extended a register, with what is known of its content. */
export interface MeasuredEvent {
  readonly event: LoggedEvent
  /** In the bank in which it is bound. */
  readonly digest: Uint8Array
  readonly bank: HashName
  readonly bound: EventBinding
  /** The bytes that the digest covers; null where it covers none that are at hand. */
  readonly bytes: Uint8Array | null
}

/**
 * A log whose events are bound to their content. What is concluded from it holds only if the log replays to quoted
 * registers, and only for the registers in `banks`.
 */
export interface JudgedEventLog {
  readonly log: EventLog
  /** One for each event of the log; `none` for those that are never extended. */
  readonly bounds: readonly EventBinding[]
  /** PCR → the strongest bank in which it is quoted and replayed. */
  readonly banks: ReadonlyMap<number, HashName>
  /** The events that extended a register of `banks`, in the order of the log; all registers or one. */
  measured(pcr?: number): Iterable<MeasuredEvent>
}

/** Strongest last; `hashNames` are in this order. */
const strongestOf = (banks: Iterable<HashName>): HashName | undefined => {
  const present = new Set(banks)
  return hashNames.findLast((name) => present.has(name))
}

/**
 * For every register the strongest bank in which it is both quoted and replayed. A digest in a stronger bank that is
 * quoted for other registers only would be whatever the sender wrote. SHA-1 proves no content where `quoted` is that of
 * a quote (TPM-24): leave it out of it.
 */
export function provingBanks(replay: EventLogReplay, quoted: PcrValues): ReadonlyMap<number, HashName> {
  const banks = new Map<number, HashName>()
  for (const bank of hashNames) {
    const replayed = replay.registers.get(bank)
    for (const pcr of quoted.get(bank)?.keys() ?? []) if (replayed?.has(pcr)) banks.set(pcr, bank)
  }
  return banks
}

/**
 * Binds every event of a log in the bank that proves its register; events of other registers in the strongest bank of
 * `quoted` that the log has. `hints` are what came beside the log (ELOG-20).
 */
export function bindEventLog(
  log: EventLog,
  { banks, present }: { readonly banks: ReadonlyMap<number, HashName>; readonly present: Iterable<HashName> },
  hints: BindingOptions = {},
): JudgedEventLog {
  const fallback = strongestOf(present)
  const bounds = log.events.map((event): EventBinding => {
    const bank = banks.get(event.pcr) ?? fallback
    return event.type === evNoAction || bank === undefined ? 'none' : bindEvent(event, bank, hints)
  })
  function* measured(pcr?: number): Generator<MeasuredEvent> {
    for (const event of log.events) {
      if (event.type === evNoAction || (pcr !== undefined && event.pcr !== pcr)) continue
      const bank = banks.get(event.pcr)
      const digest = bank && event.digest(hashAlgorithms[bank].id)
      const bound = bounds[event.index] ?? 'none'
      if (bank && digest) yield { event, digest, bank, bound, bytes: coveredBytes(event, bound, hints) }
    }
  }
  return { log, bounds, banks, measured }
}
