import { describe, expect, it } from 'vitest'
import { rsaKey } from '../../test/support/issuing.ts'
import { type KeySchedule, nextKeyStep } from './key-schedule.ts'
import type { KeyRecord, KeyState } from './key-state.ts'

const schedule: KeySchedule = { rotationS: 1000, publicationS: 100, retirementS: 300 }
const record = (kid: string, state: KeyRecord['state'], since: number): KeyRecord => ({
  key: { ...rsaKey(), kid },
  state,
  since,
})
const stateOf = (...keys: readonly KeyRecord[]): KeyState => ({ purpose: 'id-token', keys, tombstones: [] })
const stepAt = (now: number, ...keys: readonly KeyRecord[]) =>
  nextKeyStep(stateOf(...keys), ['RS256'], schedule, ({ since }) => now - since)

describe('the next step of a key set (TOK-51), at n - 1 and n', () => {
  it('publishes a successor so early that it can sign when the active key is too old', () => {
    expect(stepAt(899, record('a', 'active', 0))).toBeNull()
    expect(stepAt(900, record('a', 'active', 0))).toEqual({ kind: 'publish', alg: 'RS256' })
  })

  it('activates a key after its publication', () => {
    const keys = [record('a', 'active', 0), record('b', 'published', 900)]
    expect(stepAt(999, ...keys)).toBeNull()
    expect(stepAt(1000, ...keys)).toEqual({ kind: 'activate', kid: 'b' })
  })

  it('removes a key after its retirement, before anything else', () => {
    const keys = [record('b', 'active', 0), record('a', 'retiring', 600)]
    expect(stepAt(899, ...keys)).toBeNull()
    expect(stepAt(900, ...keys)).toEqual({ kind: 'remove', kid: 'a' })
  })

  it('publishes nothing into a set of ten keys (TOK-55)', () => {
    const old = Array.from({ length: 8 }, (_, at) => record(`r${at}`, 'retiring', 5000))
    expect(stepAt(5000, ...old, record('a', 'active', 0))).toEqual({ kind: 'publish', alg: 'RS256' })
    expect(stepAt(5000, ...old, record('r9', 'retiring', 5000), record('a', 'active', 0))).toBeNull()
  })
})
