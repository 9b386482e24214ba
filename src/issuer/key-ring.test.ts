import { createPublicKey } from 'node:crypto'
import { compactVerify, createLocalJWKSet, type JSONWebKeySet, jwtVerify } from 'jose'
import { describe, expect, it } from 'vitest'
import { FakeClock, settled } from '../../test/support/fake-clock.ts'
import { rsaKey, simpleIssuer, tpmRequest } from '../../test/support/issuing.ts'
import { FakeKeyStore, type WriteFault } from '../../test/support/key-stores.ts'
import { AttestdError } from '../base/errors.ts'
import type { KeyEvent, KeyRing, KeyRingOptions } from './key-ring.ts'
import { keepKeysRotating, openKeyRing } from './open-key-ring.ts'
import type { SigningAlgorithm } from './signing-key.ts'

const hour = 3_600_000
const day = 24 * hour
const least = 86_400 + 86_400 + 300 + 3600

function options(
  store: KeyRingOptions['store'],
  clock: FakeClock,
  change: Partial<KeyRingOptions> = {},
): KeyRingOptions {
  return { purpose: 'id-token', store, algorithms: ['RS256', 'ES256'], clock, initialKeys: [rsaKey()], ...change }
}

const keySet = (ring: KeyRing) => ring.jwks() as unknown as JSONWebKeySet
const kids = (ring: KeyRing) => ring.jwks().keys.map(({ kid }) => kid)
const states = (ring: KeyRing, alg: SigningAlgorithm) =>
  ring.list().flatMap((key) => (key.alg === alg ? [key.state] : []))
const codeOf = async (promise: Promise<unknown>) =>
  promise.then(
    () => 'fulfilled',
    (error) => (error instanceof AttestdError ? error.code : String(error)),
  )

describe('the first start (TOK-51)', () => {
  it('stores the keys, then signs at once', async () => {
    const [store, clock] = [new FakeKeyStore(), new FakeClock()]
    const ring = await openKeyRing(options(store, clock))
    expect(store.writes).toBe(1)
    expect(ring.signingKey('RS256').kid).toBe(rsaKey().kid)
    expect(ring.list().map(({ alg, state }) => [alg, state])).toEqual([
      ['RS256', 'active'],
      ['ES256', 'active'],
    ])
    const again = await openKeyRing(options(new FakeKeyStore(store.bytes), clock))
    expect(kids(again)).toEqual(kids(ring))
    expect(again.signingKey('ES256').kid).toBe(ring.signingKey('ES256').kid)
  })

  it('gives nothing out if the keys cannot be stored', async () => {
    const store = new FakeKeyStore()
    store.failAt(1, 'lost')
    expect(await codeOf(openKeyRing(options(store, new FakeClock())))).toBe('KEY_STATE_UNWRITABLE')
  })

  it('makes RSA keys with 3072 bits and keys for every algorithm, private members never published (TOK-09, TOK-55)', async () => {
    const algorithms = ['RS256', 'ES256', 'ES384', 'PS256', 'EdDSA'] as const
    const ring = await openKeyRing(options('ephemeral', new FakeClock(), { algorithms, initialKeys: [] }))
    const entries = ring.jwks().keys
    expect(entries.map((entry) => [entry['alg'], Object.keys(entry).join()])).toEqual([
      ['RS256', 'kty,use,alg,kid,e,n'],
      ['ES256', 'kty,use,alg,kid,crv,x,y'],
      ['ES384', 'kty,use,alg,kid,crv,x,y'],
      ['PS256', 'kty,use,alg,kid,e,n'],
      ['EdDSA', 'kty,use,alg,kid,crv,x'],
    ])
    for (const entry of entries.filter(({ kty }) => kty === 'RSA')) {
      expect(createPublicKey({ key: entry, format: 'jwk' }).asymmetricKeyDetails?.modulusLength).toBe(3072)
    }
    expect(ring.algorithms()).toEqual(algorithms)
  })

  it('keeps nothing only on request, and says so (TOK-54)', async () => {
    const events: KeyEvent[] = []
    const ring = await openKeyRing(options('ephemeral', new FakeClock(), { report: (event) => events.push(event) }))
    expect(ring.ephemeral).toBe(true)
    expect(events[0]).toEqual({ event: 'ephemeral' })
  })

  it.each<[string, Partial<KeyRingOptions>, string]>([
    ['no RS256', { algorithms: ['ES256'] }, 'KEY_CONFIGURATION'],
    ['a rotation faster than publication and retirement', { rotationS: least - 1 }, 'KEY_CONFIGURATION'],
    ['the fastest rotation', { rotationS: least }, 'fulfilled'],
    ['a cache time that makes it too fast', { rotationS: least, jwksMaxAgeS: 3601 }, 'KEY_CONFIGURATION'],
    [
      'one RSA key for two algorithms',
      { algorithms: ['RS256', 'PS256'], initialKeys: [rsaKey(), { ...rsaKey(), alg: 'PS256' }] },
      'KEY_UNSUITABLE',
    ],
  ])('with %s', async (_, change, expected) => {
    expect(await codeOf(openKeyRing(options(new FakeKeyStore(), new FakeClock(), change)))).toBe(expected)
  })
})

describe('rotation', () => {
  it('goes published, active, retiring, removed at the times of TOK-51', async () => {
    const [store, clock] = [new FakeKeyStore(), new FakeClock()]
    const ring = await openKeyRing(options(store, clock))
    const first = ring.signingKey('ES256').kid
    const at = async (ms: number) => {
      await clock.advance(ms)
      await ring.advance()
      return states(ring, 'ES256')
    }
    expect(await at(89 * day - 1000)).toEqual(['active'])
    expect(await at(1000)).toEqual(['active', 'published'])
    const second = ring.list().find(({ alg, state }) => alg === 'ES256' && state === 'published')?.kid
    expect(await at(day - 1000)).toEqual(['active', 'published'])
    expect(ring.signingKey('ES256').kid).toBe(first)
    expect(await at(1000)).toEqual(['retiring', 'active'])
    expect(ring.signingKey('ES256').kid).toBe(second)
    expect(kids(ring)).toContain(first)
    expect(await at(day + 300_000 + hour - 1000)).toEqual(['retiring', 'active'])
    expect(await at(1000)).toEqual(['active'])
    expect(kids(ring)).not.toContain(first)
  })

  it('publishes a key for twice the time that key sets are cached, where that is more than a day', async () => {
    const [store, clock] = [new FakeKeyStore(), new FakeClock()]
    const ring = await openKeyRing(options(store, clock, { jwksMaxAgeS: 20 * 3600 }))
    await ring.rotate('ES256')
    await clock.advance(40 * hour - 1000)
    await ring.advance()
    expect(states(ring, 'ES256')).toEqual(['active', 'published'])
    await clock.advance(1000)
    await ring.advance()
    expect(states(ring, 'ES256')).toEqual(['retiring', 'active'])
  })

  it('begins at start if the active key is too old, and never signs before publication', async () => {
    const [store, clock] = [new FakeKeyStore(), new FakeClock()]
    await openKeyRing(options(store, clock))
    await clock.advance(200 * day)
    const ring = await openKeyRing(options(store, clock))
    expect(states(ring, 'RS256')).toEqual(['active', 'published'])
    expect(ring.signingKey('RS256').kid).toBe(rsaKey().kid)
  })

  it('waits with a new algorithm, whose key nobody has cached, and says how long', async () => {
    const [store, clock] = [new FakeKeyStore(), new FakeClock()]
    await openKeyRing(options(store, clock, { algorithms: ['RS256'] }))
    await clock.advance(day)
    const ring = await openKeyRing(options(store, clock))
    expect(() => ring.signingKey('ES256')).toThrow('no ES256 key may sign yet')
    await clock.advance(day)
    await ring.advance()
    expect(ring.signingKey('ES256').alg).toBe('ES256')
  })

  it('lets the keys of a dropped algorithm retire, and drops one that never signed', async () => {
    const [store, clock] = [new FakeKeyStore(), new FakeClock()]
    await (await openKeyRing(options(store, clock))).rotate('ES256')
    const ring = await openKeyRing(options(store, clock, { algorithms: ['RS256'] }))
    expect(states(ring, 'ES256')).toEqual(['retiring'])
    expect(() => ring.signingKey('ES256')).toThrow(AttestdError)
    await clock.advance(2 * day)
    await ring.advance()
    expect(ring.algorithms()).toEqual(['RS256'])
  })

  it('can be asked for, once at a time', async () => {
    const clock = new FakeClock()
    const ring = await openKeyRing(options('ephemeral', clock))
    await Promise.all([ring.rotate('ES256'), ring.rotate('ES256'), ring.rotate('ES256')])
    expect(states(ring, 'ES256')).toEqual(['active', 'published'])
    expect(await codeOf(ring.rotate('PS256'))).toBe('KEY_CONFIGURATION')
    await clock.advance(day)
    await ring.advance()
    expect(states(ring, 'ES256')).toEqual(['retiring', 'active'])
  })

  it('is not hurried by a wall clock that is set forward, nor stopped by one that was wrong', async () => {
    const [store, clock] = [new FakeKeyStore(), new FakeClock()]
    const ring = await openKeyRing(options(store, clock))
    await ring.rotate('ES256')
    clock.jump(30 * day)
    await ring.advance()
    expect(states(ring, 'ES256')).toEqual(['active', 'published'])
    clock.jump(-60 * day)
    await ring.advance()
    const restarted = await openKeyRing(options(store, clock))
    await clock.advance(day)
    await restarted.advance()
    expect(states(restarted, 'ES256')).toEqual(['retiring', 'active'])
  })

  it('keeps the key set within ten keys with all five algorithms (TOK-55)', async () => {
    const clock = new FakeClock()
    const algorithms = ['RS256', 'ES256', 'ES384', 'PS256', 'EdDSA'] as const
    const ring = await openKeyRing(options('ephemeral', clock, { algorithms, rotationS: least }))
    let most = 0
    for (let step = 0; step < 30; step++) {
      await clock.advance(6 * hour)
      await ring.advance()
      most = Math.max(most, kids(ring).length)
      for (const alg of algorithms) expect(kids(ring)).toContain(ring.signingKey(alg).kid)
    }
    expect(most).toBe(10)
  })

  it('is kept going by its task, which reports a full disk and goes on', async () => {
    const [store, clock, events] = [new FakeKeyStore(), new FakeClock(), [] as KeyEvent[]]
    const given = options(store, clock, { algorithms: ['RS256'], report: (event) => events.push(event) })
    const ring = await openKeyRing(given)
    const stop = new AbortController()
    const running = keepKeysRotating(ring, given)(stop.signal)
    await settled()
    await ring.rotate('RS256')
    store.failAt(store.writes + 1, 'lost')
    clock.suspend(day)
    await clock.advance(60_000)
    expect(events.at(-1)).toEqual({ event: 'failed', code: 'KEY_STATE_UNWRITABLE' })
    expect(ring.signingKey('RS256').kid).toBe(rsaKey().kid)
    await clock.advance(60_000)
    expect(ring.signingKey('RS256').kid).not.toBe(rsaKey().kid)
    stop.abort()
    await running
    expect(clock.sleeping).toBe(0)
  })
})

describe('revocation (TOK-53)', () => {
  it('removes at once, for ever, and the successor waits for its publication', async () => {
    const [store, clock] = [new FakeKeyStore(), new FakeClock()]
    const ring = await openKeyRing(options(store, clock))
    const { kid } = ring.signingKey('ES256')
    await ring.revoke(kid)
    for (const seen of [ring, await openKeyRing(options(store, clock))]) {
      expect(kids(seen)).not.toContain(kid)
      expect(() => seen.signingKey('ES256')).toThrow('no ES256 key may sign yet')
    }
    await clock.advance(day)
    await ring.advance()
    expect(ring.signingKey('ES256').kid).not.toBe(kid)
  })

  it('signs at once with another key on request, also later', async () => {
    const ring = await openKeyRing(options('ephemeral', new FakeClock()))
    const { kid } = ring.signingKey('ES256')
    await ring.revoke(kid)
    await ring.revoke(kid, { signAtOnce: true })
    const next = ring.signingKey('ES256').kid
    await ring.revoke(next, { signAtOnce: true })
    expect([kid, next]).not.toContain(ring.signingKey('ES256').kid)
  })

  it('holds in memory when the disk fails, and reaches the disk later', async () => {
    const [store, clock] = [new FakeKeyStore(), new FakeClock()]
    const ring = await openKeyRing(options(store, clock))
    const { kid } = ring.signingKey('RS256')
    store.failAt(2, 'lost')
    expect(await codeOf(ring.revoke(kid))).toBe('KEY_STATE_UNWRITABLE')
    expect(kids(ring)).not.toContain(kid)
    expect(() => ring.signingKey('RS256')).toThrow(AttestdError)
    await ring.advance()
    expect(kids(await openKeyRing(options(store, clock)))).not.toContain(kid)
  })

  it('takes only keys that there are', async () => {
    const ring = await openKeyRing(options('ephemeral', new FakeClock()))
    expect(await codeOf(ring.revoke('nobody'))).toBe('KEY_UNKNOWN')
  })
})

/** A life with every kind of change: publication, activation, removal, revocation. */
async function live(ring: KeyRing, clock: FakeClock, sign: (ring: KeyRing) => Promise<void>): Promise<void> {
  await sign(ring)
  await ring.rotate('ES256')
  for (let step = 0; step < 5; step++) {
    await sign(ring)
    await clock.advance(13 * hour)
    await ring.advance()
  }
  await sign(ring)
  await ring.revoke(ring.signingKey('ES256').kid, { signAtOnce: true })
  await sign(ring)
}

describe('kill -9 at each write (TOK-52)', () => {
  const signed: { token: string; kid: string; at: number }[] = []

  const signer = (clock: FakeClock) => async (ring: KeyRing) => {
    const { token, kid } = await simpleIssuer('https://v.example', ring, clock).issueToken(
      tpmRequest(clock.now(), { audience: ['es256'] }),
    )
    expect(kids(ring)).toContain(kid)
    signed.push({ token, kid, at: clock.now() })
  }

  async function countWrites(): Promise<number> {
    const [store, clock] = [new FakeKeyStore(), new FakeClock()]
    await live(await openKeyRing(options(store, clock)), clock, async () => {})
    return store.writes
  }

  async function crashAt(write: number, kind: WriteFault): Promise<void> {
    const [store, clock] = [new FakeKeyStore(), new FakeClock()]
    signed.length = 0
    store.failAt(write, kind)
    const died = await codeOf(openKeyRing(options(store, clock)).then((ring) => live(ring, clock, signer(clock))))
    expect(died).toBe('KEY_STATE_UNWRITABLE')
    const last = signed.at(-1)
    const revokedMeanwhile = store.bytes !== null && Buffer.from(store.bytes).includes('"revoked"')
    const ring = await openKeyRing(options(store, clock))
    expect(kids(ring)).toContain(ring.signingKey('RS256').kid)
    if (!last || revokedMeanwhile) return
    expect(kids(ring)).toContain(ring.signingKey('ES256').kid)
    const verified = await jwtVerify(last.token, createLocalJWKSet(keySet(ring)), { currentDate: new Date(last.at) })
    expect(verified.protectedHeader.kid).toBe(last.kid)
  }

  it('leaves the old or the new state in force, and every token verifiable', async () => {
    const writes = await countWrites()
    expect(writes).toBeGreaterThanOrEqual(6)
    for (let write = 1; write <= writes; write++) {
      await crashAt(write, 'lost')
      await crashAt(write, 'stored')
    }
  })

  it('and if the process survives it goes on signing with published keys and mends itself', async () => {
    const writes = await countWrites()
    for (let write = 2; write <= writes; write++) {
      const [store, clock] = [new FakeKeyStore(), new FakeClock()]
      const ring = await openKeyRing(options(store, clock))
      store.failAt(write, write % 2 === 0 ? 'lost' : 'stored')
      await codeOf(live(ring, clock, signer(clock)))
      await ring.advance()
      const restarted = await openKeyRing(options(store, clock))
      expect([...kids(restarted)].sort()).toEqual([...kids(ring)].sort())
    }
  })

  it('with a disk that is full for good the old key goes on signing', async () => {
    const [store, clock] = [new FakeKeyStore(), new FakeClock()]
    const ring = await openKeyRing(options(store, clock))
    const { kid } = ring.signingKey('ES256')
    store.failAt(2, 'lost', true)
    for (let step = 0; step < 100; step++) {
      await clock.advance(day)
      await codeOf(ring.advance())
    }
    expect(ring.signingKey('ES256').kid).toBe(kid)
    store.recover()
    await ring.advance()
    expect(states(ring, 'ES256')).toEqual(['active', 'published'])
  })
})

/** A relying party's copy of the key set, fetched anew only when it is this old. */
class CachedKeySet {
  #maxAgeMs: number
  #fetchedAt = Number.NEGATIVE_INFINITY
  #keys = createLocalJWKSet({ keys: [] })

  constructor(maxAgeMs: number) {
    this.#maxAgeMs = maxAgeMs
  }

  refresh(ring: KeyRing, now: number): void {
    if (now - this.#fetchedAt < this.#maxAgeMs) return
    this.#fetchedAt = now
    this.#keys = createLocalJWKSet(keySet(ring))
  }

  async accepts(token: string, now: number): Promise<boolean> {
    return jwtVerify(token, this.#keys, { currentDate: new Date(now), requiredClaims: ['exp'] }).then(
      () => true,
      () => false,
    )
  }
}

describe('rotation under load (token.md section 13, test 5)', () => {
  it('10 000 tokens, 5 rotations, two caches: no valid token refused, none accepted after removal', async () => {
    const clock = new FakeClock()
    const ring = await openKeyRing(options(new FakeKeyStore(), clock, { rotationS: least }))
    const issuer = simpleIssuer('https://v.example', ring, clock, 86_400)
    const caches = [new CachedKeySet(hour), new CachedKeySet(day)] as const
    const [tokens, spanMs] = [10_000, 5.4 * least * 1000]
    const pending: { token: string; expiresAt: number }[] = []
    const [used, lastOf] = [new Set<string>(), new Map<string, { token: string; issuedAt: number }>()]
    let [refused, accepted] = [0, 0]
    for (let count = 0; count < tokens; count++) {
      await ring.advance()
      for (const cache of caches) cache.refresh(ring, clock.now())
      const audience = [count % 200 === 0 ? 'rsa' : 'es256']
      const { token, kid, issuedAt, expiresAt } = await issuer.issueToken(tpmRequest(clock.now(), { audience }))
      if (!(await caches[count % 2 === 0 ? 0 : 1].accepts(token, clock.now()))) refused++
      used.add(kid)
      lastOf.set(kid, { token, issuedAt })
      if (count % 10 === 0) pending.push({ token, expiresAt })
      const elder = pending[0]
      if (elder && (elder.expiresAt - 1) * 1000 <= clock.now()) {
        pending.shift()
        const late = (elder.expiresAt - 1) * 1000
        for (const cache of caches) if (!(await cache.accepts(elder.token, late))) refused++
      }
      clock.suspend(spanMs / tokens)
    }
    const removed = [...used].filter((kid) => !ring.isPublished(kid))
    for (const kid of removed) {
      const { token, issuedAt } = lastOf.get(kid) ?? { token: '', issuedAt: 0 }
      for (const cache of caches) {
        if (await cache.accepts(token, clock.now())) accepted++
        cache.refresh(ring, Number.POSITIVE_INFINITY)
        if (await cache.accepts(token, issuedAt * 1000)) accepted++
      }
    }
    expect({ refused, accepted }).toEqual({ refused: 0, accepted: 0 })
    expect(removed.length).toBeGreaterThanOrEqual(8)
    expect(used.size).toBe(12)
  }, 120_000)

  it('signs with the algorithm of the key set entry', async () => {
    const ring = await openKeyRing(options('ephemeral', new FakeClock()))
    const clock = new FakeClock()
    const { token } = await simpleIssuer('https://v.example', ring, clock).issueToken(tpmRequest(clock.now()))
    const { protectedHeader } = await compactVerify(token, createLocalJWKSet(keySet(ring)))
    expect(protectedHeader).toEqual({ alg: 'RS256', kid: rsaKey().kid, typ: 'JWT' })
  })
})
