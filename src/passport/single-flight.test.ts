import { describe, expect, it } from 'vitest'
import { BrokerRig } from '../../test/support/broker-rig.ts'
import { settled } from '../../test/support/fake-clock.ts'
import { upstreamErrors } from '../../test/support/fake-token-source.ts'

const nothing = { flights: 0, waiters: 0, sleeping: 0 }
const slow = { kind: 'issue', afterMs: 1_000 } as const

describe('single flight (BRK-30 to BRK-32)', () => {
  it('200 callers at once on an empty cache cause one flight', async () => {
    const rig = new BrokerRig()
    rig.source.behaviour = slow
    const asked = Array.from({ length: 200 }, () => rig.send())
    await rig.clock.advance(1_000)
    expect(rig.source.calls).toHaveLength(1)
    expect(new Set(asked.map(({ served }) => served?.token))).toEqual(new Set([rig.source.calls[0]?.token]))
    expect(asked.every(({ served }) => served?.source === 'issued')).toBe(true)
    expect(rig.broker.status().counts).toMatchObject({ started: 1, landed: 1, joins: 199 })
    expect(rig.leftovers()).toEqual(nothing)
  })

  it('1000 misses on 300 keys cause one flight each', async () => {
    const rig = new BrokerRig({ limits: { entries: 300 } })
    rig.source.behaviour = slow
    const asked = Array.from({ length: 1_000 }, (_, index) =>
      rig.send({ audience: [`https://${index % 300}.example`] }, { caller: `uid:${index % 30}` }),
    )
    await rig.clock.advance(1_000)
    expect(rig.source.calls).toHaveLength(300)
    expect(asked.every(({ served }, index) => served?.audience[0] === `https://${index % 300}.example`)).toBe(true)
    expect(rig.leftovers()).toEqual(nothing)
  })

  it('a caller that leaves does not end the flight of others, the last one does', async () => {
    const rig = new BrokerRig()
    rig.source.behaviour = slow
    const asked = Array.from({ length: 3 }, () => rig.send())
    await rig.clock.advance(500)
    asked[0]?.leave()
    asked[1]?.leave()
    await settled(1)
    expect(asked.map(({ error }) => error?.message)).toEqual(['the caller left', 'the caller left', undefined])
    expect(rig.source.active).toHaveLength(1)
    asked[2]?.leave()
    await settled(1)
    expect(rig.source.calls[0]?.signal.aborted).toBe(true)
    expect(rig.leftovers()).toEqual(nothing)
    expect(rig.state()).toBe('empty')
  })

  it('a caller whose time is up leaves the flight to the others (BRK-31)', async () => {
    const rig = new BrokerRig()
    rig.source.behaviour = { kind: 'issue', afterMs: 3_000 }
    const [hurried, patient] = [rig.send({}, { timeoutMs: 2_000 }), rig.send({}, { timeoutMs: 4_000 })]
    await rig.clock.advance(2_000)
    expect(hurried.error).toMatchObject({ code: 'deadline_exceeded', status: 504, retryable: true })
    await rig.clock.advance(1_000)
    expect(patient.served?.source).toBe('issued')
    expect(rig.source.calls).toHaveLength(1)
  })

  it('a refresh that has demand goes on when the caller who joined it leaves (BRK-32)', async () => {
    const rig = new BrokerRig().keepFresh()
    await rig.ask()
    rig.source.behaviour = { kind: 'hang' }
    await rig.clock.advance(600_000)
    expect(rig.state()).toBe('refreshing')
    const joined = await rig.ask({}, { minValidS: 800 })
    expect(rig.source.active).toHaveLength(1)
    joined.leave()
    await settled(1)
    expect(rig.source.active).toHaveLength(1)
    await rig.stop()
  })

  it('a caller that is gone when it asks starts nothing', async () => {
    const rig = new BrokerRig()
    const gone = rig.broker.obtainToken(
      {
        issuer: 'bundled',
        tokenType: 'OIDC',
        audience: ['a'],
        nonces: [],
        ttlS: null,
        policyIds: [],
        cnf: null,
        fresh: false,
      },
      { minValidS: null, timeoutMs: 1, caller: 'c' },
      AbortSignal.abort(new Error('gone')),
    )
    await expect(gone).rejects.toThrow('gone')
    expect(rig.source.calls).toHaveLength(0)
  })

  it('a hung issuer delays neither another issuer nor cached tokens (BRK-37)', async () => {
    const rig = new BrokerRig({
      sources: [
        ['one', 900],
        ['other', 900],
      ],
    })
    const [one] = rig.sources
    await rig.ask({ issuer: 'one', audience: ['cached'] })
    if (one) one.behaviour = { kind: 'hang' }
    const stuck = await rig.ask({ issuer: 'one' })
    expect((await rig.ask({ issuer: 'other' })).served).toBeDefined()
    expect((await rig.ask({ issuer: 'one', audience: ['cached'] })).served?.source).toBe('cache')
    expect(rig.state({ issuer: 'one' })).toBe('fetching')
    await rig.clock.advance(15_000)
    expect(stuck.error.code).toBe('deadline_exceeded')
  })
})

describe('late results (BRK-33, F11)', () => {
  it('change nothing after the flight was cancelled and a newer one has landed', async () => {
    const rig = new BrokerRig()
    rig.source.behaviour = { kind: 'issue', afterMs: 5_000, stubborn: true }
    const first = await rig.ask()
    first.leave()
    await rig.clock.advance(1_000)
    rig.source.behaviour = { kind: 'issue' }
    const second = await rig.ask()
    await rig.clock.advance(10_000)
    const third = await rig.ask()
    expect(third.served?.token).toBe(second.served?.token)
    expect(third.served?.generation).toBe(2)
    expect(rig.broker.status().counts.lateResultsDropped).toBe(1)
  })

  it('do not bring an invalidated entry back to life; who waits gets a newer one', async () => {
    const rig = new BrokerRig()
    rig.source.behaviour = { kind: 'issue', afterMs: 2_000, stubborn: true }
    const asked = await rig.ask()
    await rig.clock.advance(500)
    expect(rig.broker.invalidate({ all: true, hard: true })).toBe(1)
    await rig.clock.advance(1_500)
    expect(asked.served).toBeUndefined()
    expect(rig.source.calls).toHaveLength(2)
    await rig.clock.advance(1_500)
    expect(asked.served).toMatchObject({ token: rig.source.calls[1]?.token, generation: 2 })
  })

  it('an attempt that never ends is given up, and its token dropped', async () => {
    const rig = new BrokerRig({ limits: { flightMs: 10_000 } })
    rig.source.behaviour = { kind: 'issue', afterMs: 60_000, stubborn: true }
    const asked = rig.send({}, { timeoutMs: 10_400 })
    await rig.clock.advance(10_000)
    expect(asked.error).toMatchObject({ code: 'issuer_unavailable', retryable: true })
    await rig.clock.advance(60_000)
    expect(rig.state()).toBe('failed')
    expect(rig.broker.status().counts.lateResultsDropped).toBe(1)
  })
})

describe('bugs', () => {
  const bug = new TypeError('a bug')

  it('of a source are heard by who waits, and by nobody else', async () => {
    const rig = new BrokerRig().keepFresh()
    rig.source.behaviour = { kind: 'fail', error: bug }
    expect((await rig.ask()).error).toBe(bug)
    expect((await rig.ask({ fresh: true })).error).toBe(bug)
    expect(rig.state()).toBe('empty')
    await rig.stop()
  })

  it('of a source end the refresh task where nobody waits', async () => {
    const rig = new BrokerRig().keepFresh()
    await rig.ask()
    rig.source.behaviour = { kind: 'fail', error: bug }
    const keeping = expect(rig.keeping).rejects.toBe(bug)
    await rig.clock.advance(600_000)
    await keeping
  })

  it('are not what a source says on purpose', async () => {
    const rig = new BrokerRig()
    rig.source.behaviour = { kind: 'fail', error: upstreamErrors.error('UPSTREAM_UNFIT', 'unfit') }
    expect((await rig.ask()).error).toMatchObject({ code: 'UPSTREAM_UNFIT', status: 422 })
  })
})
