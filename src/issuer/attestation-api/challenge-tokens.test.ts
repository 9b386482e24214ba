import { generateKeyPairSync, type KeyObject, randomBytes } from 'node:crypto'
import { CompactSign, decodeJwt, decodeProtectedHeader } from 'jose'
import { beforeEach, describe, expect, it } from 'vitest'
import { FakeClock } from '../../../test/support/fake-clock.ts'
import { countingRandom, rsaKey } from '../../../test/support/issuing.ts'
import { toBase64 } from '../../base/bytes.ts'
import { AttestdError } from '../../base/errors.ts'
import type { JsonValue } from '../../base/json.ts'
import type { KeyRing } from '../key-ring.ts'
import { openKeyRing } from '../open-key-ring.ts'
import { ChallengeTokens } from './challenge-tokens.ts'

let clock: FakeClock
let keys: KeyRing
let challenges: ChallengeTokens

beforeEach(async () => {
  clock = new FakeClock()
  const initialKeys = [rsaKey()]
  keys = await openKeyRing({ purpose: 'challenge', store: 'ephemeral', algorithms: ['RS256'], clock, initialKeys })
  challenges = new ChallengeTokens({ keys, clock, random: countingRandom() })
})

const attempt = async (work: () => unknown) => {
  try {
    await work()
    return 'taken'
  } catch (error) {
    if (!(error instanceof AttestdError)) throw error
    return `${error.code} ${error.status}: ${error.message}`
  }
}
const refused = (says: string) => `AS.CHALLENGE.INVALID_TOKEN 401: the challenge ${says}`

describe('a challenge (SVC-30)', () => {
  it('is a nonce of 32 bytes, and a token of RS384 that holds it for 300 s', async () => {
    const { nonce, jwt } = await challenges.issue()
    expect(Buffer.from(nonce, 'base64')).toHaveLength(32)
    expect(toBase64(Buffer.from(nonce, 'base64'))).toBe(nonce)
    const iat = clock.now() / 1000
    const mark = { run: expect.any(String), place: expect.any(String), at: expect.any(Number) }
    expect(decodeJwt(jwt)).toEqual({ nonce, iat, exp: iat + 300, ...mark })
    expect(decodeProtectedHeader(jwt)).toEqual({ alg: 'RS384', kid: rsaKey().kid, typ: 'challenge+jwt' })
    expect((await challenges.issue()).nonce).not.toBe(nonce)
  })

  it('opens as often as it is looked at, and is spent once', async () => {
    const { nonce, jwt } = await challenges.issue()
    const [first, second] = [await challenges.open(jwt, undefined), await challenges.open(jwt, nonce)]
    expect(first).toEqual({ nonce, iat: clock.now() / 1000, openedAt: clock.boottime() })
    challenges.spend(first)
    expect(await attempt(() => challenges.spend(second))).toBe(refused('has been used'))
    expect(await attempt(() => challenges.open(jwt, undefined))).toBe(refused('has been used'))
  })

  it.each([360_000, 86_400_000])(
    'is spent once by two requests that were there when the machine went to sleep for %i ms (SVC-30)',
    async (ms) => {
      const { jwt } = await challenges.issue()
      const [first, second] = [await challenges.open(jwt, undefined), await challenges.open(jwt, undefined)]
      challenges.spend(first)
      clock.suspend(ms)
      expect(await attempt(() => challenges.spend(second))).toBe(refused('has expired'))
      // Also where what was used is forgotten by then, and the clock is set back.
      clock.jump(-ms)
      expect(await attempt(() => challenges.spend(second))).toBe(refused('has expired'))
    },
  )

  it('may be used again where no token came of it', async () => {
    const open = await challenges.open((await challenges.issue()).jwt, undefined)
    challenges.spend(open)
    challenges.giveBack(open)
    expect(await attempt(() => challenges.spend(open))).toBe('taken')
  })

  it('expires after 300 s', async () => {
    const { jwt } = await challenges.issue()
    await clock.advance(299_000)
    expect(await attempt(() => challenges.open(jwt, undefined))).toBe('taken')
    await clock.advance(1_000)
    expect(await attempt(() => challenges.open(jwt, undefined))).toBe(refused('has expired'))
  })

  it('stays used for as long as it is good, whatever the wall clock does', async () => {
    const { jwt } = await challenges.issue()
    challenges.spend(await challenges.open(jwt, undefined))
    await clock.advance(200_000)
    clock.jump(-200_000)
    challenges.spend(await challenges.open((await challenges.issue()).jwt, undefined))
    expect(await attempt(() => challenges.open(jwt, undefined))).toBe(refused('has been used'))
  })

  it('stays used for as long as it is good, from a replica whose clock is ahead as well', async () => {
    await clock.advance(1_000)
    clock.jump(60_000)
    const { jwt } = await new ChallengeTokens({ keys, clock, random: randomBytes }).issue()
    clock.jump(-60_000)
    challenges.spend(await challenges.open(jwt, undefined))
    await clock.advance(359_000)
    challenges.spend(await challenges.open((await challenges.issue()).jwt, undefined))
    expect(await attempt(() => challenges.open(jwt, undefined))).toBe(refused('has been used'))
    await clock.advance(1_000)
    expect(await attempt(() => challenges.open(jwt, undefined))).toBe(refused('has expired'))
  })

  it('is not one of a replica whose clock is far ahead', async () => {
    clock.jump(61_000)
    const { jwt } = await challenges.issue()
    clock.jump(-61_000)
    expect(await attempt(() => challenges.open(jwt, undefined))).toBe(refused('is of the future'))
  })

  it('needs the nonce beside it to be the same', async () => {
    const { jwt } = await challenges.issue()
    for (const nonce of ['AAAA', 1, null]) {
      expect(await attempt(() => challenges.open(jwt, nonce))).toBe(refused('has another nonce than the one beside it'))
    }
  })

  it('is taken by a replica with the same keys, which makes none of its own (SVC-31)', async () => {
    const replica = new ChallengeTokens({ keys, clock, random: randomBytes })
    await clock.advance(61_000)
    const { jwt } = await challenges.issue()
    expect(await attempt(() => replica.open(jwt, undefined))).toBe('taken')
    const other = await openKeyRing({ purpose: 'challenge', store: 'ephemeral', algorithms: ['RS256'], clock })
    const stranger = new ChallengeTokens({ keys: other, clock, random: randomBytes })
    expect(await attempt(() => stranger.open(jwt, undefined))).toBe(refused('has a key that is not known'))
  })

  it('ends with the process that issued it: the next one does not know what was used (SVC-30)', async () => {
    const { jwt } = await challenges.issue()
    challenges.spend(await challenges.open(jwt, undefined))
    await clock.advance(5_000)
    const restarted = new ChallengeTokens({ keys, clock, random: randomBytes })
    const says = refused('is of before this service was started')
    expect(await attempt(() => restarted.open(jwt, undefined))).toBe(says)
    // Of a clock that was ahead of the one after the restart, by as much as clocks may differ.
    clock.jump(-60_000)
    const exactly = new ChallengeTokens({ keys, clock, random: randomBytes })
    clock.jump(60_000)
    const { jwt: ahead } = await challenges.issue()
    expect(await attempt(() => exactly.open(ahead, undefined))).toBe(says)
    clock.jump(-50_000)
    const behind = new ChallengeTokens({ keys, clock, random: randomBytes })
    expect(await attempt(() => behind.open(jwt, undefined))).toBe(says)
    expect(await attempt(async () => behind.open((await behind.issue()).jwt, undefined))).toBe('taken')
  })

  describe('that was used is not good again after the wall clock was set back', () => {
    /** Whether it is taken at any moment of the next ten minutes. */
    async function isEverTaken(by: ChallengeTokens, jwt: string): Promise<boolean> {
      for (let minute = 0; minute < 120; minute++) {
        if ((await attempt(() => by.open(jwt, undefined))) === 'taken') return true
        await clock.advance(5_000)
        // What is used meanwhile makes it forget the older ones.
        by.spend(await by.open((await by.issue()).jwt, undefined))
      }
      return false
    }

    it('by the process that issued it (SVC-30)', async () => {
      const { jwt } = await challenges.issue()
      challenges.spend(await challenges.open(jwt, undefined))
      clock.jump(-500_000)
      expect(await isEverTaken(challenges, jwt)).toBe(false)
    })

    it('by a replica that used it (SVC-30)', async () => {
      const replica = new ChallengeTokens({ keys, clock, random: randomBytes, place: 'replica' })
      clock.jump(100_000)
      const { jwt } = await challenges.issue()
      replica.spend(await replica.open(jwt, undefined))
      clock.jump(-400_000)
      expect(await isEverTaken(replica, jwt)).toBe(false)
    })

    it('by the next process of the same state, whenever it was started (SVC-30)', async () => {
      const here = { keys, clock, random: randomBytes, place: 'here' }
      const before = new ChallengeTokens(here)
      const { jwt } = await before.issue()
      before.spend(await before.open(jwt, undefined))
      clock.jump(-200_000)
      expect(await isEverTaken(new ChallengeTokens(here), jwt)).toBe(false)
      clock.jump(-700_000)
      // Another state: this is how it is known that the clock was set back far enough.
      expect(await isEverTaken(new ChallengeTokens({ ...here, place: 'there' }), jwt)).toBe(true)
    })
  })

  it('is good as long as before where the clock is set back, and no longer', async () => {
    const { jwt } = await challenges.issue()
    clock.jump(-50_000)
    await clock.advance(299_000)
    expect(await attempt(() => challenges.open(jwt, undefined))).toBe('taken')
    await clock.advance(1_000)
    expect(await attempt(() => challenges.open(jwt, undefined))).toBe(refused('has expired'))
  })

  it('does not tell for how long the service has run', async () => {
    const ats = await Promise.all(
      Array.from({ length: 4 }, async () => {
        const { jwt } = await new ChallengeTokens({ keys, clock, random: randomBytes }).issue()
        return decodeJwt(jwt)['at']
      }),
    )
    expect(new Set(ats).size).toBeGreaterThan(1)
  })

  it('ends with its key (SVC-31)', async () => {
    const { jwt } = await challenges.issue()
    await keys.revoke(rsaKey().kid, { signAtOnce: true })
    expect(await attempt(() => challenges.open(jwt, undefined))).toBe(refused('has a key that is not known'))
    expect(await attempt(async () => challenges.open((await challenges.issue()).jwt, undefined))).toBe('taken')
  })

  it('ends with its key also where that one is revoked while its signature is verified (SVC-31)', async () => {
    const { jwt } = await challenges.issue()
    let looked = 0
    const published = () => (looked++ === 0 ? keys.published() : [])
    const revoking = new ChallengeTokens({
      ...{ keys: { signingKey: keys.signingKey.bind(keys), published }, clock, random: countingRandom() },
    })
    expect(await attempt(() => revoking.open(jwt, undefined))).toBe(refused('has a key that was revoked'))
  })

  it('is signed by keys of one algorithm: under the name of another key of the ring it is none', async () => {
    const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
    const elliptic = { ...rsaKey(), kid: 'elliptic', alg: 'ES256', privateKey } as const
    const mixed = new ChallengeTokens({
      keys: { signingKey: keys.signingKey.bind(keys), published: () => [...keys.published(), elliptic] },
      ...{ clock, random: countingRandom() },
    })
    const header = Buffer.from('{"alg":"RS384","kid":"elliptic","typ":"challenge+jwt"}').toString('base64url')
    expect(await attempt(() => mixed.open(`${header}.e30.AAAA`, undefined))).toBe(
      refused('has a key that is not known'),
    )
  })

  it('is refused when no more can be remembered, for forgetting one would let it be used twice', async () => {
    const few = new ChallengeTokens({ keys, clock, random: countingRandom(), capacity: 1 })
    const [first, second] = [await few.issue(), await few.issue()]
    few.spend(await few.open(first.jwt, undefined))
    const open = await few.open(second.jwt, undefined)
    expect(await attempt(() => few.spend(open))).toMatch(/^AS.SERVICE.OVERLOADED 503/)
    await clock.advance(360_000)
    const later = await few.open((await few.issue()).jwt, undefined)
    expect(await attempt(() => few.spend(later))).toBe('taken')
  })
})

describe('what is no challenge', () => {
  const foreign = generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey
  const sign = (payload: unknown, header: Record<string, string> = {}, key: KeyObject = rsaKey().privateKey) =>
    new CompactSign(Buffer.from(typeof payload === 'string' ? payload : JSON.stringify(payload)))
      .setProtectedHeader({ alg: 'RS384', kid: rsaKey().kid, typ: 'challenge+jwt', ...header })
      .sign(key)
  const now = Date.UTC(2026, 0, 1) / 1000 + 100
  beforeEach(() => clock.advance(100_000))
  const good = { nonce: 'AAAA', iat: now, exp: now + 300 }

  it('and the good one beside the bad ones is taken', async () => {
    expect(await attempt(async () => challenges.open(await sign(good), undefined))).toBe('taken')
  })

  const table: readonly (readonly [string, () => JsonValue | Promise<string>, string])[] = [
    ['a text', () => 'x', 'was not signed here'],
    ['nothing', () => null, 'is not a token of this service'],
    ['a number', () => 1, 'is not a token of this service'],
    ['a long text', () => 'x'.repeat(4097), 'is not a token of this service'],
    ['a foreign key under our name', () => sign(good, {}, foreign), 'was not signed here'],
    ['a name that is not known', () => sign(good, { kid: 'other' }, foreign), 'has a key that is not known'],
    ['a token of ours', () => sign(good, { alg: 'RS256', typ: 'JWT' }), 'was not signed here'],
    ['another kind of token', () => sign(good, { typ: 'JWT' }), 'is a token of another kind'],
    ['no signature', () => `${Buffer.from('{"alg":"none"}').toString('base64url')}.e30.`, 'was not signed here'],
    ['no nonce', () => sign({ ...good, nonce: undefined }), 'is incomplete'],
    ['no end', () => sign({ ...good, exp: undefined }), 'is incomplete'],
    ['no JSON', () => sign('x'), 'was not signed here'],
  ]

  it.each(table)('%s', async (_, make, says) => {
    const token = await make()
    expect(await attempt(() => challenges.open(token, undefined))).toBe(refused(says))
  })
})
