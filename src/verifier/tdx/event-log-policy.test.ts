import { createHash } from 'node:crypto'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { concatBytes } from '../../base/bytes.ts'
import { encodeSpecIdHeader } from '../../evidence/event-log/spec-id.ts'
import { type AaelEvent, encodeAaelHeader, encodeAaelRecord } from '../../evidence/tdx/aael.ts'
import type { Rtmrs } from '../../evidence/tdx/td-report.ts'
import { Checklist } from '../../results/checklist.ts'
import { eventLogClaims } from './event-log-claims.ts'
import { type EventLogPolicy, judgeEventLog } from './event-log-policy.ts'
import { eventLogChecks } from './policy-checks.ts'
import type { RegisterMatch } from './replay-cc-event-log.ts'

const zero = new Uint8Array(48)
const sha384 = (...parts: readonly Uint8Array[]) =>
  new Uint8Array(
    createHash('sha384')
      .update(concatBytes(...parts))
      .digest(),
  )
const bytes = (text: string) => new TextEncoder().encode(text)
const u32 = (value: number) => new Uint8Array(Uint32Array.of(value).buffer)

interface Entry {
  readonly register: number
  readonly type: number
  readonly data: Uint8Array
  /** Default: of `data`. */
  readonly digest?: Uint8Array
}

const ipl = 0x0d
const bootVariable = 0x80000002
const noAction = 3
const tag = 6

const endOfLog = new Uint8Array(8).fill(0xff)

function encodeEntries(...entries: readonly Entry[]): Uint8Array {
  const encoded = entries.map(({ register, type, data, digest = sha384(data) }) =>
    concatBytes(u32(register), u32(type), u32(1), Uint8Array.of(0x0c, 0), digest, u32(data.length), data),
  )
  return concatBytes(...encoded)
}

function encodeLog(...entries: readonly Entry[]): Uint8Array {
  return concatBytes(encodeAaelHeader(), encodeEntries(...entries), endOfLog)
}

/** The registers of a TD that made these entries. */
function rtmrsOf(...entries: readonly Entry[]): Rtmrs {
  const values: [Uint8Array, Uint8Array, Uint8Array, Uint8Array] = [zero, zero, zero, zero]
  for (const { register, type, data, digest = sha384(data) } of entries) {
    if (register > 0 && type !== noAction) values[register - 1] = sha384(values[register - 1] ?? zero, digest)
  }
  return values
}

function judge(log: Uint8Array | null, quoted: Rtmrs | null, policy: EventLogPolicy = { requirement: 'ifPresent' }) {
  const checklist = new Checklist(eventLogChecks)
  const verdict = judgeEventLog(checklist, log, quoted, policy)
  checklist.pass('tdx.evidence.kind')
  const outcomes = checklist
    .findings()
    .slice(1)
    .map(({ outcome }) => outcome)
  return { verdict, outcomes, affirmed: checklist.affirmed(), claims: eventLogClaims(log !== null, verdict) }
}

const commandLine: Entry = {
  register: 3,
  type: ipl,
  data: bytes('kernel_cmdline: /vmlinuz ro\0garbage'),
  digest: sha384(bytes('/vmlinuz ro\0')),
}
const separator: Entry = { register: 1, type: 4, data: u32(0) }
const good = [separator, commandLine]
const statement = { register: 4, type: tag, data: bytes('anything') }

describe('an event log beside quoted registers (TDX-236)', () => {
  it('that leads to them passes, and its bound content is named', () => {
    const { affirmed, claims, outcomes } = judge(encodeLog(...good), rtmrsOf(...good))
    expect([affirmed, outcomes]).toEqual([true, ['passed', 'passed', 'passed', 'passed']])
    expect(claims).toMatchObject({
      eventlog_verified: true,
      rtmr_replayed: [0, 1, 2, 3],
      eventlog: { kernel_cmdline: ['/vmlinuz ro'], boot_variables: [], aael: [] },
    })
  })

  it.each([0, 1, 2] as const)('fails where RTMR%i differs, and contributes no claim', (rtmr) => {
    const quoted = [...rtmrsOf(...good)] as [Uint8Array, Uint8Array, Uint8Array, Uint8Array]
    quoted[rtmr] = sha384(bytes('something else'))
    const { affirmed, claims, outcomes, verdict } = judge(encodeLog(...good), quoted)
    expect([affirmed, outcomes]).toEqual([false, ['passed', 'passed', 'passed', 'failed']])
    expect(claims).toEqual({ eventlog_present: true, eventlog_verified: false })
    expect(verdict?.registers[rtmr]).toMatchObject({ rtmr, actual: quoted[rtmr] })
    const reported = judge(encodeLog(...good), quoted, { requirement: 'required', registers: { [rtmr]: 'report' } })
    expect(reported.affirmed).toBe(true)
    const names = rtmr === 1 ? { eventlog_verified: true, rtmr_replayed: [0, 2, 3] } : { eventlog_verified: false }
    expect(reported.claims).toMatchObject(names)
  })

  it('leaves RTMR3 open where it has no event for it, unless the policy enforces it (TDX-024)', () => {
    const quoted = rtmrsOf(...good, statement)
    const { affirmed, claims } = judge(encodeLog(...good), quoted)
    expect(affirmed).toBe(true)
    expect(claims).toMatchObject({ rtmr_replayed: [0, 1, 2], rtmr3_unaccounted: true })
    expect(judge(encodeLog(...good), quoted, { requirement: 'ifPresent', registers: { 3: 'enforce' } }).affirmed).toBe(
      false,
    )
  })

  it('has to account for RTMR3 where it has an event for it', () => {
    expect(judge(encodeLog(...good, statement), rtmrsOf(...good, statement)).affirmed).toBe(true)
    expect(judge(encodeLog(...good, statement), rtmrsOf(...good)).affirmed).toBe(false)
    expect(judge(encodeLog(...good, statement), rtmrsOf(...good, statement, statement)).affirmed).toBe(false)
  })

  it('says nothing where an event has no SHA-384 digest, also where the log is optional (TDX-234)', () => {
    const algorithms = [
      { id: 0x0b, size: 32 },
      { id: 0x0c, size: 48 },
    ]
    const weak = concatBytes(u32(3), u32(ipl), u32(1), Uint8Array.of(0x0b, 0), new Uint8Array(32), u32(0))
    const log = concatBytes(encodeSpecIdHeader(1, algorithms), weak, encodeEntries(...good), endOfLog)
    const { affirmed, claims, outcomes } = judge(log, rtmrsOf(...good), { requirement: 'optional' })
    expect([affirmed, outcomes]).toEqual([true, ['passed', 'passed', 'waived', 'passed']])
    expect(claims).toEqual({ eventlog_present: true, eventlog_verified: false })
  })

  it('never extends EV_NO_ACTION, and lists what is about MRTD (TDX-233, TDX-237)', () => {
    const entries = [
      { register: 1, type: noAction, data: bytes('no') },
      { register: 0, type: 4, data: bytes('x') },
      ...good,
    ]
    const { affirmed, verdict } = judge(encodeLog(...entries), rtmrsOf(...good))
    expect(affirmed).toBe(true)
    expect(verdict?.events.map(({ rtmr }) => rtmr)).toEqual([0, null, 0, 2])
  })
})

describe('the requirement', () => {
  const wrong = rtmrsOf(separator)
  const log = encodeLog(...good)

  it.each([
    ['required', null, ['failed', 'unreached', 'unreached', 'unreached'], false],
    ['ifPresent', null, ['waived', 'waived', 'waived', 'waived'], true],
    ['optional', null, ['waived', 'waived', 'waived', 'waived'], true],
    ['required', log, ['passed', 'passed', 'passed', 'failed'], false],
    ['ifPresent', log, ['passed', 'passed', 'passed', 'failed'], false],
    ['optional', log, ['passed', 'passed', 'passed', 'waived'], true],
    ['ifPresent', new Uint8Array(), ['passed', 'failed', 'unreached', 'unreached'], false],
    ['optional', new Uint8Array(9), ['passed', 'waived', 'waived', 'waived'], true],
  ] as const)('%s', (requirement, bytesOfLog, outcomes, affirmed) => {
    const judged = judge(bytesOfLog, wrong, { requirement })
    expect([judged.outcomes, judged.affirmed]).toEqual([outcomes, affirmed])
    expect(judged.claims).not.toHaveProperty('eventlog')
  })

  it('says nothing of a log while there are no proved registers', () => {
    const judged = judge(log, null, { requirement: 'optional' })
    expect([judged.outcomes, judged.affirmed]).toEqual([['passed', 'unreached', 'unreached', 'unreached'], false])
  })
})

describe('named content (TDX-238)', () => {
  const claimsOf = (...entries: readonly Entry[]) => {
    const { claims, affirmed } = judge(encodeLog(...entries), rtmrsOf(...entries))
    expect(affirmed).toBe(true)
    return claims['eventlog']
  }
  const nothing = { kernel_cmdline: [], boot_variables: [], aael: [] }
  const variable = (name: string, value: Uint8Array, size = value.length) =>
    concatBytes(new Uint8Array(16), u32(name.length), u32(0), u32(size), u32(0), Buffer.from(name, 'utf16le'), value)

  it('is not taken from text that no digest covers', () => {
    expect(claimsOf({ ...commandLine, digest: sha384(bytes('other')) })).toEqual(nothing)
    expect(claimsOf({ ...commandLine, data: bytes('kernel_cmdline: /vmlinuz rw') })).toEqual(nothing)
    expect(claimsOf({ ...commandLine, data: bytes('grub_cmd: /vmlinuz ro') })).toEqual(nothing)
    expect(claimsOf({ ...commandLine, type: 5 })).toEqual(nothing)
  })

  it.each([1, 2, 4])('is no command line in measurement register %i, where no boot loader measures one', (register) => {
    expect(claimsOf({ ...commandLine, register })).toEqual(nothing)
  })

  it.each(['kernel_cmdline: ', 'grub_kernel_cmdline '])(
    'is a command line behind "%s", with or without a NUL',
    (label) => {
      for (const digest of [sha384(bytes('quiet')), sha384(bytes('quiet\0'))]) {
        expect(claimsOf({ ...commandLine, data: bytes(`${label}quiet`), digest })).toMatchObject({
          kernel_cmdline: ['quiet'],
        })
      }
    },
  )

  it('is no text where the bytes are not UTF-8', () => {
    const text = Uint8Array.of(0xff, 0xfe)
    expect(
      claimsOf({ ...commandLine, data: concatBytes(bytes('kernel_cmdline: '), text), digest: sha384(text) }),
    ).toEqual(nothing)
  })

  it('has boot variables whose lengths fill the event exactly', () => {
    const value = Uint8Array.of(1, 0)
    const entry = { register: 2, type: bootVariable, data: variable('BootOrder', value), digest: sha384(value) }
    expect(claimsOf(entry)).toMatchObject({ boot_variables: [{ name: 'BootOrder', value: '0100' }] })
    expect(claimsOf({ ...entry, register: 1 })).toMatchObject({ boot_variables: [{ name: 'BootOrder' }] })
    for (const register of [3, 4]) expect(claimsOf({ ...entry, register })).toEqual(nothing)
    for (const size of [0, 1, 3, 0xffffffff]) {
      expect(claimsOf({ ...entry, data: variable('BootOrder', value, size) })).toEqual(nothing)
    }
  })

  it('has runtime events with their register', () => {
    const event: AaelEvent = { domain: 'tests', operation: 'load', content: 'image:1' }
    const { digest } = encodeAaelRecord(2, event)
    const data = encodeAaelRecord(2, event).entry.subarray(4 + 4 + 4 + 2 + 48 + 4)
    expect(claimsOf({ register: 3, type: tag, data, digest })).toMatchObject({ aael: [{ ...event, rtmr: 2 }] })
    expect(claimsOf({ register: 3, type: tag, data: data.subarray(0, -1) })).toEqual(nothing)
    expect(claimsOf({ register: 3, type: noAction, data, digest })).toEqual(nothing)
  })

  it('is left out, and says so, where it is too long for a token', () => {
    const long = (length: number) => {
      const text = bytes('a'.repeat(length))
      return { ...commandLine, data: concatBytes(bytes('kernel_cmdline: '), text), digest: sha384(text) }
    }
    expect(claimsOf(long(16_000))).toHaveProperty('kernel_cmdline')
    expect(claimsOf(long(16_384))).toEqual({ too_long: true })
  })
})

it('answers, and never throws, whatever the log is', () => {
  const whole = encodeLog(...good, statement)
  const cut = fc.nat(whole.length).map((end) => whole.slice(0, end))
  const edited = fc.tuple(fc.nat(whole.length - 1), fc.nat(255)).map(([at, byte]) => {
    const changed = whole.slice()
    changed[at] = byte
    return changed
  })
  fc.assert(
    fc.property(fc.oneof(cut, edited, fc.uint8Array({ maxLength: 200 })), (log) => {
      const { affirmed, verdict } = judge(log, rtmrsOf(...good, statement))
      // Cut before the only event for RTMR3, the log says nothing of it, and nothing is enforced (TDX-024).
      const isAccepted = ({ rtmr, outcome }: RegisterMatch) =>
        outcome === 'matched' || (rtmr === 3 && outcome === 'unaccounted')
      expect(affirmed).toBe(verdict?.registers.every(isAccepted) ?? false)
    }),
    { numRuns: 500, examples: [[encodeLog(...good)]] },
  )
})
