import { describe, expect, it } from 'vitest'
import { settled } from '../../../test/support/fake-clock.ts'
import { FakeTokenPlace } from '../../../test/support/fake-token-place.ts'
import { FakeTokenSource, upstreamErrors } from '../../../test/support/fake-token-source.ts'
import { SinkRig, type SinkRigOptions, sinkRequest } from '../../../test/support/sink-rig.ts'
import { sinkErrors } from './errors.ts'

const full = sinkErrors.error('sink_write_failed', 'ENOSPC')
const down = upstreamErrors.error('UPSTREAM_DOWN', 'down')

async function started(options: SinkRigOptions = {}): Promise<SinkRig> {
  const rig = new SinkRig(options).keep()
  await rig.clock.advance(3_000)
  return rig
}

/** The token that the broker would serve. */
const served = (rig: SinkRig) => rig.broker.broker.offer(sinkRequest)?.token ?? null

function expiryOf(rig: SinkRig, content: string): number {
  return (rig.source.issued.get(content)?.expiresAt ?? 0) * 1000
}

describe('a token file', () => {
  it('is written when the first token is there, and the agent is ready from then on', async () => {
    const rig = new SinkRig().keep()
    await settled(1)
    expect(rig.keeper.failing()).toBe('empty')
    await rig.clock.advance(3_000)
    expect(rig.place.content).toBe(served(rig))
    expect(rig.keeper.failing()).toBeNull()
    expect(rig.keeper.status()).toMatchObject({ state: 'current', error: null, counts: { written: 1 } })
    expect(rig.changes).toBe(1)
    await rig.stop()
  })

  it('follows every new token within moments, and always holds a valid one (BRK-115, I1)', async () => {
    const rig = await started()
    for (let second = 0; second < 3_600; second += 1) {
      await rig.clock.advance(1_000)
      const content = rig.place.content ?? ''
      expect(content).toBe(served(rig))
      expect(expiryOf(rig, content) - rig.clock.now()).toBeGreaterThan(5_000)
    }
    expect(rig.place.written.length).toBe(rig.source.calls.length)
    expect(rig.place.steps).not.toContain('remove')
    await rig.stop()
  })

  it('is looked at ten times a second at most, however busy its directory is', async () => {
    const rig = await started()
    let looks = 0
    const { look } = rig.place
    rig.place.look = () => {
      looks++
      rig.place.meddle(rig.place.content)
      return look.call(rig.place)
    }
    await rig.clock.advance(10_000)
    expect(looks).toBeLessThanOrEqual(110)
    await rig.stop()
  })
})

describe('the end of a token (BRK-115)', () => {
  it.each(['remove', 'rename'] as const)('with %s takes the file away five seconds before', async (onExpiry) => {
    const rig = await started({ sink: { onExpiry } })
    rig.source.behaviour = { kind: 'fail', error: down }
    const content = rig.place.content ?? ''
    await rig.clock.advance(expiryOf(rig, content) - rig.clock.now() - 5_002)
    expect(rig.place.content).toBe(content)
    await rig.clock.advance(3)
    expect(rig.place.content).toBeNull()
    expect(rig.place.setAsideAs).toBe(onExpiry === 'rename' ? content : null)
    expect(rig.keeper.failing()).toBe('expired')
    expect(rig.changes).toBe(2)
    rig.source.behaviour = { kind: 'issue' }
    await rig.clock.advance(31_000)
    expect(rig.place.content).toBe(served(rig))
    expect(rig.place.content).not.toBeNull()
    await rig.stop()
  })

  it.each(['suspend', 'jump'] as const)('on either clock takes it away: %s (BRK-62, BRK-63)', async (move) => {
    const rig = await started()
    rig.source.behaviour = { kind: 'fail', error: down }
    rig.clock[move](896_000)
    await rig.clock.advance(5_000)
    expect(rig.place.content).toBeNull()
    await rig.stop()
  })

  it('is not put off by a wall clock that was set back', async () => {
    const rig = await started()
    rig.source.behaviour = { kind: 'fail', error: down }
    rig.clock.jump(-3_600_000)
    await rig.clock.advance(900_000)
    expect(rig.place.content).toBeNull()
    await rig.stop()
  })

  it('leaves alone what somebody else put there meanwhile, and says so', async () => {
    const rig = await started()
    rig.source.behaviour = { kind: 'fail', error: down }
    rig.place.refuses = { error: full }
    rig.place.meddle('not ours')
    await rig.clock.advance(900_000)
    expect(rig.place.content).toBe('not ours')
    expect(rig.keeper.status()).toMatchObject({ state: 'expired', error: { code: 'sink_content_foreign' } })
    rig.place.refuses = null
    await rig.stop()
  })

  it('removes a copy of our own token that somebody put in its place', async () => {
    const rig = await started()
    rig.source.behaviour = { kind: 'fail', error: down }
    rig.place.refuses = { error: full }
    rig.place.meddle(`${rig.place.content}\n`)
    await rig.clock.advance(880_000)
    rig.place.refuses = null
    rig.clock.suspend(60_000)
    await rig.clock.advance(2_000)
    expect(rig.place.content).toBeNull()
    await rig.stop()
  })

  it('is tried every second where the file cannot be removed', async () => {
    const rig = await started()
    rig.source.behaviour = { kind: 'fail', error: down }
    rig.place.refuses = { error: full }
    await rig.clock.advance(900_000)
    expect(rig.place.content).not.toBeNull()
    expect(rig.keeper.failing()).toBe('sink_write_failed')
    rig.place.refuses = null
    await rig.clock.advance(1_100)
    expect(rig.place.content).toBeNull()
    await rig.stop()
  })
})

describe('a token that is worth nothing any more', () => {
  const other = (rig: SinkRig) => {
    const source = new FakeTokenSource(rig.clock, { generation: 2 })
    source.behaviour = { kind: 'hang' }
    return source
  }

  it.each<[string, (rig: SinkRig) => void]>([
    ['a hard invalidation', (rig) => void rig.broker.broker.invalidate({ all: true, hard: true })],
    ['the removal of its key', (rig) => void rig.broker.broker.invalidate({ kid: 'k1', hard: true })],
    ['another issuer configuration', (rig) => rig.broker.broker.replaceSources([other(rig)])],
    ['a restored snapshot (BRK-63)', (rig) => rig.clock.restore(100_000)],
  ])('by %s leaves the file at once, though it has life left', async (_, end) => {
    const rig = await started({ sink: { onExpiry: 'rename' } })
    rig.source.behaviour = { kind: 'hang' }
    end(rig)
    await rig.clock.advance(6_000)
    expect(rig.place.content).toBeNull()
    expect(rig.place.setAsideAs).toBeNull()
    expect(rig.told).toContainEqual({ event: 'sink_removed', sink: 'one', why: 'revoked' })
    await rig.stop()
  })

  it('by the verdict of the issuer leaves it too (BRK-47)', async () => {
    const rig = await started()
    rig.source.behaviour = { kind: 'fail', error: upstreamErrors.error('UPSTREAM_REFUSED', 'no') }
    rig.broker.broker.invalidate({ all: true, hard: false })
    await rig.clock.advance(5_000)
    expect(rig.place.content).toBeNull()
    expect(rig.keeper.failing()).toBe('revoked')
    await rig.stop()
  })

  it('also where the disk takes no newer one: the old one is removed, not kept', async () => {
    const rig = await started()
    const { place } = rig
    place.write = async () => Promise.reject(full)
    rig.broker.broker.invalidate({ all: true, hard: true })
    await rig.clock.advance(2_000)
    expect(served(rig)).not.toBeNull()
    expect(place.content).toBeNull()
    await rig.stop()
  })

  it('of another key leaves the file alone, also while the disk takes no newer token', async () => {
    const rig = await started()
    const { place } = rig
    const { content } = place
    rig.broker.broker.invalidate({ kid: 'of nobody', hard: true })
    await rig.clock.advance(2_000)
    place.write = async () => Promise.reject(full)
    rig.broker.broker.invalidate({ all: true, hard: false })
    await rig.clock.advance(2_000)
    expect(served(rig)).not.toBe(content)
    expect([place.content, place.steps]).toEqual([content, ['write']])
    await rig.stop()
  })

  it('of another audience or issuer changes nothing', async () => {
    const rig = await started()
    for (const which of [{ audience: 'https://other.example' }, { issuer: 'other' }, {}]) {
      rig.broker.broker.invalidate({ ...which, hard: true })
    }
    await rig.clock.advance(2_000)
    expect(rig.place.steps).toEqual(['write'])
    await rig.stop()
  })
})

describe('a file that somebody changed (BRK-116, F21)', () => {
  it.each<[string, (place: FakeTokenPlace) => void]>([
    ['removed', (place) => place.meddle(null)],
    ['truncated', (place) => place.meddle('')],
    ['written to', (place) => place.meddle(`${place.content}\n`)],
    ['touched', (place) => place.meddle(place.content)],
  ])('%s is put back within a second or so, without asking the issuer', async (_, meddle) => {
    const rig = await started()
    const [content, calls] = [rig.place.content, rig.source.calls.length]
    meddle(rig.place)
    await rig.clock.advance(1_200)
    expect(rig.place.content).toBe(content)
    expect(rig.source.calls.length).toBe(calls)
    expect(rig.keeper.status().counts).toMatchObject({ written: 1, restored: 1 })
    expect(rig.changes).toBe(1)
    await rig.stop()
  })

  it.each([
    [false, 2_000],
    [true, 10_000],
  ])('is found by looking, where the watch says nothing (watched: %s) within %i ms', async (watchable, ms) => {
    const rig = await started({ place: Object.assign(new FakeTokenPlace(), { watchable }) })
    rig.place.meddle(null, { tell: false })
    await rig.clock.advance(ms)
    expect(rig.place.content).not.toBeNull()
    await rig.stop()
  })

  it('without end is put back once a second at most', async () => {
    const rig = await started()
    for (let step = 0; step < 100; step++) {
      rig.place.meddle(null)
      await rig.clock.advance(100)
    }
    expect(rig.place.written.length).toBeLessThanOrEqual(12)
    await rig.clock.advance(1_000)
    expect(rig.place.content).not.toBeNull()
    await rig.stop()
  })

  it('and cannot be put back is told of, and the agent is not ready', async () => {
    const rig = await started()
    rig.place.refuses = { error: full }
    rig.place.meddle(null)
    await rig.clock.advance(1_000)
    expect(rig.keeper.failing()).toBe('sink_write_failed')
    expect(rig.keeper.status().state).toBe('missing')
    await rig.stop()
  })
})

describe('a disk that refuses (BRK-111, F19)', () => {
  it('keeps the old file while it is valid, tries again by BRK-40, and needs no restart', async () => {
    const rig = await started({ sources: [['bundled', 3_600]] })
    const old = rig.place.content
    rig.place.refuses = { error: full }
    await rig.clock.advance(2_880_000)
    expect(served(rig)).not.toBe(old)
    expect(rig.place.content).toBe(old)
    expect(rig.keeper.failing()).toBeNull()
    expect(rig.keeper.status()).toMatchObject({ state: 'stale', error: { code: 'sink_write_failed' } })
    const refused = rig.place.steps.filter((step) => step === 'refused').length
    await rig.clock.advance(300_000)
    const more = rig.place.steps.filter((step) => step === 'refused').length - refused
    expect(more).toBeGreaterThanOrEqual(5)
    expect(more).toBeLessThanOrEqual(12)
    rig.place.refuses = null
    await rig.clock.advance(61_000)
    expect(rig.place.content).toBe(served(rig))
    expect(rig.keeper.status()).toMatchObject({ state: 'current', error: null })
    // BRK-131: one line for one failure, however often it happened.
    expect(rig.story.filter((event) => event === 'sink_failed')).toHaveLength(1)
    await rig.stop()
  })

  it('at the last step, after the rename, has the new file in place: it counts and is not written for ever', async () => {
    const place = new FakeTokenPlace()
    place.refuses = { error: full, after: true }
    const rig = await started({ place })
    expect(place.content).toBe(served(rig))
    expect(rig.keeper.status().state).toBe('current')
    await rig.clock.advance(100_000)
    expect(place.written).toHaveLength(1)
    place.refuses = null
    await rig.stop()
  })

  it('that cannot even be looked at is a failure and no end of the keeping', async () => {
    const rig = await started()
    rig.place.refusesToLook = full
    await rig.clock.advance(60_000)
    expect(rig.keeper.status().error).toMatchObject({ code: 'sink_write_failed' })
    rig.place.refusesToLook = null
    await rig.clock.advance(60_000)
    expect(rig.keeper.status()).toMatchObject({ state: 'current', error: null })
    await rig.stop()
  })

  it('but what is no failure of the disk is a bug, and ends it', async () => {
    const rig = new SinkRig()
    rig.place.refusesToLook = new TypeError('a bug')
    const keeping = rig.keeper.keep(new AbortController().signal)
    await expect(keeping).rejects.toThrow('a bug')
    expect(rig.place.open).toBe(0)
  })
})

describe('the directory', () => {
  it('that comes later is found within two seconds', async () => {
    const rig = new SinkRig()
    rig.refusesToOpen = full
    rig.keep()
    await rig.clock.advance(60_000)
    expect(rig.keeper.failing()).toBe('sink_write_failed')
    rig.refusesToOpen = null
    await rig.clock.advance(2_100)
    expect(rig.place.content).toBe(served(rig))
    expect(rig.keeper.failing()).toBeNull()
    await rig.stop()
  })

  it('that was removed is opened anew, and the file put back', async () => {
    const rig = await started()
    rig.place.where = 'gone'
    rig.refusesToOpen = full
    rig.place.meddle(null)
    await rig.clock.advance(30_000)
    expect(rig.keeper.status().state).toBe('missing')
    rig.place.where = 'there'
    rig.refusesToOpen = null
    await rig.clock.advance(2_100)
    expect(rig.place.content).toBe(served(rig))
    expect(rig.place.open).toBe(1)
    await rig.stop()
    expect(rig.place.open).toBe(0)
  })

  /** The directory is moved away, and `next` is made at its path. */
  function exchange(rig: SinkRig, next: FakeTokenPlace): FakeTokenPlace {
    const old = rig.place
    old.where = 'replaced'
    rig.place = next
    return old
  }

  it('in whose place is another one gives it the file within the poll, and keeps none where it was (BRK-116)', async () => {
    const rig = await started()
    const old = exchange(rig, new FakeTokenPlace())
    const written = rig.source.calls.length
    await rig.clock.advance(10_100)
    expect(rig.place.content).toBe(served(rig))
    expect([old.content, old.open, rig.place.open, rig.place.watched]).toEqual([null, 0, 1, true])
    expect(rig.keeper.status()).toMatchObject({ state: 'current', error: null, counts: { restored: 1 } })
    expect(rig.source.calls.length).toBe(written)
    await rig.stop()
    expect(rig.place.open).toBe(0)
  })

  it('that was left keeps what is not ours, and holds up nothing when it cannot be tidied', async () => {
    const rig = await started()
    const first = exchange(rig, new FakeTokenPlace())
    first.meddle('of another', { tell: false })
    await rig.clock.advance(10_100)
    expect([first.content, first.open]).toEqual(['of another', 0])
    const second = exchange(rig, new FakeTokenPlace())
    second.refuses = { error: full }
    await rig.clock.advance(10_100)
    expect([rig.place.content, second.open]).toEqual([served(rig), 0])
    expect(rig.keeper.status()).toMatchObject({ state: 'current', error: null, counts: { failed: 1 } })
    await rig.stop()
  })

  it('is looked for every 2 s while there is none, the first one is used meanwhile, and it may come back (BRK-112)', async () => {
    const rig = await started()
    rig.place.where = 'replaced'
    rig.refusesToOpen = full
    await rig.clock.advance(20_000)
    expect(rig.opened).toBeGreaterThanOrEqual(6)
    expect(rig.place.content).toBe(served(rig))
    expect(rig.keeper.status()).toMatchObject({ state: 'stale', error: { code: 'sink_directory_replaced' } })
    expect(rig.story.filter((event) => event === 'sink_failed')).toHaveLength(1)
    rig.place.where = 'there'
    await rig.clock.advance(10_000)
    expect(rig.keeper.status().error).toBeNull()
    const opened = rig.opened
    await rig.clock.advance(10_000)
    expect(rig.opened).toBe(opened)
    await rig.stop()
  })

  it('is not left for one to which a link leads that somebody put on the way (BRK-112)', async () => {
    const rig = await started()
    const elsewhere = new FakeTokenPlace()
    elsewhere.location = '/run/attestd/tokens/two'
    const old = exchange(rig, elsewhere)
    await rig.clock.advance(20_000)
    expect([elsewhere.content, elsewhere.open, old.content]).toEqual([null, 0, served(rig)])
    expect(rig.keeper.status()).toMatchObject({ state: 'stale', error: { code: 'sink_directory_replaced' } })
    old.where = 'there'
    await rig.stop()
  })
})

describe('a token that is too long for its consumer (BRK-109, BRK-113)', () => {
  it('is not written; the old file stays until its end', async () => {
    const length = 'e30.bundled-1-1.c2ln'.length
    const rig = await started({ sink: { maxCharacters: length } })
    const old = rig.place.content
    expect(old).toHaveLength(length)
    // Tokens of the tenth call on are a character longer.
    for (let call = rig.source.calls.length; call < 10; call++) rig.source.calls.push(...rig.source.calls.slice(0, 1))
    rig.broker.broker.invalidate({ all: true, hard: false })
    await rig.clock.advance(3_000)
    expect(served(rig)).toHaveLength(length + 1)
    expect(rig.place.content).toBe(old)
    expect(rig.keeper.failing()).toBe('sink_token_too_large')
    expect(rig.keeper.status()).toMatchObject({ state: 'stale', error: { code: 'sink_token_too_large' } })
    await rig.clock.advance(expiryOf(rig, old ?? '') - rig.clock.now() - 4_990)
    expect(rig.place.content).toBeNull()
    expect(rig.story.filter((event) => event === 'sink_failed')).toHaveLength(1)
    await rig.stop()
  })
})

describe('what an earlier run left (BRK-117)', () => {
  interface LeftOptions {
    readonly leftS?: number
    readonly hang?: boolean
    readonly modeFits?: boolean
    /** Fails once. */
    readonly failing?: 'removeLeftovers' | 'look' | 'read' | 'remove'
  }

  function failOnce(place: FakeTokenPlace, step: NonNullable<LeftOptions['failing']>): void {
    Object.assign(place, {
      [step]: () => {
        Reflect.deleteProperty(place, step)
        return Promise.reject(full)
      },
    })
  }

  /** A file of an earlier run, and an issuer that knows its tokens and gives no new ones yet. */
  async function restarted(content: string, { leftS = 800, hang = false, modeFits = true, failing }: LeftOptions = {}) {
    const place = new FakeTokenPlace()
    if (failing !== undefined) failOnce(place, failing)
    Object.assign(place, { content, modeFits, leftovers: 2 })
    const rig = new SinkRig({ place })
    const now = Math.floor(rig.clock.now() / 1000)
    const times = { issuedAt: now - 100, expiresAt: now + leftS }
    Object.assign(rig.source, {
      recogniseToken: async (token: string) => {
        if (hang) return new Promise(() => undefined)
        if (token !== 'e30.earlier.c2ln') throw upstreamErrors.error('UPSTREAM_UNTRUSTED', 'no')
        return { issuer: 'i', audience: sinkRequest.audience, jti: 'j', kid: 'k', ...times }
      },
    })
    rig.source.behaviour = { kind: 'fail', error: down }
    rig.keep()
    await rig.clock.advance(6_000)
    return { rig, place }
  }

  it('is kept as it is while it is valid, makes the agent ready, and is replaced by the first new token', async () => {
    const { rig, place } = await restarted('e30.earlier.c2ln')
    expect(place.steps).toEqual([])
    expect(place.leftovers).toBe(0)
    expect(rig.keeper.status()).toMatchObject({ state: 'kept', error: null })
    expect(rig.keeper.failing()).toBeNull()
    rig.source.behaviour = { kind: 'issue' }
    await rig.clock.advance(31_000)
    expect(place.content).toBe(served(rig))
    expect(rig.keeper.status().state).toBe('current')
    await rig.stop()
  })

  it('goes at its end like any other', async () => {
    const { rig, place } = await restarted('e30.earlier.c2ln', { leftS: 60 })
    await rig.clock.advance(48_999)
    expect(place.content).not.toBeNull()
    await rig.clock.advance(3)
    expect(place.content).toBeNull()
    await rig.stop()
  })

  it.each<[string, string, LeftOptions]>([
    ['has expired', 'e30.earlier.c2ln', { leftS: -10 }],
    ['has five seconds left', 'e30.earlier.c2ln', { leftS: 5 }],
    ['does not verify', 'e30.forged.c2ln', {}],
    ['does not verify in time', 'e30.earlier.c2ln', { hang: true }],
    [
      'has expired, after leftovers could not be removed',
      'e30.earlier.c2ln',
      { leftS: -10, failing: 'removeLeftovers' },
    ],
    ['has expired, after a failed look', 'e30.earlier.c2ln', { leftS: -10, failing: 'look' }],
    ['has expired, after a failed reading', 'e30.earlier.c2ln', { leftS: -10, failing: 'read' }],
    ['has expired, after a failed removal', 'e30.earlier.c2ln', { leftS: -10, failing: 'remove' }],
  ])('is removed when its token %s', async (_, content, options) => {
    const { rig, place } = await restarted(content, options)
    expect(place.steps).toEqual(['remove'])
    expect(rig.told).toContainEqual({ event: 'sink_removed', sink: 'one', why: 'unusable' })
    await rig.stop()
  })

  it.each(['', 'a text of somebody', '{"a":1}'])(
    'and is no token is left alone until there is one: %j',
    async (text) => {
      const { rig, place } = await restarted(text)
      expect(place.steps).toEqual([])
      expect(rig.keeper.failing()).toBe('sink_content_foreign')
      rig.source.behaviour = { kind: 'issue' }
      await rig.clock.advance(31_000)
      expect(place.content).toBe(served(rig))
      await rig.stop()
    },
  )

  it('with another mode is written anew: who may read it is decided by the configuration of today', async () => {
    const { rig, place } = await restarted('e30.earlier.c2ln', { modeFits: false })
    expect([place.content, place.modeFits, place.steps]).toEqual(['e30.earlier.c2ln', true, ['write']])
    await rig.stop()
  })

  it.each(['e30.forged.c2ln', 'a text of somebody'])(
    'is not judged where the new token is there first: %j makes way for it',
    async (content) => {
      const rig = new SinkRig()
      rig.refusesToOpen = sinkErrors.error('sink_write_failed', 'ENOENT')
      rig.keep()
      await rig.clock.advance(6_000)
      rig.place.content = content
      rig.refusesToOpen = null
      await rig.clock.advance(31_000)
      expect([rig.place.content, rig.place.steps]).toEqual([served(rig), ['write']])
      expect([rig.story.includes('sink_removed'), rig.keeper.failing()]).toEqual([false, null])
      await rig.stop()
    },
  )

  it('in another form is written as it belongs, without waiting for a new token', async () => {
    const { rig, place } = await restarted('e30.earlier.c2ln\n')
    expect(place.content).toBe('e30.earlier.c2ln')
    expect(rig.keeper.status().state).toBe('kept')
    await rig.stop()
  })

  it.each<[string, (rig: SinkRig) => void]>([
    [
      'the verdict of the issuer',
      ({ source }) => {
        source.behaviour = { kind: 'fail', error: upstreamErrors.error('UPSTREAM_REFUSED', 'no') }
      },
    ],
    ['the removal of a key', ({ broker }) => void broker.broker.invalidate({ kid: 'k', hard: true })],
    ['the removal of its issuer', ({ broker }) => void broker.broker.invalidate({ issuer: 'bundled', hard: true })],
  ])('is removed on %s', async (_, end) => {
    const { rig, place } = await restarted('e30.earlier.c2ln')
    end(rig)
    await rig.clock.advance(31_000)
    expect(place.content).toBeNull()
    await rig.stop()
  })
})

describe('the end of the agent (BRK-117)', () => {
  it('keeps a valid file; remove_on_stop and a sink that is configured no more remove it', async () => {
    const kept = await started()
    await kept.stop()
    expect(kept.place.content).not.toBeNull()
    expect(kept.place.watched).toBe(false)
    const removed = await started({ sink: { removeOnStop: true } })
    await removed.stop()
    expect(removed.place.content).toBeNull()
    const abandoned = await started()
    abandoned.keeper.abandon()
    await abandoned.stop()
    expect(abandoned.place.content).toBeNull()
  })

  it('does not remove what somebody put in its place, nor fails where the disk does', async () => {
    const rig = await started({ sink: { removeOnStop: true } })
    rig.place.meddle('not ours', { tell: false })
    await rig.stop()
    expect(rig.place.content).toBe('not ours')
    const refused = await started({ sink: { removeOnStop: true } })
    refused.place.refuses = { error: full }
    await refused.stop()
    expect(refused.place.open).toBe(0)
  })
})
