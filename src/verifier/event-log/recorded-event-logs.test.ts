import { describe, expect, it } from 'vitest'
import { haveVectors, vector, vectorJson } from '../../../test/support/vectors.ts'
import { toHex } from '../../base/bytes.ts'
import { type EventLog, parseEventLog } from '../../evidence/event-log/event-log.ts'
import { eventTypeName, eventTypes, evNoAction } from '../../evidence/event-log/event-types.ts'
import type { HashName } from '../../evidence/tpm/algorithms.ts'
import { bootChainOf } from './boot-chain.ts'
import { payloadProblems, separatorProblems, typeProblems } from './event-log-rules.ts'
import { bindEventLog, type JudgedEventLog, provingBanks } from './judged-event-log.ts'
import { replayEventLog } from './replay-event-log.ts'
import { judgeSecureBoot, type SecureBoot } from './secure-boot.ts'

interface Expected {
  readonly verdict?: string
  readonly bindingBank: HashName
  readonly binding: Record<string, Record<string, number>>
  readonly separators: Record<string, string[]>
  readonly noActionEvents: { readonly index: number; readonly pcr: number; readonly signature: string }[]
  readonly secureBoot: {
    readonly state: string
    readonly variableHex: string | null
    readonly setupMode: boolean | null
    readonly separators: number
    readonly problems: string[]
    readonly authorities: { name: string; guid: string; bound: string; afterSeparator: boolean; bytes: number }[]
  }
  readonly grubKernelCmdlines: string[]
  readonly efiApplications: { pcr: number; digest: string }[]
}

interface Entry {
  readonly file: string
  readonly expected: Expected
}

const manifest = haveVectors ? (vectorJson('tpm/MANIFEST.json') as Entry[]) : []
const entries = manifest.filter(({ expected }) => expected?.binding !== undefined && expected.verdict === 'parse')

function judged(file: string, only?: HashName): JudgedEventLog {
  const log = parseEventLog(vector(`tpm/${file}`))
  const { registers, ...start } = replayEventLog(log)
  const quoted = new Map([...registers].filter(([bank]) => only === undefined || bank === only))
  return bindEventLog(log, { banks: provingBanks({ registers, ...start }, quoted), present: quoted.keys() })
}

/** Type → verdict → count, as the manifest has it. */
function counts({ log, bounds }: JudgedEventLog): Record<string, Record<string, number>> {
  const found: Record<string, Record<string, number>> = {}
  for (const { index, type } of log.events) {
    const verdict = type === evNoAction ? 'no-action' : (bounds[index] ?? 'none')
    const byVerdict = found[shortName(type)] ?? {}
    found[shortName(type)] = { ...byVerdict, [verdict]: (byVerdict[verdict] ?? 0) + 1 }
  }
  return found
}

const shortName = (type: number) => (type === 0x8401 ? '0x8401' : eventTypeName(type))

function separatorsOf({ events }: EventLog): Record<string, string[]> {
  const found: Record<string, string[]> = {}
  for (const { pcr, type, data } of events) {
    if (type === eventTypes.separator) found[pcr] = [...(found[pcr] ?? []), toHex(data)]
  }
  return found
}

const latin1 = new TextDecoder('latin1')

function noActionsOf({ events }: EventLog): Expected['noActionEvents'] {
  return events
    .filter(({ type }) => type === evNoAction)
    .map(({ index, pcr, data }) => ({
      index,
      pcr,
      signature: latin1.decode(data.subarray(0, 16)).split('\0')[0] ?? '',
    }))
}

const problemsOf = ({ separatorSeen, unbound, missing, problems }: SecureBoot) => [
  ...(separatorSeen ? [] : ['separator-missing']),
  ...unbound.map((name) => `unbound:${name}`),
  ...missing.map((name) => `missing:${name}`),
  ...problems,
]

function authoritiesOf({ authorities }: SecureBoot): Expected['secureBoot']['authorities'] {
  return authorities.flatMap(({ name, guid, bound, value }) =>
    name === null || guid === null ? [] : [{ name, guid, bound, afterSeparator: true, bytes: value.length }],
  )
}

describe.skipIf(!haveVectors)('event logs of real machines (TT-2)', () => {
  it('are all there', () => {
    expect(entries).toHaveLength(19)
  })

  it.each(entries)('$file: its events are bound as recorded, in the recorded bank and in the strongest', (entry) => {
    const { binding, bindingBank } = entry.expected
    expect(counts(judged(entry.file, bindingBank))).toEqual(binding)
    expect(counts(judged(entry.file))).toEqual(binding)
  })

  it.each(entries)('$file: separators and EV_NO_ACTION events are as recorded', ({ file, expected }) => {
    const log = parseEventLog(vector(`tpm/${file}`))
    expect(separatorsOf(log)).toEqual(expected.separators)
    expect(noActionsOf(log)).toEqual(expected.noActionEvents)
  })

  it.each(entries)('$file: no rule of the events refuses it (ELOG-12, ELOG-14, ELOG-15)', ({ file }) => {
    const log = judged(file)
    expect(payloadProblems(log)).toEqual([])
    expect(separatorProblems(log)).toEqual([])
    expect(typeProblems(log, replayEventLog(log.log).registers.keys())).toEqual([])
  })

  it.each(entries)('$file: secure boot is as recorded (SB-01 to SB-05)', ({ file, expected }) => {
    const { secureBoot } = expected
    const found = judgeSecureBoot(judged(file, expected.bindingBank))
    expect([found.state, found.setupMode]).toEqual([secureBoot.state, secureBoot.setupMode])
    const value = found.variables.get('SecureBoot')
    if (secureBoot.state !== 'unknown') expect(value && toHex(value)).toBe(secureBoot.variableHex)
    expect(problemsOf(found)).toEqual(secureBoot.problems)
    expect(authoritiesOf(found)).toEqual(secureBoot.authorities)
  })

  it.each(entries)('$file: boot chain is as recorded', ({ file, expected }) => {
    const chain = bootChainOf(judged(file, expected.bindingBank))
    expect(chain.labelledCommandLines.map(({ text }) => text)).toEqual(expected.grubKernelCmdlines)
    const applications = chain.images.filter(({ event }) => event.type === eventTypes.bootServicesApplication)
    expect(applications.map(({ event, digest }) => ({ pcr: event.pcr, digest: toHex(digest) }))).toEqual(
      expected.efiApplications,
    )
  })
})
