import { describe, expect, it } from 'vitest'
import { FakeClock } from '../../test/support/fake-clock.ts'
import { FakeTokenSource, tokenRequest } from '../../test/support/fake-token-source.ts'
import type { Instant } from './clock-watch.ts'
import { passportErrors } from './errors.ts'
import { classifyFailure, type FailureClass } from './failure.ts'
import { Flight, type FlightOutcome } from './flight.ts'
import { IssuerGate } from './issuer-gate.ts'
import { defaultBrokerLimits } from './limits.ts'

const at = (ms: number): Instant => ({ wall: ms, monotonic: ms, boot: ms })

/** Flights that never do anything: the gate looks at their plan only. */
function flightAt(ms: number, background = false): Flight {
  const clock = new FakeClock()
  const source = new FakeTokenSource(clock)
  source.behaviour = { kind: 'hang' }
  const gear = {
    limits: defaultBrokerLimits,
    clock,
    read: () => at(ms),
    drawUnit: () => 0,
    onLateResult: () => undefined,
  }
  return new Flight(
    { source, request: tokenRequest(), started: at(ms), generation: 1, background, caller: 'uid:0' },
    gear,
  )
}

const codes: Partial<Record<FailureClass, keyof typeof passportErrors.declared>> = {
  transport: 'issuer_unavailable',
  local: 'evidence_unavailable',
  'bad-token': 'issuer_bad_token',
  verdict: 'issuer_rejected',
  misconfigured: 'issuer_misconfigured',
  clock: 'clock_unsafe',
}

function failed(failureClass: FailureClass): FlightOutcome {
  const error = passportErrors.error(codes[failureClass] ?? 'issuer_unavailable', 'x')
  return { kind: 'failed', failure: classifyFailure(error, 'obtain', 0) }
}

const landed = { kind: 'landed' } as FlightOutcome
const superseded: FlightOutcome = { kind: 'superseded' }

class Course {
  readonly told: string[] = []
  readonly gate = new IssuerGate(
    () => 0,
    (state) => this.told.push(state),
  )

  fly(ms: number, ...outcomes: FlightOutcome[]): void {
    for (const outcome of outcomes) {
      const flight = flightAt(ms)
      this.gate.departed(flight)
      this.gate.returned(flight, outcome, at(ms))
    }
  }
}

const times = (count: number, outcome: FlightOutcome) => Array.from({ length: count }, () => outcome)

describe('the breaker (BRK-44)', () => {
  it('opens at the fifth transport failure in a row', () => {
    const course = new Course()
    course.fly(0, ...times(4, failed('transport')))
    expect(course.gate.blockedForMs(at(0))).toBe(0)
    course.fly(0, failed('transport'))
    expect(course.gate.isOpen).toBe(true)
    expect(course.gate.blockedForMs(at(0))).toBe(500)
    expect(course.gate.blockedForMs(at(499))).toBe(1)
    expect(course.gate.blockedForMs(at(500))).toBe(0)
  })

  it.each<FailureClass>(['verdict', 'misconfigured'])('a %s in between proves that the issuer answers', (between) => {
    const course = new Course()
    course.fly(0, ...times(4, failed('transport')), failed(between), ...times(4, failed('transport')))
    expect(course.gate.isOpen).toBe(false)
  })

  it.each<FailureClass>(['local', 'clock'])('a %s failure neither counts nor resets', (between) => {
    const course = new Course()
    course.fly(0, ...times(4, failed('transport')), ...times(9, failed(between)))
    expect(course.gate.isOpen).toBe(false)
    course.fly(0, failed('transport'))
    expect(course.gate.isOpen).toBe(true)
  })

  it('opens at the third bad token in a row', () => {
    const course = new Course()
    course.fly(0, ...times(2, failed('bad-token')), landed, ...times(2, failed('bad-token')))
    expect(course.gate.isOpen).toBe(false)
    course.fly(0, failed('bad-token'))
    expect(course.gate.isOpen).toBe(true)
  })

  it('lets one probe through, then waits longer after each that fails, at most 30 s', () => {
    const course = new Course()
    course.fly(0, ...times(5, failed('transport')))
    const pauses = [500]
    for (let now = 500; pauses.length < 8; now += pauses.at(-1) ?? 0) {
      const probe = flightAt(now)
      course.gate.departed(probe)
      expect(course.gate.blockedForMs(at(now))).toBeGreaterThan(0)
      course.gate.returned(probe, failed('transport'), at(now))
      pauses.push(course.gate.blockedForMs(at(now)))
    }
    expect(pauses).toEqual([500, 1_000, 2_000, 4_000, 8_000, 15_000, 15_000, 15_000])
  })

  it('a failure of an older flight does not lengthen the pause', () => {
    const course = new Course()
    const old = flightAt(0)
    course.gate.departed(old)
    course.fly(0, ...times(5, failed('transport')))
    course.gate.returned(old, failed('transport'), at(400))
    expect(course.gate.blockedForMs(at(400))).toBe(100)
  })

  it('a probe that is cut off makes room for the next', () => {
    const course = new Course()
    course.fly(0, ...times(5, failed('transport')))
    course.fly(600, superseded)
    expect(course.gate.blockedForMs(at(600))).toBe(0)
  })

  it('a probe that fails on our side is repeated later', () => {
    const course = new Course()
    course.fly(0, ...times(5, failed('transport')))
    course.fly(600, failed('local'))
    expect(course.gate.blockedForMs(at(600))).toBe(1_000)
  })

  it('a success closes it and forgets the failures (BRK-46)', () => {
    const course = new Course()
    course.fly(0, ...times(5, failed('transport')))
    course.fly(600, landed, ...times(4, failed('transport')))
    expect(course.gate.isOpen).toBe(false)
  })
})

describe('events (BRK-45)', () => {
  it('allow one attempt per 5 s', () => {
    const { gate } = new Course()
    const granted = [0, 0, 1, 4_999, 5_000, 9_000, 60_000].map((ms) => gate.noteEvent(at(ms)))
    expect(granted).toEqual([0, 5_000, 5_000, 5_000, 10_000, 10_000, 60_000])
  })

  it('let an open breaker probe at once', () => {
    const course = new Course()
    course.fly(0, ...times(5, failed('transport')))
    course.gate.noteEvent(at(100))
    expect(course.gate.blockedForMs(at(100))).toBe(0)
  })
})

it('starts at most three background attempts per second (BRK-74)', () => {
  const { gate } = new Course()
  for (const ms of [0, 100, 200]) {
    expect(gate.backgroundBlockedForMs(at(ms))).toBe(0)
    gate.departed(flightAt(ms, true))
  }
  expect(gate.backgroundBlockedForMs(at(200))).toBe(800)
  expect(gate.blockedForMs(at(200))).toBe(0)
  gate.departed(flightAt(300))
  expect(gate.backgroundBlockedForMs(at(1_000))).toBe(0)
  gate.departed(flightAt(1_000, true))
  expect(gate.backgroundBlockedForMs(at(1_000))).toBe(100)
})
