import { describe, expect, it } from 'vitest'
import { event, healthyBoot, ipl, measuredBoot, taggedData, wide } from '../../../test/support/measured-boot.ts'
import type { MeasuredEvent } from '../../../test/support/measured-logs.ts'
import { processorMs } from '../../../test/support/processor-time.ts'
import { concatBytes, toHex } from '../../base/bytes.ts'
import { eventTypes } from '../../evidence/event-log/event-types.ts'
import { digestOf } from '../../evidence/tpm/algorithms.ts'
import { eventLogClaims } from './event-log-claims.ts'
import { judgeEventLogBytes } from './event-log-verdicts.ts'

/** Root in the guest: extends registers after the boot, and writes whatever log leads to them. */

const bytes = (text: string) => new TextEncoder().encode(text)
const named = (name: string) => `sha256:${toHex(digestOf('sha256', bytes(name)))}`

interface Claimed {
  readonly kernel_cmdline?: string
  readonly startup_locality?: number
  readonly eventlog: Readonly<Record<string, unknown>>
}

/** The claims of a log that passes every check; `unquoted`: registers that the quote leaves out. */
function claimed(events: readonly MeasuredEvent[], unquoted: readonly number[] = [], hint: string | null = null) {
  const { log, quoted } = measuredBoot(events, ['sha256'])
  for (const values of quoted.values()) for (const pcr of unquoted) values.delete(pcr)
  const { verdicts, facts } = judgeEventLogBytes(log, quoted, { imaPcr: 10, kernelCmdline: hint })
  expect(verdicts.filter(([, { ok }]) => !ok)).toEqual([])
  return eventLogClaims(true, facts) as unknown as Claimed
}

const healthy = healthyBoot()
const isCommandLine = ({ data }: MeasuredEvent) => new TextDecoder().decode(data).startsWith('kernel_cmdline')
/** The label is no part of what was measured: this log leads to the same registers. */
const relabelled = healthy.map((one) => (isCommandLine(one) ? ipl(8, 'grub_cmd: /vmlinuz ro', '/vmlinuz ro') : one))

describe('a command line that was never used (ELOG-17)', () => {
  // PCR 16 and 23 can be reset by anybody, the others extended; none of them is among the texts that a policy judges.
  it.each([4, 9, 11, 14, 15, 16, 23])('is not claimed from PCR %i, whatever becomes of PCR 8', (pcr) => {
    const forged = ipl(pcr, 'kernel_cmdline: good', 'good')
    expect(claimed([...relabelled, forged])).not.toHaveProperty('kernel_cmdline')
    expect(claimed([...healthy.filter((one) => one.pcr !== 8), forged])).not.toHaveProperty('kernel_cmdline')
    expect(claimed([...healthy, forged], [8])).not.toHaveProperty('kernel_cmdline')
  })

  it('in another register makes the one in PCR 8 doubtful', () => {
    expect(claimed([...healthy, ipl(23, 'kernel_cmdline: good', 'good')])).not.toHaveProperty('kernel_cmdline')
  })

  it('in PCR 8 stands beside the true one in the list of texts', () => {
    const { kernel_cmdline, eventlog } = claimed([...relabelled, ipl(8, 'kernel_cmdline: good', 'good')])
    expect([kernel_cmdline, eventlog['loader_texts']]).toEqual(['good', ['linux /vmlinuz ro', '/vmlinuz ro', 'good']])
  })
})

describe('the locality', () => {
  const started = (locality: number) =>
    event(0, eventTypes.noAction, concatBytes(bytes('StartupLocality\0'), Uint8Array.of(locality)))

  it.each([3, 4])('%i is not claimed where PCR 0, which alone proves it, is not quoted or has no event', (locality) => {
    expect(claimed([started(locality), ...healthy], [0])).not.toHaveProperty('startup_locality')
    const silent = [started(locality), ...healthy.filter(({ pcr }) => pcr !== 0)]
    expect(claimed(silent)).not.toHaveProperty('startup_locality')
  })
})

describe('sections of a kernel image', () => {
  const section = (name: string, content: string, logged = wide(`${name}\0`)) => [
    event(11, eventTypes.ipl, logged, bytes(`${name}\0`)),
    event(11, eventTypes.ipl, logged, bytes(content)),
  ]

  it('whose names the log hides are counted, beside those that were added later', () => {
    const { eventlog } = claimed([
      ...healthy,
      ...section('.linux', 'evil', bytes('no name')),
      ...section('.linux', 'good'),
    ])
    expect(eventlog).toMatchObject({ kernel_sections: { linux: [named('good')] }, kernel_sections_unnamed: 2 })
  })

  it('that are all hidden leave a number', () => {
    const { eventlog } = claimed([...healthy, event(11, 0x1234, 'x', bytes('evil'))])
    expect(eventlog['kernel_sections_unnamed']).toBe(1)
    expect(eventlog).not.toHaveProperty('kernel_sections')
  })

  it('that all have names leave none, and without an event nothing is said', () => {
    const whole = claimed([...healthy, ...section('.linux', 'good')])
    expect(whole.eventlog).toMatchObject({ kernel_sections_unnamed: 0, kernel_sections: { linux: [named('good')] } })
    expect(claimed(healthy).eventlog).not.toHaveProperty('kernel_sections_unnamed')
  })
})

describe('an authority under another type', () => {
  it('stays in the list of subjects too, which would else be that of a machine without it (SB-05)', () => {
    const hidden = healthy.map((one) => (one.type === eventTypes.variableAuthority ? { ...one, type: 0x1234 } : one))
    expect(claimed(hidden).eventlog).toMatchObject({ authorities: ['unknown'], authority_subjects: ['unknown'] })
  })
})

describe('the work that a log of two mebibytes makes', () => {
  /** Milliseconds of processor: the fastest of three, since a pause of the collector can fall into any. */
  function costOf(events: readonly MeasuredEvent[], hint: string | null = null): number {
    const { log, quoted } = measuredBoot(events, ['sha256'])
    const once = () => {
      const start = processorMs()
      eventLogClaims(true, judgeEventLogBytes(log, quoted, { imaPcr: 10, kernelCmdline: hint }).facts)
      return processorMs() - start
    }
    return Math.min(once(), once(), once())
  }
  const repeated = (count: number, ...events: readonly MeasuredEvent[]) =>
    Array.from({ length: count }, () => events).flat()

  it('grows with the number of sections of one name, not with its square', () => {
    const section = [event(11, eventTypes.ipl, wide('.a\0'), bytes('.a\0')), event(11, 1, '', bytes('y'))]
    const [few, many] = [costOf(repeated(2000, ...section)), costOf(repeated(16_000, ...section))]
    expect(many / few).toBeLessThan(20)
  })

  it('does not grow with a hint that thirty thousand events could be about', () => {
    const options = repeated(30_000, event(9, eventTypes.eventTag, taggedData(0x8f3b22ed, bytes('')), bytes('y')))
    expect(costOf(options, 'x'.repeat(4096)) / costOf(options, 'x')).toBeLessThan(2)
  })
})
