import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { haveVectors, vector, vectorJson } from '../../../test/support/vectors.ts'
import { toHex } from '../../base/bytes.ts'
import { MalformedError } from '../../base/errors.ts'
import { parseEventLog } from '../../evidence/event-log/event-log.ts'
import { type EventLogReplay, matchRegisters, replayEventLog } from './replay-event-log.ts'

interface Entry {
  file: string
  expected: {
    verdict?: string
    format: string
    banks: string[]
    events: number
    trailingBytes: number
    startupLocality: number | null
    registers: Record<string, Record<string, string>>
    binding: Record<string, Record<string, number>>
  }
}

function readable({ registers }: EventLogReplay): Record<string, Record<string, string>> {
  return Object.fromEntries(
    [...registers].map(([bank, values]) => [
      bank,
      Object.fromEntries([...values].sort(([a], [b]) => a - b).map(([pcr, value]) => [String(pcr), toHex(value)])),
    ]),
  )
}

describe.skipIf(!haveVectors)('event logs of real machines', () => {
  const entries = haveVectors ? (vectorJson('tpm/MANIFEST.json') as Entry[]) : []
  const logs = entries.filter(({ file }) => file.startsWith('eventlogs/') || file.endsWith('eventlog.bin'))

  it.each(logs.filter(({ expected }) => expected.verdict === 'parse'))(
    '$file replays to its registers (ELOG-08)',
    ({ file, expected }) => {
      const log = parseEventLog(vector(`tpm/${file}`))
      const replay = replayEventLog(log)
      expect(log.format).toBe(expected.format === 'crypto_agile' ? 'crypto-agile' : 'legacy')
      expect(log.algorithms.map(({ name }) => name)).toEqual(expected.banks)
      expect(log.events.length).toBe(expected.events)
      expect(log.trailingBytes).toBe(expected.trailingBytes)
      expect(replay.startupLocality).toBe(expected.startupLocality)
      expect(replay.localityProblem).toBeNull()
      const known = Object.fromEntries(Object.entries(expected.registers).map(([bank, values]) => [bank, values]))
      expect(readable(replay)).toEqual(known)
    },
  )

  it.each(logs.filter(({ expected }) => expected.verdict === 'reject'))('$file is refused', ({ file }) => {
    expect(() => parseEventLog(vector(`tpm/${file}`))).toThrow(MalformedError)
  })

  it('only the wanted banks are replayed, and to the same values', () => {
    const log = parseEventLog(vector('tpm/eventlogs/rhel8-gce.bin'))
    const { sha256 } = readable(replayEventLog(log))
    expect(readable(replayEventLog(log, new Set(['sha256', 'sha512'])))).toEqual({ sha256 })
  })

  it('a flipped digest, a changed value and a missing bank are mismatches (ELOG-09, ELOG-11)', () => {
    const bytes = vector('tpm/eventlogs/rhel8-gce.bin')
    const replay = replayEventLog(parseEventLog(bytes))
    const quoted = new Map([['sha256' as const, replay.registers.get('sha256') ?? new Map()]])
    expect(matchRegisters(replay, quoted)).toEqual({ mismatches: [], unaccounted: [], missingBanks: [] })
    const changed = new Map(quoted.get('sha256')).set(7, new Uint8Array(32).fill(1)).set(10, new Uint8Array(32).fill(2))
    const found = matchRegisters(
      replay,
      new Map([
        ['sha256', changed],
        ['sha512', new Map()],
      ]),
    )
    expect(found.mismatches.map(({ bank, pcr }) => `${bank}:${pcr}`)).toEqual(['sha256:7'])
    expect(found.unaccounted).toEqual([10])
    expect(found.missingBanks).toEqual(['sha512'])
  })

  it('no edit of a log makes the parser do anything but answer or throw MalformedError', () => {
    const bytes = vector('tpm/eventlogs/cos85-gce-sev.bin')
    fc.assert(
      fc.property(fc.nat(bytes.length - 1), fc.nat(255), fc.nat(bytes.length), (at, value, size) => {
        const edited = Uint8Array.from(bytes.subarray(0, size))
        if (at < edited.length) edited[at] = value
        try {
          replayEventLog(parseEventLog(edited))
        } catch (error) {
          expect(error).toBeInstanceOf(MalformedError)
        }
      }),
      { numRuns: 500 },
    )
  })
})
