import { equalBytes, isFilledWith, toHex } from '../../base/bytes.ts'
import type { EventLog, LoggedEvent } from '../../evidence/event-log/event-log.ts'
import { evEfiHcrtmEvent, evNoAction } from '../../evidence/event-log/event-types.ts'
import { type HashName, hashAlgorithms } from '../../evidence/tpm/algorithms.ts'
import { ExtendedRegister } from '../extended-register.ts'

export type PcrValues = ReadonlyMap<HashName, ReadonlyMap<number, Uint8Array>>

export interface EventLogReplay {
  /** Bank → PCR → value, for every PCR that has extended events. */
  readonly registers: PcrValues
  /** 0, 3 or 4 where the log states it (ELOG-06), else null. */
  readonly startupLocality: number | null
  /** What contradicts ELOG-06; null if nothing does. */
  readonly localityProblem: string | null
}

const localitySignature = new TextEncoder().encode('StartupLocality\0')

function localityOf(event: LoggedEvent): number | undefined {
  if (event.type !== evNoAction || event.pcr !== 0 || event.data.length !== 17) return undefined
  return localitySignature.every((byte, at) => event.data[at] === byte) ? event.data[16] : undefined
}

/** ELOG-06: the locality decides where PCR 0 starts, so a late or second statement would let a log choose its own start. */
function startOf(log: EventLog): { startupLocality: number | null; localityProblem: string | null } {
  let startupLocality: number | null = null
  let localityProblem: string | null = null
  let measured = false
  for (const event of log.events) {
    const stated = localityOf(event)
    if (stated !== undefined) {
      if (measured) localityProblem ??= `event ${event.index} states the locality after a measurement into PCR 0`
      if (startupLocality !== null) localityProblem ??= `event ${event.index} states the locality again`
      if (![0, 3, 4].includes(stated)) localityProblem ??= `event ${event.index} states locality ${stated}`
      startupLocality ??= stated
    }
    if (event.pcr === 0 && event.type !== evNoAction) measured = true
  }
  const hcrtm = log.events.some(({ type, pcr }) => type === evEfiHcrtmEvent && pcr === 0)
  if (hcrtm && startupLocality !== null && startupLocality !== 4) {
    localityProblem ??= `an H-CRTM event stands in a log of locality ${startupLocality}`
  }
  return { startupLocality: hcrtm ? 4 : startupLocality, localityProblem }
}

function initialValue(hash: HashName, pcr: number, locality: number | null): Uint8Array {
  const value = new Uint8Array(hashAlgorithms[hash].size)
  if (pcr === 0 && locality !== null) value[value.length - 1] = locality
  return value
}

/** PCR 17 to 22 begin with a dynamic launch, whose start value no log states (ELOG-08). */
const isReplayable = (pcr: number) => pcr < 17 || pcr > 22

function replayBank(log: EventLog, hash: HashName, locality: number | null): Map<number, Uint8Array> {
  const registers = new Map<number, ExtendedRegister>()
  for (const { type, pcr, digests } of log.events) {
    if (type === evNoAction || !isReplayable(pcr)) continue
    const digest = digests.get(hashAlgorithms[hash].id)
    if (digest === undefined) continue
    const register = registers.get(pcr) ?? new ExtendedRegister(hash, initialValue(hash, pcr, locality))
    register.extend(digest)
    registers.set(pcr, register)
  }
  return new Map([...registers].map(([pcr, { value }]) => [pcr, value]))
}

/** For every bank. */
const anyBank: Pick<ReadonlySet<HashName>, 'has'> = { has: () => true }

/**
 * Computes the PCR values to which the log leads, for every declared bank that this project can hash and that is
 * among `wanted` (TCG PC Client Platform Firmware Profile, section 10.4; ELOG-05, 06, 08). Events of type
 * EV_NO_ACTION are never extended.
 */
export function replayEventLog(log: EventLog, wanted = anyBank): EventLogReplay {
  const start = startOf(log)
  const banks = log.algorithms.flatMap(({ name }) => (name !== undefined && wanted.has(name) ? [name] : []))
  const registers = new Map(banks.map((hash) => [hash, replayBank(log, hash, start.startupLocality)]))
  return { registers, ...start }
}

export interface RegisterMismatch {
  readonly bank: HashName
  readonly pcr: number
  readonly problem: string
}

/** PCRs whose content comes from somewhere else than this log: IMA has its own. */
const unaccountedAllowed = (pcr: number) => pcr >= 8

/**
 * Compares a replay with quoted values, bank by bank; one good bank does not excuse another (ELOG-09 to 11).
 * `unaccounted` lists quoted PCRs 8 to 23 that are not zero although the log has no event for them.
 */
export function matchRegisters(
  replay: EventLogReplay,
  quoted: PcrValues,
): { mismatches: RegisterMismatch[]; unaccounted: number[]; missingBanks: HashName[] } {
  const mismatches: RegisterMismatch[] = []
  const unaccounted = new Set<number>()
  const missingBanks: HashName[] = []
  for (const [bank, values] of quoted) {
    const replayed = replay.registers.get(bank)
    if (!replayed) missingBanks.push(bank)
    for (const [pcr, value] of replayed ? values : []) {
      const expected = replayed?.get(pcr)
      const untouched = isFilledWith(value, 0) || (pcr >= 17 && isFilledWith(value, 0xff))
      if (expected === undefined && !untouched && unaccountedAllowed(pcr)) unaccounted.add(pcr)
      else if (expected === undefined && !untouched)
        mismatches.push({ bank, pcr, problem: 'is not zero, but has no event' })
      else if (expected !== undefined && !equalBytes(expected, value)) {
        mismatches.push({ bank, pcr, problem: `log leads to ${toHex(expected)}, quote has ${toHex(value)}` })
      }
    }
  }
  return { mismatches, unaccounted: [...unaccounted].sort((a, b) => a - b), missingBanks }
}
