import { randomBytes } from 'node:crypto'
import { beforeAll, describe, expect, it } from 'vitest'
import { createSimulator, type SimulatedTdx } from '../../../mocks/tdx/simulator.ts'
import { directAppraiser } from '../../../test/support/embedded-machine.ts'
import { FakeClock } from '../../../test/support/fake-clock.ts'
import { endorserErrors } from '../../endorser/errors.ts'
import { attestationErrors } from '../../issuer/attestation-api/errors.ts'
import { appraiserErrors } from '../embedded/appraiser.ts'
import { facadeAppraiser } from './facades.ts'
import { TdAppraisals, type TdAppraisalsOptions } from './td-appraisals.ts'

const never = new AbortController().signal
const reportData = new Uint8Array(randomBytes(64))
let clock: FakeClock
let sim: SimulatedTdx
beforeAll(() => {
  clock = new FakeClock(Date.UTC(2026, 5, 1))
  sim = createSimulator({ clock })
})

type AppraiseTd = TdAppraisalsOptions['pool']['appraiseTd']
type CollateralOf = TdAppraisalsOptions['collateral']['collateralOf']

function room(appraiseTd: AppraiseTd = directAppraiser.appraiseTd, collateralOf?: CollateralOf) {
  const requirements = { trustAnchors: [sim.pki.anchor], simulator: true }
  const collateral = { heldFor: () => null, collateralOf: collateralOf ?? (async () => sim.collateral()) }
  const appraisals = new TdAppraisals({ pool: { appraiseTd }, collateral, requirements, clock })
  const evidence = { quote: sim.quote({ reportData }), ccEventLog: null, simulated: false }
  return (signal = never) => appraisals.appraise({ evidence, reportData }, signal)
}

/** Fails at the second of the two appraisals, for which collateral is there. */
const failingLate =
  (error: Error): AppraiseTd =>
  (...job) =>
    job[1].collateral === null ? directAppraiser.appraiseTd(...job) : Promise.reject(error)

describe('an appraisal', () => {
  it('waits for collateral as long as somebody waits for it', async () => {
    const signals: AbortSignal[] = []
    const { signal } = new AbortController()
    await room(directAppraiser.appraiseTd, async (_, given) => {
      signals.push(given)
      return sim.collateral()
    })(signal)
    expect(signals).toEqual([signal])
    expect(signals[0]).toBe(signal)
  })
})

describe('threads that cannot', () => {
  it('are told as AS.SERVICE.OVERLOADED also at the second appraisal (SVC-43)', async () => {
    const busy = appraiserErrors.error('APPRAISER_BUSY', 'no')
    await expect(room(failingLate(busy))()).rejects.toMatchObject({ code: 'AS.SERVICE.OVERLOADED' })
  })

  it.each([
    ['an error of another room', endorserErrors.error('collateral_unavailable', 'no')],
    ['an error of the API', attestationErrors.error('AS.DEPENDENCY.UNAVAILABLE', 'no')],
    ['a bug', new TypeError('a bug')],
  ])('%s stays what it is', async (_, error) => {
    await expect(room(() => Promise.reject(error))()).rejects.toBe(error)
    await expect(room(failingLate(error))()).rejects.toBe(error)
  })
})

describe('a façade', () => {
  it('waits for an appraisal no longer than every other route, and leaves no timer behind (SVC-42)', async () => {
    const signals: AbortSignal[] = []
    const appraise = (_: unknown, signal: AbortSignal) => {
      signals.push(signal)
      return new Promise<never>(() => undefined)
    }
    const late = facadeAppraiser({ appraise }, {}, clock).appraise(new Uint8Array(), 'any')
    const refused = expect(late).rejects.toMatchObject({ code: 'AS.SERVICE.OVERLOADED', retryable: true })
    await clock.advance(29_999)
    expect([signals[0]?.aborted, clock.sleeping]).toEqual([false, 1])
    await clock.advance(1)
    await refused
    expect([signals[0]?.aborted, clock.sleeping]).toEqual([true, 0])
    const broken = { appraise: () => Promise.reject(new Error('broken')) }
    await expect(facadeAppraiser(broken, {}, clock).appraise(new Uint8Array(), 'any')).rejects.toThrow('broken')
    expect(clock.sleeping).toBe(0)
  })
})
