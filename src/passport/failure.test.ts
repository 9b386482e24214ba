import { describe, expect, it } from 'vitest'
import { upstreamErrors } from '../../test/support/fake-token-source.ts'
import { MalformedError } from '../base/errors.ts'
import { passportErrors } from './errors.ts'
import { answerTo, classifyFailure, type FailureClass, isRetryable, type Phase } from './failure.ts'

const upstream = (code: Parameters<typeof upstreamErrors.error>[0]) => upstreamErrors.error(code, 'what happened')

describe('the table of section 5', () => {
  it.each<[Phase, Parameters<typeof upstream>[0], FailureClass, string, boolean]>([
    ['obtain', 'UPSTREAM_DOWN', 'local', 'evidence_unavailable', true],
    ['obtain', 'UPSTREAM_GARBLED', 'local', 'evidence_unavailable', true],
    ['obtain', 'UPSTREAM_REFUSED', 'verdict', 'issuer_rejected', false],
    ['obtain', 'UPSTREAM_UNTRUSTED', 'bad-token', 'issuer_bad_token', true],
    ['obtain', 'UPSTREAM_MISSET', 'misconfigured', 'issuer_misconfigured', false],
    ['obtain', 'UPSTREAM_UNFIT', 'unsupported', 'UPSTREAM_UNFIT', false],
    ['obtain', 'UPSTREAM_FORBIDDEN', 'unsupported', 'UPSTREAM_FORBIDDEN', false],
    ['accept', 'UPSTREAM_DOWN', 'transport', 'issuer_unavailable', true],
    ['accept', 'UPSTREAM_GARBLED', 'bad-token', 'issuer_bad_token', true],
    ['accept', 'UPSTREAM_REFUSED', 'bad-token', 'issuer_bad_token', true],
    ['accept', 'UPSTREAM_UNTRUSTED', 'bad-token', 'issuer_bad_token', true],
    ['accept', 'UPSTREAM_UNFIT', 'bad-token', 'issuer_bad_token', true],
    ['accept', 'UPSTREAM_FORBIDDEN', 'bad-token', 'issuer_bad_token', true],
    ['accept', 'UPSTREAM_MISSET', 'misconfigured', 'issuer_misconfigured', false],
  ])('while it is to %s, %s is %s: %s', (phase, code, failureClass, answer, retryable) => {
    const failure = classifyFailure(upstream(code), phase, 1_999)
    expect(failure).toMatchObject({ class: failureClass, at: 1, retryAfterMs: null })
    expect(failure.error).toMatchObject({ code: answer, message: 'what happened' })
    expect(isRetryable(failure)).toBe(retryable)
    if (code !== answer) expect(failure.error.facts['cause_code']).toBe(code)
  })

  it.each<[keyof typeof passportErrors.declared, FailureClass]>([
    ['issuer_unavailable', 'transport'],
    ['evidence_unavailable', 'local'],
    ['quote_queue_full', 'local'],
    ['issuer_rejected', 'verdict'],
    ['issuer_bad_token', 'bad-token'],
    ['issuer_misconfigured', 'misconfigured'],
    ['clock_unsafe', 'clock'],
  ])('%s of a source that knows better stays what it is', (code, failureClass) => {
    const error = passportErrors.error(code, 'so it is')
    expect(classifyFailure(error, 'obtain', 0)).toMatchObject({ class: failureClass, error })
  })

  it('takes the rule of a failed check along (issuer_bad_token: `check`)', () => {
    const error = upstreamErrors.error('UPSTREAM_UNTRUSTED', 'no', {
      facts: { check: 'token.audience', rule: 'TOK-12' },
    })
    expect(classifyFailure(error, 'accept', 0).error.facts).toMatchObject({ check: 'TOK-12' })
    expect(classifyFailure(new MalformedError({ path: 'token' }, 'x'), 'accept', 0).error.facts).toMatchObject({
      check: 'MALFORMED',
    })
  })

  it('names the verdict (issuer_rejected: `upstream_code`), as the source says it where it does', () => {
    expect(classifyFailure(upstream('UPSTREAM_REFUSED'), 'obtain', 0).error.facts['upstream_code']).toBe(
      'UPSTREAM_REFUSED',
    )
    const named = upstreamErrors.error('UPSTREAM_REFUSED', 'no', { facts: { upstream_code: 'policy.failed' } })
    expect(classifyFailure(named, 'obtain', 0).error.facts['upstream_code']).toBe('policy.failed')
  })

  it.each([
    [30_000, 30_000],
    [0, 0],
    [-1, null],
    ['30', null],
    [Number.NaN, null],
  ])('takes retry_after_ms %j as %j', (given, taken) => {
    const error = passportErrors.error('issuer_unavailable', 'busy', { facts: { retry_after_ms: given } })
    expect(classifyFailure(error, 'obtain', 0).retryAfterMs).toBe(taken)
  })

  it('never takes a bug', () => {
    expect(() => classifyFailure(new TypeError('bug'), 'obtain', 0)).toThrow('bug')
  })

  it('answers with what holds at this moment, and leaves foreign errors alone', () => {
    const failure = classifyFailure(upstream('UPSTREAM_DOWN'), 'obtain', 0)
    expect(answerTo(failure, { retry_after_ms: 5 })).toMatchObject({
      code: 'evidence_unavailable',
      status: 503,
      facts: { cause_code: 'UPSTREAM_DOWN', retry_after_ms: 5 },
      remedy: 'wait',
    })
    const foreign = classifyFailure(upstream('UPSTREAM_UNFIT'), 'obtain', 0)
    expect(answerTo(foreign, { retry_after_ms: 5 })).toBe(foreign.error)
  })
})
