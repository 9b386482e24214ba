import { toHex } from '../../base/bytes.ts'
import { MalformedError } from '../../base/errors.ts'
import { type EventLog, type LoggedEvent, parseEventLog } from '../../evidence/event-log/event-log.ts'
import { eventTypeName } from '../../evidence/event-log/event-types.ts'
import { grubTextOf } from '../../evidence/event-log/grub-text.ts'
import { evEventTag, parseAaelData } from '../../evidence/tdx/aael.ts'
import { parseCcEventLog } from '../../evidence/tdx/cc-event-log.ts'
import { hashNameOf } from '../../evidence/tpm/algorithms.ts'
import { bindEvent } from '../../verifier/event-log/event-binding.ts'
import { replayEventLog } from '../../verifier/event-log/replay-event-log.ts'
import { replayCcEventLog } from '../../verifier/tdx/replay-cc-event-log.ts'
import { heading, type InspectedField, type Inspection, shownValue } from './inspection.ts'

function eventFields({ index, offset, pcr, type, digests, data }: LoggedEvent): InspectedField[] {
  const banks = [...digests].map(([id, digest]) => heading(hashNameOf(id) ?? `0x${id.toString(16)}`, 1, toHex(digest)))
  return [
    heading(`event ${index}`, 0, `PCR ${pcr}  ${eventTypeName(type)}`, offset),
    ...banks,
    heading('data', 1, shownValue(data)),
  ]
}

const registerNames = ['MRTD', 'RTMR0', 'RTMR1', 'RTMR2', 'RTMR3']

function recordFields(data: Uint8Array): InspectedField[] {
  try {
    const { domain, operation, content } = parseAaelData(data)
    return [heading('(runtime record)', 1, `${domain} ${operation} ${content}`)]
  } catch (error) {
    if (error instanceof MalformedError) return []
    throw error
  }
}

const utf8 = new TextDecoder()

/** `(bound)` says what of the data the digest covers; anything else in it is only what the log says. */
function contentFields(event: LoggedEvent): InspectedField[] {
  const bound = bindEvent(event, 'sha384')
  const text = bound === 'grub' ? [heading('(measured text)', 1, utf8.decode(grubTextOf(event.data).text))] : []
  return [heading('(bound)', 1, bound), ...text, ...(event.type === evEventTag ? recordFields(event.data) : [])]
}

function ccEventFields(event: LoggedEvent): InspectedField[] {
  const [head, ...others] = eventFields(event)
  const value = `${registerNames[event.pcr]}  ${eventTypeName(event.type)}`
  return [...(head ? [{ ...head, value }] : []), ...others, ...contentFields(event)]
}

/** An event log of a TD up to its end marker, and the registers to which it leads. Unverified as any log. */
export function inspectCcEventLog(bytes: Uint8Array): Inspection {
  const log = parseCcEventLog(bytes)
  const replayed = replayCcEventLog(log).registers.map(({ value }, index) => heading(`RTMR${index}`, 1, toHex(value)))
  const fields = [
    heading('header', 0, registerNames[log.headerRegister], 0),
    ...log.events.flatMap(ccEventFields),
    heading('(end marker)', 0, log.end, log.logBytes),
    heading('(replayed)', 0),
    ...replayed,
  ]
  return { kind: `CC event log (${log.events.length} events)`, fields }
}

function registerFields(log: EventLog): InspectedField[] {
  const { registers, startupLocality } = replayEventLog(log)
  const locality = startupLocality === null ? [] : [heading('startup locality', 0, String(startupLocality))]
  const banks = [...registers].flatMap(([bank, values]) => [
    heading(`(replayed ${bank})`, 0),
    ...[...values].sort(([a], [b]) => a - b).map(([pcr, value]) => heading(`PCR ${pcr}`, 1, toHex(value))),
  ])
  return [...locality, ...banks]
}

/** A TCG event log, event by event, and the registers to which it leads. Unverified: compare them with a quote. */
export function inspectEventLog(bytes: Uint8Array): Inspection {
  const log = parseEventLog(bytes)
  const fields = [...log.events.flatMap(eventFields), ...registerFields(log)]
  return { kind: `event log (${log.format}, ${log.events.length} events)`, fields }
}
