import { expect, it } from 'vitest'
import { event, measuredBoot } from '../../../test/support/measured-boot.ts'
import { eventTypes } from '../../evidence/event-log/event-types.ts'
import { encodeAaelData } from '../../evidence/tdx/aael.ts'
import { eventLogClaims } from './event-log-claims.ts'
import { judgeEventLogBytes } from './event-log-verdicts.ts'

const aael = { domain: 'app/model', operation: 'load', content: 'sha256:00' }
const data = encodeAaelData(aael)
const { eventTag, efiAction } = eventTypes

/** What is claimed of runtime records in a log whose registers are quoted, but for those of `unquoted`. */
function claimed(events: Parameters<typeof measuredBoot>[0], unquoted: readonly number[] = []): unknown {
  const { log, quoted } = measuredBoot(events, ['sha256'])
  const kept = new Map(
    [...quoted].map(([bank, pcrs]) => [bank, new Map([...pcrs].filter(([pcr]) => !unquoted.includes(pcr)))]),
  )
  const { facts } = judgeEventLogBytes(log, kept, { imaPcr: 10 })
  return (eventLogClaims(true, facts)['eventlog'] as Record<string, unknown>)['aael']
}

it('names what was measured at run time, as far as a quoted register and its own data account for it (TDX-034)', () => {
  expect(claimed([event(23, eventTag, data)])).toEqual([{ ...aael, pcr: 23 }])
  expect(claimed([event(23, eventTag, data), event(16, eventTag, data)])).toHaveLength(2)
})

it('names nothing of a record that no register proves, that its digest does not cover, or that is another thing', () => {
  expect(claimed([event(23, eventTag, data), event(0, efiAction, 'x')], [23])).toBeUndefined()
  expect(claimed([event(23, eventTag, data, new TextEncoder().encode('other'))])).toBeUndefined()
  expect(claimed([event(23, efiAction, data)])).toBeUndefined()
  expect(claimed([event(23, eventTag, data.slice(0, -1))])).toBeUndefined()
})
