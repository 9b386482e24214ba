import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { haveVectors, vectorJson } from '../../../test/support/vectors.ts'
import { judgeAnswer, retryAfterMs } from './answer.ts'
import type { AttestationAnswer } from './attestation-transport.ts'
import { excerptOf } from './excerpt.ts'
import { problemCodes } from './problem-codes.ts'

interface Case {
  readonly name: string
  readonly status: number
  readonly contentType: string
  readonly body: string
  readonly headers?: Readonly<Record<string, string>>
  readonly class: string
  readonly evictsValidToken?: boolean
  readonly notBeforeSeconds?: number
}

function answer(status: number, body = '', contentType: string | null = 'text/plain'): AttestationAnswer {
  return { status, contentType, retryAfter: null, body: new Uint8Array(Buffer.from(body)) }
}

function classOf(given: AttestationAnswer): string {
  const judged = judgeAnswer(given)
  return judged.kind === 'token' ? 'token' : judged.class
}

const problem = (status: number, code: string, more: object = {}) =>
  answer(status, JSON.stringify({ status, code, ...more }), 'application/problem+json; charset=utf-8')

describe.skipIf(!haveVectors)('answers of the vectors (ERR-10 to ERR-13)', () => {
  const cases: Case[] = haveVectors ? vectorJson('token/client-error-cases.json').cases : []

  it.each(cases)('$name', (example) => {
    const judged = classOf(answer(example.status, example.body, example.contentType))
    // A verdict on our encoding is the one that leaves a valid token alone (ERR-13).
    expect(judged).toBe(example.class === 'verdict' && example.evictsValidToken === false ? 'dialect' : example.class)
    if (example.notBeforeSeconds === undefined) return
    expect(retryAfterMs(example.headers?.['retry-after'] ?? null, 0)).toBe(example.notBeforeSeconds * 1000)
  })
})

describe('the class of an answer', () => {
  it.each([
    [408, 'retryable'],
    [425, 'retryable'],
    [429, 'retryable'],
    [500, 'retryable'],
    [502, 'retryable'],
    [503, 'retryable'],
    [504, 'retryable'],
    [520, 'retryable'],
    [409, 'verdict'],
    [422, 'verdict'],
    [201, 'misconfiguration'],
    [204, 'misconfiguration'],
    [301, 'misconfiguration'],
    [400, 'misconfiguration'],
    [401, 'misconfiguration'],
    [403, 'misconfiguration'],
    [405, 'misconfiguration'],
    [406, 'misconfiguration'],
    [413, 'misconfiguration'],
    [415, 'misconfiguration'],
  ])('of status %i alone is %s', (status, expected) => expect(classOf(answer(status))).toBe(expected))

  it.each([
    ['evidence refused, whatever its status', problem(400, 'AS.EVIDENCE.INVALID_QUOTE'), 'verdict'],
    ['a verdict that says it may be retried', problem(503, 'AS.POLICY.DENIED', { retryable: true }), 'verdict'],
    ['our encoding', problem(400, 'AS.EVIDENCE.INVALID_FORMAT'), 'dialect'],
    ['a challenge, but not by 401', problem(400, 'AS.CHALLENGE.INVALID_TOKEN'), 'misconfiguration'],
    ['5xx that is final', problem(503, 'AS.SERVICE.OVERLOADED', { retryable: false }), 'misconfiguration'],
    ['429 that is final', problem(429, 'AS.REQUEST.RATE_LIMITED', { retryable: false }), 'misconfiguration'],
    ['4xx that is not', problem(404, 'AS.REQUEST.NOT_FOUND', { retryable: true }), 'misconfiguration'],
    ['an unknown code', problem(503, 'AS.NEW.THING', { retryable: false }), 'retryable'],
    ['a verdict behind status 200', problem(200, 'AS.EVIDENCE.INVALID_QUOTE'), 'misconfiguration'],
    [
      'another status inside',
      answer(503, '{"status":422,"code":"AS.POLICY.DENIED"}', 'application/problem+json'),
      'retryable',
    ],
    [
      'a problem under another media type',
      answer(503, '{"status":503,"code":"AS.POLICY.DENIED"}', 'application/json'),
      'retryable',
    ],
    [
      'a duplicate member',
      answer(503, '{"status":503,"code":"AS.POLICY.DENIED","code":"x"}', 'application/problem+json'),
      'retryable',
    ],
    ['an array', answer(503, '[]', 'application/problem+json'), 'retryable'],
  ])('with a problem document: %s', (_, given, expected) => expect(classOf(given)).toBe(expected))

  it('knows every code of the table, and a problem of each decides', () => {
    for (const code of problemCodes) {
      const judged = judgeAnswer(problem(400, code))
      expect(judged).toMatchObject({ kind: 'refused', problem: { code } })
    }
    expect(problemCodes.size).toBe(20)
  })

  it('tells the field and the failed checks of the service, and no more of them than a log bears', () => {
    const findings = [
      { id: 'tdx.tcb.level', outcome: 'failed' },
      { id: 'tdx.quote.size', outcome: 'passed' },
      { id: 'x y <script>', outcome: 'failed' },
      ...Array.from({ length: 40 }, (_, at) => ({ id: `more.${at}`, outcome: 'failed' })),
    ]
    const judged = judgeAnswer(problem(422, 'AS.EVIDENCE.VERIFICATION_FAILED', { field: 'evidence.quote', findings }))
    expect(judged).toMatchObject({ problem: { field: 'evidence.quote' } })
    const ids = judged.kind === 'refused' ? (judged.problem?.findings ?? []) : []
    expect(ids.slice(0, 2)).toEqual(['tdx.tcb.level', 'more.0'])
    expect(ids).toHaveLength(16)
    expect(judgeAnswer(problem(422, 'AS.POLICY.DENIED', { field: 'a b', findings: 'x' }))).toMatchObject({
      problem: { field: null, findings: [] },
    })
  })
})

describe('a token in an answer (SVC-14)', () => {
  const ofLength = (length: number) => `a.b.${'c'.repeat(length - 4)}`

  it.each([
    ['64 KiB', ofLength(65_536), 'token'],
    ['64 KiB and a newline', `${ofLength(65_536)}\n`, 'token'],
    ['one character more', ofLength(65_537), 'misconfiguration'],
    ['padding', 'a.b.c=', 'misconfiguration'],
    ['four parts', 'a.b.c.d', 'misconfiguration'],
    ['an empty part', 'a..c', 'misconfiguration'],
    ['a carriage return', 'a.b.c\r\n', 'misconfiguration'],
    ['a space before', ' a.b.c', 'misconfiguration'],
    ['a letter beyond ASCII', 'a.b.ç', 'misconfiguration'],
  ])('%s', (_, text, expected) => expect(classOf(answer(200, text))).toBe(expected))

  it('comes with status 200 only, and without its newline', () => {
    expect(classOf(answer(201, 'a.b.c'))).toBe('misconfiguration')
    expect(judgeAnswer(answer(200, 'a.b.c\n'))).toEqual({ kind: 'token', token: 'a.b.c' })
  })

  it('is found in no other bytes, and judging never throws', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 64 }), fc.integer({ min: 200, max: 599 }), (body, status) => {
        const judged = judgeAnswer({ status, contentType: 'application/problem+json', retryAfter: null, body })
        if (judged.kind === 'token') expect(judged.token).toMatch(/^[\w-]+\.[\w-]+\.[\w-]+$/)
      }),
    )
  })
})

describe('Retry-After (BRK-43)', () => {
  const now = Date.UTC(2026, 5, 1)

  it.each([
    [null, null],
    ['7', 7_000],
    [' 7 ', 7_000],
    ['0', 0],
    ['120', 120_000],
    ['121', 120_000],
    ['3600', 120_000],
    ['-1', null],
    ['1.5', null],
    ['soon', null],
    ['', null],
    ['99999999999', null],
    ['Mon, 01 Jun 2026 00:00:30 GMT', 30_000],
    ['Mon, 01 Jun 2026 01:00:00 GMT', 120_000],
    ['Sun, 31 May 2026 00:00:00 GMT', 0],
    ['Mon, 99 Jun 2026 00:00:30 GMT', null],
    ['2026-06-01T00:00:30Z', null],
  ])('%s is %s ms', (text, ms) => expect(retryAfterMs(text, now)).toBe(ms))
})

describe('the excerpt of an answer (SVC-14)', () => {
  it.each([
    ['<html><title>Guest network</title>', '<html><title>Guest network</title>'],
    ['x'.repeat(19), 'x'.repeat(19)],
    ['x'.repeat(20), '…'],
    ['line\r\n\tnext\u0000\u001b[31mred', 'line next [31mred'],
    ['{"token":"eyJhbGciOiJSUzI1NiJ9.eyJhIjoxfQ.c2ln"}', '{"token":"…"}'],
    [`a ${'word '.repeat(40)}`, `a ${'word '.repeat(40)}`.slice(0, 64)],
    ['', ''],
  ])('of %j is %j', (text, shown) => {
    expect(excerptOf(text)).toBe(shown)
    expect(excerptOf(Buffer.from(text))).toBe(shown)
  })

  it('shows no piece of evidence that is cut where reading ends', () => {
    const evidence = 'eyJxdW90ZSI6IkJBQUMi'.repeat(100)
    for (let before = 380; before < 520; before++) {
      const text = `${'A'.repeat(before)} ${evidence}`
      expect(excerptOf(text)).not.toContain('eyJ')
      expect(excerptOf(Buffer.from(text))).not.toContain('eyJ')
    }
  })
})
