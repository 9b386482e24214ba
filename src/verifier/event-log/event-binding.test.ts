import { describe, expect, it } from 'vitest'
import {
  event,
  globalGuid,
  measuredBoot,
  secureBootEvents,
  taggedData,
  variableData,
  wide,
} from '../../../test/support/measured-boot.ts'
import type { MeasuredEvent } from '../../../test/support/measured-logs.ts'
import { concatBytes, toHex } from '../../base/bytes.ts'
import { parseEventLog } from '../../evidence/event-log/event-log.ts'
import { eventTypes } from '../../evidence/event-log/event-types.ts'
import { digestOf, type HashName } from '../../evidence/tpm/algorithms.ts'
import { bootChainOf } from './boot-chain.ts'
import { bindEvent, coveredBytes, LoadOptionsHint } from './event-binding.ts'
import { bindEventLog, provingBanks } from './judged-event-log.ts'
import { replayEventLog } from './replay-event-log.ts'
import { judgeSecureBoot } from './secure-boot.ts'

const bytes = (text: string) => new TextEncoder().encode(text)
const zeros = (size: number): Uint8Array => new Uint8Array(size)
const { ipl, variableBoot, variableBoot2, variableAuthority, variableDriverConfig, eventTag, efiAction } = eventTypes

function bound(measured: MeasuredEvent, bank: HashName = 'sha256', hint?: string): [string, string | null] {
  const [logged] = parseEventLog(measuredBoot([measured]).log).events
  if (logged === undefined) throw new TypeError('no event')
  const options = hint === undefined ? {} : { loadOptions: new LoadOptionsHint(hint) }
  const verdict = bindEvent(logged, bank, options)
  const covered = coveredBytes(logged, verdict, options)
  return [verdict, covered && toHex(covered)]
}

describe('what a digest covers (ELOG-13)', () => {
  const variable = variableData(globalGuid, 'Boot0001', bytes('value'))
  const tail = (size: number) => concatBytes(variable, zeros(size))
  const tag = taggedData(0x8f3b22ed, bytes('LoadOptions\0'))

  it.each<[string, string, MeasuredEvent, Uint8Array | null]>([
    ['data', 'of any type', event(1, 0x1234, 'x'), bytes('x')],
    ['data', 'of nothing', event(1, 0x1234, ''), bytes('')],
    ['none', 'other data', event(1, 0x1234, 'x', bytes('y')), null],
    ['variable-data', 'the value of a boot variable', event(1, variableBoot, variable, bytes('value')), bytes('value')],
    ['data', 'a whole boot variable', event(1, variableBoot, variable), variable],
    ['none', 'the value where bytes stand behind it', event(1, variableBoot, tail(1), bytes('value')), null],
    ['none', 'the value under the newer type', event(1, variableBoot2, variable, bytes('value')), null],
    ['none', 'the value of configuration', event(7, variableDriverConfig, variable, bytes('value')), null],
    ['none', 'the value of an authority', event(7, variableAuthority, variable, bytes('value')), null],
    ['data-tail', 'an authority without all of its tail', event(7, variableAuthority, tail(6), variable), variable],
    ['data-tail', 'an authority without the last byte', event(7, variableAuthority, tail(6), tail(5)), variable],
    ['data-tail', 'an authority without one byte of 16', event(7, variableAuthority, tail(16), tail(15)), variable],
    ['none', 'an authority with a tail of 17 bytes', event(7, variableAuthority, tail(17), tail(16)), null],
    ['none', 'less than the authority', event(7, variableAuthority, tail(6), variable.subarray(0, -1)), null],
    ['none', 'a tail under another type', event(7, variableBoot, tail(6), tail(5)), null],
    ['grub', 'text behind a label', event(8, ipl, 'grub_cmd: x\0', bytes('x')), bytes('x')],
    ['grub', 'text behind a label, with NUL', event(8, ipl, 'grub_cmd: x\0', bytes('x\0')), bytes('x')],
    ['grub', 'text before garbage', event(8, ipl, 'grub_cmd x\0garbage', bytes('x')), bytes('x')],
    ['grub', 'text without a label', event(8, ipl, 'x\0', bytes('x')), bytes('x')],
    ['none', 'text with two NULs', event(8, ipl, 'grub_cmd: x\0', bytes('x\0\0')), null],
    ['none', 'text under another type', event(8, efiAction, 'grub_cmd: x\0', bytes('x')), null],
    ['utf16', 'wide text without its terminator', event(8, ipl, wide('ab\0'), wide('ab')), wide('ab')],
    [
      'utf16',
      'wide text with a cut terminator',
      event(8, ipl, concatBytes(wide('ab'), zeros(1)), wide('ab\0')),
      wide('ab'),
    ],
    ['utf16', 'wide text without one', event(8, ipl, wide('ab'), wide('ab\0')), wide('ab')],
    ['none', 'wide text with another cut byte', event(8, ipl, concatBytes(wide('ab'), bytes('x')), wide('ab\0')), null],
    [
      'section-name',
      'a section of a kernel image',
      event(11, ipl, wide('.linux\0'), bytes('.linux\0')),
      bytes('.linux'),
    ],
    ['none', 'its name without NUL', event(11, ipl, wide('.linux\0'), bytes('.linux')), null],
    ['none', 'a name of nine letters', event(11, ipl, wide('.sections\0'), bytes('.sections\0')), null],
    ['none', 'a name that is not ASCII', event(11, ipl, wide('.é\0'), Uint8Array.of(0x2e, 0xe9, 0)), null],
    ['load-options', 'the hint', event(9, eventTag, tag, wide('ro\0')), wide('ro')],
    ['none', 'the hint in another register', event(8, eventTag, tag, wide('ro\0')), null],
    ['none', 'the hint without its terminator', event(9, eventTag, tag, wide('ro')), null],
    ['none', 'the hint under another tag', event(9, eventTag, taggedData(1, bytes('x')), wide('ro\0')), null],
    ['none', 'the hint under another type', event(9, ipl, tag, wide('ro\0')), null],
  ])('%s: %s', (verdict, _what, measured, covered) => {
    expect(bound(measured, 'sha256', 'ro')).toEqual([verdict, covered && toHex(covered)])
  })

  it('in SHA-1 is the value of configuration too, as machines with TPM 1.2 measured it', () => {
    expect(bound(event(7, variableDriverConfig, variable, bytes('value')), 'sha1')[0]).toBe('variable-data')
  })

  it('is nothing in a bank that the log lacks, and no hint where there is none', () => {
    expect(bound(event(1, efiAction, 'x'), 'sha512')).toEqual(['none', null])
    expect(bound(event(9, eventTag, tag, wide('\0')))).toEqual(['none', null])
  })
})

function judged(
  events: readonly MeasuredEvent[],
  pcrsOf: (bank: HashName) => (pcr: number) => boolean = () => () => true,
) {
  const { log: sent, quoted } = measuredBoot(events, ['sha256', 'sha384'])
  const kept = new Map(
    [...quoted].map(([bank, values]) => [bank, new Map([...values].filter(([pcr]) => pcrsOf(bank)(pcr)))]),
  )
  const log = parseEventLog(sent)
  return bindEventLog(log, { banks: provingBanks(replayEventLog(log), kept), present: kept.keys() })
}

it('one hint is compared in the bank of each event', () => {
  const options = { loadOptions: new LoadOptionsHint('quiet') }
  const logged = event(9, eventTag, taggedData(0x8f3b22ed, zeros(0)), wide('quiet\0'))
  const [one] = parseEventLog(measuredBoot([logged], ['sha256', 'sha384']).log).events
  if (one === undefined) throw new TypeError('no event')
  const banks = ['sha256', 'sha384', 'sha256'] as const
  expect(banks.map((bank) => bindEvent(one, bank, options))).toEqual(banks.map(() => 'load-options'))
})

it('an event of a register that is not quoted is bound in the strongest quoted bank that the log has', () => {
  const value = bytes('v')
  const events = [event(7, variableDriverConfig, variableData(globalGuid, 'X', value), value)]
  const { log: sent } = measuredBoot(events, ['sha1', 'sha256'])
  const log = parseEventLog(sent)
  const boundIn = (...present: readonly HashName[]) => bindEventLog(log, { banks: new Map(), present }).bounds
  expect([boundIn('sha1'), boundIn('sha256'), boundIn('sha1', 'sha256'), boundIn('sha256', 'sha1'), boundIn()]).toEqual(
    [['variable-data'], ['none'], ['none'], ['none'], ['none']],
  )
})

it('an event is bound in a bank that is quoted for its register, whatever a stronger one says', () => {
  const { log: sent, quoted } = measuredBoot(
    [event(0, efiAction, 'x'), event(4, efiAction, 'real')],
    ['sha256', 'sha384'],
  )
  const forged = Buffer.from(sent)
  forged.write('fake', forged.indexOf('real'), 'latin1')
  Buffer.from(digestOf('sha384', bytes('fake'))).copy(
    forged,
    forged.indexOf(Buffer.from(digestOf('sha384', bytes('real')))),
  )
  const log = parseEventLog(new Uint8Array(forged))
  const strong = new Map([[0, quoted.get('sha384')?.get(0) ?? zeros(0)]])
  const banks = provingBanks(replayEventLog(log), new Map([...quoted, ['sha384', strong]]))
  expect([...banks]).toEqual([
    [0, 'sha384'],
    [4, 'sha256'],
  ])
  expect(bindEventLog(log, { banks, present: ['sha256', 'sha384'] }).bounds).toEqual(['data', 'none'])
})

it('secure boot that contradicts itself has no state, and without a separator there are no authorities', () => {
  const separator = event(7, eventTypes.separator, zeros(4))
  const found = judgeSecureBoot(judged([...secureBootEvents(), ...secureBootEvents().slice(1, 2), separator]))
  expect(found).toMatchObject({
    state: 'unknown',
    setupMode: null,
    problems: [expect.stringContaining('has PK again')],
  })
  expect(judgeSecureBoot(judged(secureBootEvents()))).toMatchObject({
    state: 'unknown',
    separatorSeen: false,
    authorities: [],
  })
  expect(judgeSecureBoot(judged([...secureBootEvents(), separator]))).toMatchObject({
    state: 'enabled',
    setupMode: false,
  })
})

it('the content behind the name of a section is its own, also where it stands in the log', () => {
  const events = [event(11, ipl, wide('.uname\0'), bytes('.uname\0')), event(11, ipl, '6.12'), event(11, ipl, '6.13')]
  const sections = bootChainOf(judged(events)).sections.map(({ name, digest }) => [name, toHex(digest)])
  expect(sections).toEqual([
    ['uname', toHex(digestOf('sha384', bytes('6.12')))],
    [null, toHex(digestOf('sha384', bytes('6.13')))],
  ])
  const names = ['.linux', '.initrd'].map((name) => event(11, ipl, wide(`${name}\0`), bytes(`${name}\0`)))
  const confused = bootChainOf(judged([...names, event(11, ipl, 'kernel')])).sections
  expect(confused.map(({ name, digest }) => [name, toHex(digest)])).toEqual([
    ['linux', toHex(digestOf('sha384', bytes('.initrd\0')))],
    [null, toHex(digestOf('sha384', bytes('kernel')))],
  ])
})
