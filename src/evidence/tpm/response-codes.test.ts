import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { decodeResponseCode, describeResponseCode } from './response-codes.ts'

describe('response codes', () => {
  it.each([
    [0x922, 'RETRY', null, 'repeat'],
    [0x908, 'YIELDED', null, 'repeat'],
    [0x90a, 'TESTING', null, 'repeat'],
    [0x920, 'NV_RATE', null, 'repeat-later'],
    [0x923, 'NV_UNAVAILABLE', null, 'repeat-later'],
    [0x901, 'CONTEXT_GAP', null, 'restart'],
    [0x902, 'OBJECT_MEMORY', null, 'free-slots'],
    [0x903, 'SESSION_MEMORY', null, 'free-slots'],
    [0x904, 'MEMORY', null, 'free-slots'],
    [0x906, 'OBJECT_HANDLES', null, 'free-slots'],
    [0x921, 'LOCKOUT', null, 'locked-out'],
    [0x910, 'REFERENCE_H0', null, 'restart'],
    [0x916, 'REFERENCE_H6', null, 'restart'],
    [0x918, 'REFERENCE_S0', null, 'restart'],
    [0x91e, 'REFERENCE_S6', null, 'restart'],
    [0x100, 'INITIALIZE', null, 'start'],
    [0x101, 'FAILURE', null, 'failed'],
    [0x143, 'COMMAND_CODE', null, 'give-up'],
    [0x12f, 'AUTH_UNAVAILABLE', null, 'give-up'],
    [0x125, 'AUTH_MISSING', null, 'give-up'],
    [0x907, 'LOCALITY', null, 'give-up'],
    [0x14c, 'NV_DEFINED', null, 'give-up'],
    [0x18b, 'HANDLE', { kind: 'handle', number: 1 }, 'give-up'],
    [0x184, 'VALUE', { kind: 'handle', number: 1 }, 'give-up'],
    [0x1c4, 'VALUE', { kind: 'parameter', number: 1 }, 'give-up'],
    [0x2c4, 'VALUE', { kind: 'parameter', number: 2 }, 'give-up'],
    [0x1c3, 'HASH', { kind: 'parameter', number: 1 }, 'give-up'],
    [0x3c3, 'HASH', { kind: 'parameter', number: 3 }, 'give-up'],
    [0x1d5, 'SIZE', { kind: 'parameter', number: 1 }, 'give-up'],
    [0x2d2, 'SCHEME', { kind: 'parameter', number: 2 }, 'give-up'],
    [0x95, 'SIZE', null, 'give-up'],
    [0x1da, 'INSUFFICIENT', { kind: 'parameter', number: 1 }, 'give-up'],
    [0x98e, 'AUTH_FAIL', { kind: 'session', number: 1 }, 'wrong-password'],
    [0x9a2, 'BAD_AUTH', { kind: 'session', number: 1 }, 'wrong-password'],
    [0x99d, 'POLICY_FAIL', { kind: 'session', number: 1 }, 'give-up'],
    [0xa9d, 'POLICY_FAIL', { kind: 'session', number: 2 }, 'give-up'],
    [0x1df, 'INTEGRITY', { kind: 'parameter', number: 1 }, 'give-up'],
    [0xfd5, 'SIZE', { kind: 'parameter', number: 15 }, 'give-up'],
  ])('rc %i is %s', (rc, name, part, reaction) => {
    expect(decodeResponseCode(rc)).toEqual({ rc, layer: 0, name, part, reaction })
  })

  it('of the resource manager carry their layer, and mean the same', () => {
    expect(decodeResponseCode(0x000b0143)).toMatchObject({ layer: 11, name: 'COMMAND_CODE' })
    expect(decodeResponseCode(0x000c0922)).toMatchObject({ layer: 12, name: 'RETRY', reaction: 'repeat' })
  })

  it('are shown with what was refused', () => {
    expect(describeResponseCode(decodeResponseCode(0x1df))).toBe('INTEGRITY, parameter 1 (rc 0x1df)')
    expect(describeResponseCode(decodeResponseCode(0x921))).toBe('LOCKOUT (rc 0x921)')
    expect(describeResponseCode(decodeResponseCode(0x17e))).toBe('0x17e (rc 0x17e)')
  })

  it('have an answer for every 32-bit number', () => {
    const check = (rc: number) => {
      const code = decodeResponseCode(rc)
      expect(code.name).not.toBe('')
      expect(code.layer).toBe(Math.floor(rc / 65536))
    }
    fc.assert(fc.property(fc.integer({ min: 0, max: 0xffffffff }), check), { numRuns: 2000 })
  })
})
