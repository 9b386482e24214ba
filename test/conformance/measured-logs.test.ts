import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { MalformedError } from '../../src/base/errors.ts'
import { parseEventLog } from '../../src/evidence/event-log/event-log.ts'
import type { HashName } from '../../src/evidence/tpm/algorithms.ts'
import { replayEventLog } from '../../src/verifier/event-log/replay-event-log.ts'
import { replayImaLog } from '../../src/verifier/ima/replay-ima-log.ts'
import { evmctlMatch, haveEvmctl, type RegisterValues } from '../support/evmctl.ts'
import { generateImaLog, imaLogOf } from '../support/ima-logs.ts'
import { recordedPcrs } from '../support/recorded-tpm.ts'
import { seededRandom } from '../support/seeded-random.ts'
import { haveVectors, vector, vectorJson, vectorsFolder } from '../support/vectors.ts'

/** Independent readers of logs: evmctl replays those of IMA, tpm2_eventlog those of the firmware, to the same registers. */

const folder = mkdtempSync(join(tmpdir(), 'attestd-logs-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

const known = (values: ReadonlyMap<HashName, ReadonlyMap<number, Uint8Array>>): RegisterValues =>
  Object.fromEntries([...values].filter(([bank]) => bank === 'sha1' || bank === 'sha256'))

function ourMatch(log: Uint8Array, values: RegisterValues): number | null {
  const quoted = new Map(
    Object.entries(values).map(([bank, registers]) => [bank as HashName, registers.get(10) ?? new Uint8Array()]),
  )
  try {
    return replayImaLog(log, { quoted, pcr: 10, column: 'sha1', acceptSha1Padded: false }).matched
  } catch (error) {
    if (error instanceof MalformedError) return null
    throw error
  }
}

const both = (log: Uint8Array, values: RegisterValues) => [ourMatch(log, values), evmctlMatch(log, values, folder)]

describe.skipIf(!haveEvmctl)('evmctl and generated logs of IMA', () => {
  const registersOf = (log: ReturnType<typeof generateImaLog>, count?: number): RegisterValues => ({
    sha1: new Map([[10, log.register('sha1', count)]]),
    sha256: new Map([[10, log.register('sha256', count)]]),
  })

  it.each([1, 2, 3, 4, 5, 6, 7, 8])('seed %i: the whole log, and prefixes of it', (seed) => {
    const log = generateImaLog(seededRandom(seed), 40)
    expect(both(log.bytes, registersOf(log))).toEqual([41, 41])
    for (const count of [1, 13, 40]) expect(both(log.bytes, registersOf(log, count))).toEqual([count, count])
  })

  it.each(['ima', 'ima-ng', 'ima-sig'] as const)('template %s alone', (template) => {
    const log = generateImaLog(seededRandom(77), 60, [template])
    expect(both(log.bytes, registersOf(log))).toEqual([61, 61])
  })

  it('neither takes a log in which a record is dropped, doubled, exchanged, altered or invented', () => {
    const log = generateImaLog(seededRandom(99), 30)
    const registers = registersOf(log)
    const [first, second, third, ...others] = log.records
    if (!first || !second || !third) return expect.unreachable()
    const invented = generateImaLog(seededRandom(100), 1).records[1] ?? first
    const lists = [
      [first, third, ...others],
      [first, second, second, third, ...others],
      [first, third, second, ...others],
      [first, second, invented, ...others],
      [first, second, invented, third, ...others],
      log.records.slice(0, -1),
    ]
    for (const records of lists) expect(both(imaLogOf(records).bytes, registers)).toEqual([null, null])
    expect(both(log.bytes, { ...registers, sha256: new Map([[10, new Uint8Array(32).fill(9)]]) })).toEqual([null, null])
    // Beside a SHA-256 bank evmctl does not look at that of SHA-1; here one good bank excuses no other (TPM-24).
    expect(ourMatch(log.bytes, { ...registers, sha1: new Map([[10, new Uint8Array(20).fill(9)]]) })).toBeNull()
  })
})

interface Recorded {
  readonly file: string
  readonly expected: { readonly with?: { readonly ima?: string } }
}

describe.skipIf(!haveEvmctl || !haveVectors)('evmctl and recorded logs of IMA', () => {
  const manifest = haveVectors ? (vectorJson('tpm/MANIFEST.json') as Recorded[]) : []
  const quotes = manifest.filter(({ expected }) => expected.with?.ima !== undefined)
  // Of its templates evmctl 1.4 reads the older ones only.
  const readable = quotes.filter(({ expected }) => expected.with?.ima !== 's2.ima.bin')

  it.each(readable)('$file: the same prefix of the log leads to the quoted registers', ({ file, expected }) => {
    const at = file.slice(0, file.lastIndexOf('/'))
    const ima = expected.with?.ima ?? ''
    const log = vector(`tpm/${ima.includes('/') ? ima : `${at}/${ima}`}`)
    const values = known(recordedPcrs(file.replace(/attest$/, 'pcrs.json')))
    const [mine, theirs] = both(log, values)
    expect(mine).not.toBeNull()
    expect(mine).toBe(theirs)
  })
})

const haveEventlogTool = spawnSync('tpm2_eventlog', ['--version']).status === 0

/** The registers at the end of what tpm2_eventlog prints, by bank; null where it does not read the log. */
function toolRegisters(path: string): Record<string, Record<string, string>> | null {
  const { status, stdout, stderr } = spawnSync('tpm2_eventlog', [path], { maxBuffer: 64 << 20 })
  const text = stdout.toString('latin1')
  const start = text.lastIndexOf('\npcrs:\n')
  if (status !== 0 || start < 0 || /ERROR/.test(String(stderr))) return null
  const banks: Record<string, Record<string, string>> = {}
  let bank: Record<string, string> = {}
  for (const line of text.slice(start).split('\n')) {
    const name = /^ {2}(\w+):$/.exec(line)?.[1]
    const [, pcr, value] = /^ {4}(\d+) *: 0x([0-9a-f]+)$/i.exec(line) ?? []
    if (name !== undefined) banks[name] = bank = {}
    if (pcr !== undefined && value !== undefined) bank[pcr] = value.toLowerCase()
  }
  return banks
}

describe.skipIf(!haveEventlogTool || !haveVectors)('tpm2_eventlog and recorded logs of firmware', () => {
  const manifest = haveVectors ? (vectorJson('tpm/MANIFEST.json') as Recorded[]) : []
  const logs = manifest.map(({ file }) => file).filter((file) => /^eventlogs\/|\/eventlog\.bin$/.test(file))
  const refused = ['eventlogs/one-event-uefivar.bin', 'eventlogs/specid-vendorinfo-outside.bin']
  const unreadable = ['eventlogs/short-no-action.bin']
  const readable = logs.filter((file) => ![...refused, ...unreadable].includes(file))

  it.each(readable)('%s leads to the same registers', (file) => {
    const theirs = toolRegisters(join(vectorsFolder, 'tpm', file))
    const { registers, startupLocality } = replayEventLog(parseEventLog(vector(`tpm/${file}`)))
    const ours = Object.fromEntries(
      [...registers].map(([bank, values]) => [
        bank,
        Object.fromEntries([...values].map(([pcr, value]) => [pcr, Buffer.from(value).toString('hex')])),
      ]),
    )
    if (startupLocality === null) return expect(theirs).toEqual(ours)
    // The tool does not know StartupLocality and begins PCR 0 at zero (ELOG-06).
    for (const [bank, values] of Object.entries(ours)) {
      const { 0: mine, ...rest } = values
      const { 0: other, ...others } = theirs?.[bank] ?? {}
      expect([others, other === mine]).toEqual([rest, false])
    }
  })

  it('what is not compared: a log that the tool does not read, and two that are refused here', () => {
    for (const file of unreadable) expect(toolRegisters(join(vectorsFolder, 'tpm', file))).toBeNull()
    for (const file of refused) expect(() => parseEventLog(vector(`tpm/${file}`))).toThrow(MalformedError)
    expect(readable).toHaveLength(18)
  })
})
