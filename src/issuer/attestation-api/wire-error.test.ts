import { describe, expect, it } from 'vitest'
import { AttestdError } from '../../base/errors.ts'
import { attestationErrors } from './errors.ts'
import { retryAfterS, wireError } from './wire-error.ts'

const framework = (code: string) => Object.assign(new Error('words of the framework'), { code })
const overloaded = (facts: Record<string, number>) => attestationErrors.error('AS.SERVICE.OVERLOADED', 'why', { facts })

describe('an error as clients hear it (ERR-01)', () => {
  it.each([
    ['FST_ERR_CTP_INVALID_MEDIA_TYPE', 'AS.REQUEST.UNSUPPORTED_MEDIA_TYPE'],
    ['FST_ERR_CTP_INVALID_CONTENT_LENGTH', 'AS.REQUEST.INVALID_ARGUMENT'],
    ['FST_ERR_BAD_URL', 'AS.REQUEST.INVALID_ARGUMENT'],
    ['FST_ERR_SEND_INSIDE_ONERR', 'AS.INTERNAL.ERROR'],
  ])('of the framework, %s, is %s, in words of the service', (code, known) => {
    const { code: told, message } = wireError(framework(code))
    expect([told, message]).toEqual([known, expect.not.stringContaining('framework')])
  })

  it('is a bug where what is not of this service can be mended by nobody who asks', () => {
    const foreign = { title: 't', remedy: 'r' }
    const code = (kind: 'unavailable' | 'configuration') =>
      wireError(new AttestdError('KEY_X', { kind, ...foreign }, 'why')).code
    expect([code('unavailable'), code('configuration')]).toEqual(['AS.DEPENDENCY.UNAVAILABLE', 'AS.INTERNAL.ERROR'])
  })
})

describe('how long to wait', () => {
  it.each([
    [{ retry_after_ms: 50 }, 1],
    [{ retry_after_ms: 1_001 }, 2],
    [{ retry_after_ms: 0 }, 1],
    [{ retry_after_s: 42 }, 42],
    [{ retry_after_s: 3_600 }, 120],
    [{}, 5],
  ])('is told in whole seconds, one at least and two minutes at most: %j', (facts, seconds) => {
    expect(retryAfterS(overloaded(facts))).toBe(seconds)
  })

  it('is told with 429 and 503, and with nothing else', () => {
    const told = (code: keyof typeof attestationErrors.declared) => retryAfterS(attestationErrors.error(code, 'why'))
    expect([told('AS.REQUEST.RATE_LIMITED'), told('AS.DEPENDENCY.UNAVAILABLE')]).toEqual([5, 5])
    expect([told('AS.REQUEST.TIMEOUT'), told('AS.INTERNAL.ERROR')]).toEqual([null, null])
  })
})
