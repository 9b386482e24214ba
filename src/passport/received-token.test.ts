import { describe, expect, it } from 'vitest'
import { tokenRequest } from '../../test/support/fake-token-source.ts'
import type { Instant } from './clock-watch.ts'
import { leftMs, requiredMs } from './held-token.ts'
import { defaultBrokerLimits } from './limits.ts'
import { requireCompactForm, requireUsable } from './received-token.ts'
import type { AcceptedToken } from './token-source.ts'

const nowS = 1_790_000_000
const at = (seconds: number, bootSeconds = seconds): Instant => ({
  wall: (nowS + seconds) * 1000,
  monotonic: bootSeconds * 1000,
  boot: bootSeconds * 1000,
})
const accepted: AcceptedToken = {
  issuer: 'https://issuer.example',
  audience: ['https://rp.example'],
  issuedAt: nowS,
  expiresAt: nowS + 900,
  jti: 'j',
  kid: 'k',
}

interface Case {
  readonly claims?: Partial<AcceptedToken>
  readonly asked?: Instant
  readonly received?: Instant
  readonly limits?: Partial<typeof defaultBrokerLimits>
  readonly fixedAudience?: readonly string[]
}

function receive({ claims, asked = at(0), received = at(0), limits, fixedAudience }: Case = {}) {
  return requireUsable(
    'a.b.c',
    { ...accepted, ...claims },
    {
      request: tokenRequest(),
      fixedAudience,
      exchange: { asked, received },
      limits: { ...defaultBrokerLimits, ...limits },
      unit: 0,
    },
  )
}

const refused = (check: string) => expect.objectContaining({ code: 'issuer_bad_token', facts: { check } })

describe('the form of a token (BRK-100)', () => {
  it.each(['a.b.c', 'e30.e30.c2ln-_', `${'a'.repeat(65_532)}.b.c`])('takes %#', (token) => {
    requireCompactForm(token)
  })

  it.each([
    '',
    'a.b',
    'a..c',
    'a.b.',
    '.b.c',
    'a.b.c.d',
    'a.b.c\n',
    ' a.b.c',
    'a.b.c=',
    'ä.b.c',
    `${'a'.repeat(65_533)}.b.c`,
  ])('refuses %#', (token) => {
    expect(() => requireCompactForm(token)).toThrow(refused('BRK-100'))
  })
})

describe('claims that the broker demands', () => {
  it.each<[string, Case, string]>([
    ['another audience', { claims: { audience: ['https://other.example'] } }, 'BRK-105'],
    ['one audience more', { claims: { audience: ['https://rp.example', 'x'] } }, 'BRK-105'],
    ['no audience', { claims: { audience: [] } }, 'BRK-105'],
    ['not the fixed audience', { fixedAudience: ['urn:fixed'] }, 'BRK-105'],
    ['half seconds', { claims: { issuedAt: nowS - 0.5 } }, 'BRK-106'],
    ['no number', { claims: { expiresAt: Number.NaN } }, 'BRK-106'],
    ['infinite life', { claims: { expiresAt: Number.POSITIVE_INFINITY } }, 'BRK-106'],
    ['life over 24 h', { claims: { expiresAt: nowS + 86_401 } }, 'BRK-106'],
    ['issued 31 s before the request', { claims: { issuedAt: nowS - 31 } }, 'BRK-106'],
    ['expired', { claims: { issuedAt: nowS - 30, expiresAt: nowS } }, 'BRK-22'],
    ['9.999 s left', { claims: { expiresAt: nowS + 10 }, received: at(0.001) }, 'BRK-22'],
  ])('refuses %s', (_, given, check) => {
    expect(() => receive(given)).toThrow(refused(check))
  })

  it.each<[string, Case]>([
    ['the audience in another order', { claims: { audience: ['https://rp.example', 'https://rp.example'] } }],
    ['the fixed audience', { fixedAudience: ['urn:fixed'], claims: { audience: ['urn:fixed'] } }],
    ['24 h', { claims: { expiresAt: nowS + 86_400 } }],
    ['issued 30 s before the request', { claims: { issuedAt: nowS - 30 } }],
    ['dated 30 s ahead', { claims: { issuedAt: nowS + 30 } }],
    ['10 s left', { claims: { expiresAt: nowS + 10 } }],
    ['2 s left in test mode', { claims: { expiresAt: nowS + 2 }, limits: { minUsableLifeS: 2 } }],
  ])('takes %s', (_, given) => {
    expect(receive(given).token).toBe('a.b.c')
  })

  it('calls a token from the future a matter of the clock (BRK-65)', () => {
    expect(() => receive({ claims: { issuedAt: nowS + 31, expiresAt: nowS + 931 } })).toThrow(
      expect.objectContaining({ code: 'clock_unsafe', facts: { skew_s: 31 } }),
    )
  })
})

describe('the life of a token (BRK-62)', () => {
  const lifeOf = (given: Case) => receive(given).lifeMs / 1000

  it.each<[string, Case, number]>([
    ['counts from receipt', { received: at(100) }, 800],
    ['ends at the configured age', { limits: { maxAgeS: 300 } }, 300],
    ['or before', { limits: { maxAgeS: 3_000 } }, 900],
    ['is never longer than its span', { claims: { issuedAt: nowS + 20, expiresAt: nowS + 920 } }, 900],
    ['is not lengthened by a wall clock set back on the way', { asked: at(0, 0), received: at(-20, 10) }, 890],
    ['is shortened by one set forward on the way', { asked: at(0, 0), received: at(500, 10) }, 400],
  ])('%s', (_, given, seconds) => {
    expect(lifeOf(given)).toBe(seconds)
  })

  it('ends when either clock says so', () => {
    const held = receive()
    expect(leftMs(held, at(899))).toBe(1_000)
    expect(leftMs(held, at(900))).toBe(0)
    expect(leftMs(held, at(-3_600, 899))).toBe(1_000)
    expect(leftMs(held, at(-3_600, 901))).toBe(-1_000)
    expect(leftMs(held, at(901, 10))).toBe(-1_000)
  })
})

describe('what must be left (API-90)', () => {
  const required = (minValidS: number | null, lifeS: number, servingFloorS = 5) =>
    requiredMs(
      { minValidS, timeoutMs: 1, caller: 'c' },
      { ...accepted, expiresAt: nowS + lifeS },
      {
        ...defaultBrokerLimits,
        servingFloorS,
      },
    ) / 1000

  it.each([
    [null, 900, 60],
    [null, 300, 60],
    [null, 299, 59.8],
    [null, 20, 5],
    [0, 900, 1],
    [1, 900, 5],
    [5, 900, 5],
    [6, 900, 6],
    [600, 900, 600],
  ])('demand %j of a life of %i s: %f s', (minValidS, lifeS, seconds) => {
    expect(required(minValidS, lifeS)).toBeCloseTo(seconds, 9)
  })

  it('has a lower floor in test mode (BRK-170)', () => {
    expect(required(null, 4, 1)).toBe(1)
    expect(required(2, 4, 1)).toBe(2)
  })
})
