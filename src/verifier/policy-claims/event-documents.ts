import { toHex } from '../../base/bytes.ts'
import { eventTypeName, evNoAction } from '../../evidence/event-log/event-types.ts'
import { grubTextOf } from '../../evidence/event-log/grub-text.ts'
import type { LoggedEvent } from '../../evidence/event-log/logged-event.ts'
import { type HashName, hashAlgorithms, hashNames } from '../../evidence/tpm/algorithms.ts'
import type { TpmEvidence } from '../../evidence/tpm/evidence.ts'
import { coveredBytes, type EventBinding } from '../event-log/event-binding.ts'
import type { EventLogVerdict, JudgedEvent } from '../tdx/event-log-policy.ts'
import { judgeEventLogBytes } from '../tpm/event-log-verdicts.ts'
import type { PcrValues } from '../tpm/pcr-values.ts'
import { BoundedItems } from './bounded-items.ts'
import { processedData } from './event-content.ts'

/** A guest logs as much as it likes; boots have a few hundred events. */
export const mostEvents = { items: 8192, characters: 4_194_304 }

interface KnownEvent {
  readonly event: Pick<LoggedEvent, 'index' | 'pcr' | 'type' | 'data'>
  readonly digests: Readonly<Record<string, string>>
  readonly bound: EventBinding
  readonly bytes: Uint8Array | null
}

/** `UnboundLabel` stands outside of what is covered: whoever extends the register can write any. */
function eventObject({ event, digests, bound, bytes }: KnownEvent): object {
  const data = processedData(event, bound, bytes)
  const label = bound === 'grub' ? grubTextOf(event.data).label : null
  return {
    EventSeq: event.index,
    PcrIndex: event.pcr,
    EventTypeString: eventTypeName(event.type),
    DigestBound: bound !== 'none',
    Digests: digests,
    ...(data === null ? {} : { ProcessedData: data }),
    ...(label === null ? {} : { UnboundLabel: label }),
  }
}

function eventsDocument(events: Iterable<KnownEvent>): object | null {
  const items = new BoundedItems(mostEvents)
  for (const event of events) if (!items.add(eventObject(event))) return null
  return { Events: items.items }
}

/** Digests in the banks of which a quoted value proves them. */
function provedDigests(event: LoggedEvent, quoted: PcrValues): Record<string, string> {
  const digests: Record<string, string> = {}
  for (const bank of hashNames) {
    const digest = quoted.get(bank)?.has(event.pcr) ? event.digest(hashAlgorithms[bank].id) : undefined
    if (digest !== undefined) digests[bankLabel(bank)] = toHex(digest)
  }
  return digests
}

/** As POL-432 names them: `SHA256`. */
export const bankLabel = (bank: HashName) => bank.toUpperCase()

/** The register of IMA matters only to what is unaccounted for, and that is not asked here. */
const noRegister = -1

/**
 * `tpm.events` (POL-432): the events that extended a quoted register, of a log of which every check passed against
 * `quoted`; what nothing proves is left out, so that places in the log may be missing. Null for more than a claim holds.
 */
export function tpmEventsDocument(
  { eventLog, kernelCmdline }: Pick<TpmEvidence, 'eventLog' | 'kernelCmdline'>,
  quoted: PcrValues,
): object | null {
  if (eventLog === null) return null
  const { facts } = judgeEventLogBytes(eventLog, quoted, { imaPcr: noRegister, kernelCmdline: kernelCmdline ?? null })
  if (facts === null) return null
  function* known(judged: NonNullable<typeof facts>['judged']): Generator<KnownEvent> {
    for (const { event, bound, bytes } of judged.measured()) {
      yield { event, bound, bytes, digests: provedDigests(event, quoted) }
    }
  }
  return eventsDocument(known(facts.judged))
}

function knownTdEvent({ index, rtmr, type, bound, data, digest }: JudgedEvent): KnownEvent | null {
  if (rtmr === null || type === evNoAction || digest === undefined) return null
  const event = { index, pcr: rtmr + 1, type, data }
  return { event, bound, bytes: coveredBytes(event, bound), digests: { SHA384: toHex(digest) } }
}

/** `tdx.events` (POL-432): the events of the registers to which the log leads. `PcrIndex` is that of the register, from 1. */
export function tdxEventsDocument({ registers, events }: EventLogVerdict): object | null {
  const matched = new Set(registers.filter(({ outcome }) => outcome === 'matched').map(({ rtmr }) => rtmr))
  function* known(): Generator<KnownEvent> {
    for (const event of events) {
      const one = event.rtmr !== null && matched.has(event.rtmr) ? knownTdEvent(event) : null
      if (one !== null) yield one
    }
  }
  return eventsDocument(known())
}
