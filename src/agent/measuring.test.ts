import { describe, expect, it } from 'vitest'
import { attesterErrors } from '../attester/errors.ts'
import type { MeasureShare } from '../workload-api/measurer.ts'
import { createMeasurer, type MeasurementEvent, type MeasuringParts } from './measuring.ts'

const event = { domain: 'app/x', operation: 'load', content: 'y' }
const share: MeasureShare = { bytes: 1024, covers: (domain) => domain === 'app/x' }
const never = new AbortController().signal

/** A guest whose devices take note of what they are to extend, or refuse it. */
function rig(refusal: Error | null = null) {
  const extended: object[] = []
  const told: MeasurementEvent[] = []
  const extend = async (measurement: object) => {
    if (refusal) throw refusal
    extended.push(measurement)
    const digest = Uint8Array.of(7)
    return { digest, digests: new Map([['sha256', digest]]), logIndex: 0 }
  }
  const configuration = { measure: { registers: ['rtmr2', 'rtmr3', 'pcr23'] }, tpm: { banks: ['sha256'] } }
  // Of a wiring and of settings only what is used.
  const parts = {
    guest: { td: { attester: { extend } }, tpm: { attester: { extend } } },
    settings: () => ({ configuration }),
    measured: (measurement: MeasurementEvent) => void told.push(measurement),
  } as unknown as MeasuringParts
  return { extended, told, measure: createMeasurer(parts) }
}

describe('a measurement for a caller', () => {
  it.each([
    ['rtmr2', { register: 2 }],
    ['rtmr3', { register: 3 }],
    ['pcr23', { pcr: 23 }],
  ] as const)('of %s has no more of the log than the rule gives its domains', async (register, place) => {
    const { extended, told, measure } = rig()
    expect((await measure({ ...event, register }, never, share)).logIndex).toBe(0)
    expect(extended).toEqual([{ ...event, ...place, share }])
    expect(told).toEqual([{ register, certain: true }])
  })

  it.each([
    ['rtmr_log_share', []],
    ['rtmr_log_full', []],
    ['rtmr_permission', []],
    ['rtmr_log_pending', [{ register: 'rtmr3', certain: false }]],
    ['rtmr_log_diverged', [{ register: 'rtmr3', certain: false }]],
  ] as const)(
    'that fails with %s makes tokens old only where something may have been measured',
    async (code, events) => {
      const { told, measure } = rig(attesterErrors.error(code, 'no'))
      await expect(measure({ ...event, register: 'rtmr3' }, never, share)).rejects.toMatchObject({ code })
      expect(told).toEqual(events)
    },
  )
})
