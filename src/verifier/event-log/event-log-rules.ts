import { equalBytes, isFilledWith, toHex } from '../../base/bytes.ts'
import { eventTypeName, eventTypes, evNoAction } from '../../evidence/event-log/event-types.ts'
import type { LoggedEvent } from '../../evidence/event-log/logged-event.ts'
import { digestOf, type HashName, hashAlgorithms } from '../../evidence/tpm/algorithms.ts'
import type { EventBinding } from './event-binding.ts'
import type { JudgedEventLog } from './judged-event-log.ts'

/** An event as problems name it. */
export function describeEvent({ index, pcr, type }: LoggedEvent): string {
  return `event ${index} (PCR ${pcr}, ${eventTypeName(type)})`
}

/** ELOG-12: the types whose data no real firmware leaves unbound, with the verdicts that the binding table allows them. */
const mustBind: ReadonlyMap<number, readonly EventBinding[]> = new Map([
  [eventTypes.separator, ['data']],
  [eventTypes.efiAction, ['data']],
  [eventTypes.gptEvent, ['data']],
  [eventTypes.gptEvent2, ['data']],
  [eventTypes.variableDriverConfig, ['data', 'variable-data']],
  [eventTypes.variableBoot, ['data', 'variable-data']],
  [eventTypes.variableBoot2, ['data']],
  [eventTypes.variableAuthority, ['data', 'data-tail']],
] as const)

/**
 * Events whose data must match their digest, and do not: a byte that was changed in a variable leaves the replay
 * intact (ELOG-12).
 */
export function payloadProblems({ log, bounds }: JudgedEventLog): string[] {
  return log.events.flatMap((event) => {
    const allowed = mustBind.get(event.type)
    const bound = bounds[event.index] ?? 'none'
    return allowed === undefined || allowed.includes(bound)
      ? []
      : `the digest of ${describeEvent(event)} is not that of its data`
  })
}

const separatorSize = 4
const lastFirmwarePcr = 7

function separatorProblem(event: LoggedEvent, isSecond: boolean): string | null {
  const { data } = event
  if (data.length === separatorSize && isFilledWith(data, 0xff)) {
    return `${describeEvent(event)} says that the firmware met an error`
  }
  if (data.length !== separatorSize || !isFilledWith(data, 0)) {
    return `${describeEvent(event)} has the data ${toHex(data.subarray(0, 16))}`
  }
  return isSecond ? `${describeEvent(event)} is the second one of its PCR` : null
}

/** Separators of PCR 0 to 7 other than one event of four zero bytes for each (ELOG-14). Without one is no problem. */
export function separatorProblems({ log }: Pick<JudgedEventLog, 'log'>): string[] {
  const seen = new Set<number>()
  return log.events.flatMap((event) => {
    if (event.type !== eventTypes.separator || event.pcr > lastFirmwarePcr) return []
    const problem = separatorProblem(event, seen.has(event.pcr))
    seen.add(event.pcr)
    return problem ?? []
  })
}

interface BankSeparators {
  readonly bank: HashName
  readonly digests: readonly Uint8Array[]
}

function confusion(event: LoggedEvent, { bank, digests }: BankSeparators): string | null {
  const digest = event.digest(hashAlgorithms[bank].id)
  if (digest === undefined) return null
  const isSeparator = digests.some((separator) => equalBytes(separator, digest))
  if (isSeparator === (event.type === eventTypes.separator)) return null
  const what = isSeparator ? 'has the digest of a separator' : 'has not the digest of a separator'
  return `${describeEvent(event)} ${what} in ${bank}`
}

/**
 * Types that contradict digests in PCR 1 to 7, in any of `banks` (ELOG-15): under another type a real separator would
 * disappear from the log, and one that came later would take its place. PCR 0 is exempt: firmware measures four zero
 * bytes there.
 */
export function typeProblems({ log }: Pick<JudgedEventLog, 'log'>, banks: Iterable<HashName>): string[] {
  const separators = Array.from(banks, (bank) => ({
    bank,
    digests: [0x00, 0xff].map((fill) => digestOf(bank, new Uint8Array(separatorSize).fill(fill))),
  }))
  return log.events.flatMap((event) => {
    if (event.type === evNoAction || event.pcr < 1 || event.pcr > lastFirmwarePcr) return []
    return separators.flatMap((bank) => confusion(event, bank) ?? []).slice(0, 1)
  })
}
