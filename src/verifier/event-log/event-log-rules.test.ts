import { describe, expect, it } from 'vitest'
import { encodeEventLog, evEfiAction, evNoAction, type MeasuredEvent } from '../../../test/support/measured-logs.ts'
import { toHex } from '../../base/bytes.ts'
import { parseEventLog } from '../../evidence/event-log/event-log.ts'
import { evEfiHcrtmEvent } from '../../evidence/event-log/event-types.ts'
import { digestOf, type HashName, hashAlgorithms } from '../../evidence/tpm/algorithms.ts'
import { matchRegisters, replayEventLog } from './replay-event-log.ts'

const text = new TextEncoder()
const banks: readonly HashName[] = ['sha256', 'sha384']

const action = (pcr: number, name = 'boot'): MeasuredEvent => ({ pcr, type: evEfiAction, data: text.encode(name) })
const locality = (value: number, { pcr = 0, type = evNoAction, behind = '' } = {}): MeasuredEvent => ({
  pcr,
  type,
  data: text.encode(`StartupLocality\0${String.fromCharCode(value)}${behind}`),
})
const hcrtm: MeasuredEvent = { pcr: 0, type: evEfiHcrtmEvent, data: text.encode('HCRTM') }
const replayed = (...events: readonly MeasuredEvent[]) => replayEventLog(parseEventLog(encodeEventLog(events, banks)))

/** A register that began with `start` in its last byte and was extended by these events. */
function extended(hash: HashName, start: number, ...events: readonly MeasuredEvent[]): Uint8Array {
  const first: Uint8Array = new Uint8Array(hashAlgorithms[hash].size)
  first[first.length - 1] = start
  return events.reduce((value, { data }) => digestOf(hash, value, digestOf(hash, data)), first)
}

describe('where PCR 0 starts (ELOG-06)', () => {
  it.each<[string, number | null, readonly MeasuredEvent[]]>([
    ['zero, where nothing is said', null, [action(0)]],
    ['what the log says: 0', 0, [locality(0), action(0)]],
    ['what the log says: 3', 3, [locality(3), action(0)]],
    ['what the log says: 4', 4, [locality(4), action(0)]],
    ['4 where an H-CRTM event stands', 4, [hcrtm]],
    ['4 where an H-CRTM event and a statement of 4 stand', 4, [locality(4), hcrtm]],
    ['what is said behind measurements into other registers', 3, [action(7), locality(3), action(0)]],
    ['what is said behind an event that is not extended', 3, [{ ...action(0), type: evNoAction }, locality(3)]],
    ['zero, whatever is said of another register', null, [locality(3, { pcr: 1 }), action(0)]],
    ['zero, whatever a measured event says', null, [locality(3, { type: evEfiAction })]],
    ['zero, whatever 18 bytes say', null, [locality(3, { behind: '\0' }), action(0)]],
    ['zero, where an H-CRTM event stands in another register', null, [{ ...hcrtm, pcr: 1 }, action(0)]],
  ])('is %s', (_what, expected, events) => {
    const { startupLocality, localityProblem, registers } = replayed(...events)
    expect({ startupLocality, localityProblem }).toEqual({ startupLocality: expected, localityProblem: null })
    const measured = events.filter(({ pcr, type }) => pcr === 0 && type !== evNoAction)
    for (const hash of banks) {
      const value = measured.length === 0 ? undefined : toHex(extended(hash, expected ?? 0, ...measured))
      expect([hash, registers.get(hash)?.get(0) && toHex(registers.get(hash)?.get(0) ?? new Uint8Array())]).toEqual([
        hash,
        value,
      ])
    }
  })

  it.each<[string, string, readonly MeasuredEvent[]]>([
    ['after a measurement', 'event 1 states the locality after a measurement', [action(0), locality(3)]],
    ['twice', 'event 1 states the locality again', [locality(3), locality(3)]],
    ['twice, differently', 'event 1 states the locality again', [locality(0), locality(4)]],
    ['as 1', 'event 0 states locality 1', [locality(1), action(0)]],
    ['as 5', 'event 0 states locality 5', [locality(5), action(0)]],
    ['as 3, beside an H-CRTM event', 'an H-CRTM event stands in a log of locality 3', [locality(3), hcrtm]],
  ])('is no choice of the log: it is refused where it is stated %s', (_what, problem, events) => {
    expect(replayed(...events).localityProblem).toContain(problem)
  })
})

describe('what is extended', () => {
  it('is every event of every bank in log order, EV_NO_ACTION left out (ELOG-05, ELOG-08)', () => {
    const [first, silent, second] = [action(4, 'a'), { ...action(4, 'b'), type: evNoAction }, action(4, 'c')]
    const { registers } = replayed(first, silent, second)
    for (const hash of banks) {
      expect([...(registers.get(hash) ?? [])]).toEqual([[4, extended(hash, 0, first, second)]])
    }
  })

  it('is nothing in PCR 17 to 22, whose start no log knows (ELOG-08)', () => {
    const { registers } = replayed(...[16, 17, 22, 23].map((pcr) => action(pcr)))
    expect([...(registers.get('sha256')?.keys() ?? [])]).toEqual([16, 23])
  })
})

describe('quoted registers beside a log (ELOG-09 to ELOG-11)', () => {
  const replay = replayed(action(4))
  const size = hashAlgorithms.sha256.size
  const filled = (byte: number): Uint8Array => new Uint8Array(size).fill(byte)
  const matched = (...values: readonly (readonly [number, Uint8Array])[]) => {
    const { mismatches, unaccounted, missingBanks } = matchRegisters(replay, new Map([['sha256', new Map(values)]]))
    return { mismatches: mismatches.map(({ bank, pcr }) => `${bank}:${pcr}`), unaccounted, missingBanks }
  }
  const nothing = { mismatches: [], unaccounted: [], missingBanks: [] }

  it('match where the log leads to them, or never touched them', () => {
    expect(matched([4, extended('sha256', 0, action(4))], [7, filled(0)], [17, filled(0xff)])).toEqual(nothing)
    expect(matched([23, filled(0)], [22, filled(0)])).toEqual(nothing)
  })

  it.each([0, 7])('PCR %i with a value and no event is a mismatch', (pcr) => {
    expect(matched([pcr, filled(5)])).toEqual({ ...nothing, mismatches: [`sha256:${pcr}`] })
    expect(matched([pcr, filled(0xff)])).toEqual({ ...nothing, mismatches: [`sha256:${pcr}`] })
  })

  it.each([8, 16, 17, 23])('PCR %i with a value and no event is listed as unaccounted', (pcr) => {
    expect(matched([pcr, filled(5)])).toEqual({ ...nothing, unaccounted: [pcr] })
  })

  it('PCR 8 to 16 do not begin with FF, so that such a value is unaccounted', () => {
    expect(matched([8, filled(0xff)], [16, filled(0xff)])).toEqual({ ...nothing, unaccounted: [8, 16] })
  })

  it('a register with events is not excused by being zero', () => {
    expect(matched([4, filled(0)])).toEqual({ ...nothing, mismatches: ['sha256:4'] })
  })

  it('a bank that the log lacks is named', () => {
    const quoted = new Map([['sha512' as const, new Map([[4, new Uint8Array(64)]])]])
    expect(matchRegisters(replay, quoted)).toEqual({ ...nothing, missingBanks: ['sha512'] })
  })
})
