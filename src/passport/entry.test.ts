import { describe, expect, it } from 'vitest'
import type { EntryState } from './entry.ts'
import * as states from './entry.ts'
import { passportErrors } from './errors.ts'
import { classifyFailure, type Failure } from './failure.ts'
import type { Flight } from './flight.ts'
import type { HeldToken } from './held-token.ts'

const held = { token: 'a.b.c' } as HeldToken
const flight = { plan: { generation: 9 } } as Flight
const failureOf = (code: keyof typeof passportErrors.declared): Failure =>
  classifyFailure(passportErrors.error(code, 'x'), 'obtain', 0)
const down = failureOf('issuer_unavailable')
const verdict = failureOf('issuer_rejected')

const fresh: EntryState = { kind: 'fresh', held, generation: 3 }
const degraded: EntryState = { kind: 'degraded', held, generation: 3, failure: down, retryAt: 50 }
const failed: EntryState = { kind: 'failed', failure: down, retryAt: 50 }
const rejected: EntryState = { kind: 'rejected', failure: verdict, retryAt: 50 }
const expired: EntryState = { kind: 'expired', failure: down, retryAt: 50 }
const idle = states.lapsed(fresh)
const quiet: readonly EntryState[] = [states.emptyState, fresh, degraded, failed, rejected, expired, idle]
const flying = quiet.map((state) => states.departed(state, flight))

describe('states of an entry (section 2)', () => {
  it('a flight makes fetching of what has no token and refreshing of what has one', () => {
    expect(flying.map(({ kind }) => kind)).toEqual([
      'fetching',
      'refreshing',
      'refreshing',
      'fetching',
      'fetching',
      'fetching',
      'refreshing',
    ])
  })

  it.each(quiet)('a flight that is given up leaves $kind as it was', (state) => {
    expect(states.returned(states.departed(state, flight))).toEqual(state)
  })

  it('has at most one flight (I3)', () => {
    for (const state of flying) expect(() => states.departed(state, flight)).toThrow(TypeError)
  })

  it.each([...quiet, ...flying])('only what is valid has a token: %#', (state) => {
    const stocked = ['fresh', 'degraded', 'idle', 'refreshing'].includes(state.kind)
    expect(states.heldIn(state)).toBe(stocked ? held : null)
    expect(states.generationIn(state)).toBe(stocked ? 3 : 0)
    expect(states.flightIn(state)).toBe(['fetching', 'refreshing'].includes(state.kind) ? flight : null)
  })

  it.each([
    [fresh, down, false, 'degraded'],
    [degraded, down, false, 'degraded'],
    [idle, down, false, 'degraded'],
    [states.emptyState, down, false, 'failed'],
    [expired, down, false, 'failed'],
    [fresh, verdict, true, 'rejected'],
    [fresh, verdict, false, 'degraded'],
    [failed, verdict, false, 'rejected'],
    [rejected, down, false, 'failed'],
  ] as const)('%# a failure makes of it what the table says', (state, failure, evict, kind) => {
    const after = states.disappointed(states.departed(state, flight), failure, 77, evict)
    expect(after.kind).toBe(kind)
    expect(states.flightIn(after)).toBeNull()
    expect(states.failureIn(after)).toBe(failure)
    expect(states.retryAtIn(after)).toBe(77)
    expect(states.heldIn(after)).toBe(kind === 'degraded' ? held : null)
  })

  it('expiry takes the token and keeps flight, failure and pause (BRK-10)', () => {
    expect(states.expired(fresh)).toEqual({ kind: 'expired', failure: null, retryAt: Number.NEGATIVE_INFINITY })
    expect(states.expired(degraded)).toEqual({ kind: 'expired', failure: down, retryAt: 50 })
    const refreshing = states.expired(states.departed(degraded, flight))
    expect(refreshing).toEqual({ kind: 'fetching', flight, before: { kind: 'expired', failure: down, retryAt: 50 } })
    for (const state of [states.emptyState, failed, rejected, expired]) expect(states.expired(state)).toBe(state)
  })

  it('what nobody wants lapses and comes back as it was (BRK-71)', () => {
    expect(idle.kind).toBe('idle')
    expect(states.wanted(idle)).toBe(fresh)
    expect(states.wanted(states.lapsed(degraded))).toBe(degraded)
    for (const state of [states.emptyState, failed, rejected, ...flying]) {
      expect(states.lapsed(state)).toBe(state)
      expect(states.wanted(state)).toBe(state)
    }
  })

  it('an event cuts a pause short and never lengthens it (BRK-45)', () => {
    for (const state of [degraded, failed, rejected, expired, states.lapsed(degraded)]) {
      expect(states.retryAtIn(states.pauseCut(state, 20))).toBe(20)
      expect(states.retryAtIn(states.pauseCut(state, 90))).toBe(50)
      expect(states.retryAtIn(states.pauseCut(states.departed(state, flight), 20))).toBe(20)
    }
    for (const state of [states.emptyState, fresh, idle]) expect(states.pauseCut(state, 20)).toEqual(state)
  })
})
