import { passportErrors } from '../../../src/passport/errors.ts'
import type { RigOptions } from '../../support/broker-rig.ts'
import { type Behaviour, tokenRequest, upstreamErrors } from '../../support/fake-token-source.ts'
import type { Probe, SimulatedFault } from './fault.ts'
import { FaultRoom } from './fault-room.ts'

const rp = tokenRequest()
const other = tokenRequest({ issuer: 'other' })
const gone = passportErrors.error('issuer_unavailable', 'no answer')
const failing = (error: unknown): Behaviour => ({ kind: 'fail', error })
const upstream = (code: keyof typeof upstreamErrors.declared) => failing(upstreamErrors.error(code, 'so it is'))

async function startedRoom(probe: Probe, options: RigOptions = {}): Promise<FaultRoom> {
  const room = new FaultRoom(probe, { warm: [rp], ...options }).keepFresh()
  await room.clock.advance(2_000)
  return room
}

async function issuerDown(probe: Probe): Promise<void> {
  const room = await startedRoom(probe)
  const end = (room.broker.describe(rp).expiresAt ?? 0) * 1000
  room.source.behaviour = failing(gone)
  const [before, from] = [room.source.calls.length, room.clock.now()]
  const served = await room.live(1_800_000, 10_000)
  probe.expect(served >= Math.floor((end - from - 60_000) / 10_000), 'the valid token was not served to its end')
  const starts = room.source.calls.slice(before).map(({ monotonic }) => monotonic)
  probe.expect(starts.length >= 45 && starts.length <= 200, `${starts.length} attempts in half an hour`)
  const pauses = starts.slice(1).map((start, at) => start - (starts[at] ?? 0))
  probe.expect(Math.max(...pauses) <= 61_000 && Math.min(...pauses) >= 999, 'attempts are too dense or too far apart')
  const refused = await room.read()
  await room.clock.advance(15_100)
  const { code, status, retryable } = refused.error ?? {}
  probe.expect(code === 'issuer_unavailable' && status === 503 && retryable === true, `the answer was ${code}`)
  room.source.behaviour = { kind: 'issue' }
  await room.recover(30)
  await room.stop()
}

async function issuerHangs(probe: Probe): Promise<void> {
  const sources = [
    ['bundled', 900],
    ['other', 900],
  ] as const
  const room = await startedRoom(probe, { sources, warm: [rp, other] })
  room.source.behaviour = { kind: 'hang' }
  const from = room.clock.monotonic()
  const waiting = await room.read({ fresh: true })
  const served = await room.live(600_000, 5_000)
  probe.expect(served === 120, `${served} of 120 readers were served while a token was there`)
  probe.expect(waiting.error?.code === 'deadline_exceeded', 'who waited was not told at its deadline')
  probe.expect((waiting.answeredAt ?? Number.NaN) - from <= 15_050, 'who waited was told too late')
  const elsewhere = await room.read({ issuer: 'other', audience: ['https://new.example'] })
  probe.expect(elsewhere.served !== undefined, 'another issuer was held up')
  room.source.behaviour = { kind: 'issue' }
  room.source.endHangs()
  await room.clock.advance(60_000)
  await room.recover(30)
  await room.stop()
}

async function verdict(probe: Probe): Promise<void> {
  for (const onVerdictDenied of ['evict', 'keep'] as const) {
    const room = new FaultRoom(probe, { limits: { onVerdictDenied } })
    await room.read()
    if (onVerdictDenied === 'keep') room.source.onEnd = () => undefined
    await room.clock.advance(10_000)
    room.source.behaviour = upstream('UPSTREAM_REFUSED')
    const refused = await room.read({}, { minValidS: 895 })
    probe.expect(refused.error?.code === 'issuer_rejected' && refused.error.status === 502, 'the verdict was not told')
    const after = await room.read()
    probe.expect((after.served !== undefined) === (onVerdictDenied === 'keep'), `${onVerdictDenied} was not obeyed`)
    room.source.behaviour = { kind: 'issue' }
    await room.clock.advance(361_000)
    await room.recover(1)
  }
}

async function keyRotation(probe: Probe): Promise<void> {
  const room = await startedRoom(probe)
  room.source.behaviour = { kind: 'issue', kid: 'k2' }
  room.broker.invalidate({ issuer: 'bundled', hard: false })
  const during = await room.read()
  probe.expect(during.served?.jti === 'jti-1', 'a new key alone ended the token of the old one')
  await room.clock.advance(3_000)
  probe.expect((await room.read()).served?.jti === 'jti-2', 'the token of the new key was not taken')
  const rest = room.broker.invalidate({ kid: 'k1', hard: true })
  probe.expect(rest === 0, 'a removed key ended tokens of another')
  room.declareWorthless()
  room.source.behaviour = { kind: 'issue', kid: 'k3', afterMs: 100 }
  probe.expect(room.broker.invalidate({ kid: 'k2', hard: true }) === 1, 'a removed key ended nothing')
  await room.recover(30)
  await room.stop()
}

async function oneKey(probe: Probe): Promise<void> {
  const room = new FaultRoom(probe)
  room.source.behaviour = { kind: 'issue', afterMs: 1_000 }
  const same = await Promise.all(Array.from({ length: 1_000 }, (_, n) => room.read({}, { caller: `uid:${n}` })))
  await room.clock.advance(1_000)
  probe.expect(room.source.calls.length === 1, `${room.source.calls.length} flights for one key`)
  const all = same.every(({ served }) => served !== undefined)
  probe.expect(all, 'not all of 1000 waiters were served')
}

async function manyKeys(probe: Probe): Promise<void> {
  const crowd = new FaultRoom(probe)
  crowd.source.behaviour = { kind: 'issue', afterMs: 1_000 }
  const many = await Promise.all(
    Array.from({ length: 300 }, (_, n) => crowd.read({ audience: [`https://${n}.example`] }, { caller: `uid:${n}` })),
  )
  const refused = many.filter(({ error }) => error?.code === 'quote_queue_full' && error.facts.retry_after_ms > 0)
  await crowd.clock.advance(1_000)
  const served = many.filter((asked) => asked.served !== undefined)
  probe.expect(served.length === 256 && refused.length === 44, `${served.length} served, ${refused.length} refused`)
  probe.expect(crowd.broker.status().entries.length === 256, 'another number of entries than 256')
  crowd.source.behaviour = { kind: 'issue' }
  for (let n = 0; n < 40; n++) await crowd.read({ audience: [`https://g${n}.example`] }, { caller: 'greedy' })
  const own = crowd.broker.status().entries.filter(({ audience }) => audience[0]?.startsWith('https://g')).length
  probe.expect(own === 16, `${own} entries for one caller`)
}

async function lateResults(probe: Probe): Promise<void> {
  const room = new FaultRoom(probe)
  room.source.behaviour = { kind: 'issue', afterMs: 20_000, stubborn: true }
  const early = await room.read({}, { timeoutMs: 60_000 })
  await room.clock.advance(1_000)
  room.declareWorthless([rp])
  room.broker.invalidate({ all: true, hard: true })
  room.source.behaviour = { kind: 'issue', afterMs: 100 }
  await room.clock.advance(2_000)
  probe.expect(early.served?.jti === 'jti-2', 'a waiter got what was under way before the invalidation')
  await room.clock.advance(30_000)
  probe.expect((await room.read()).served?.jti === 'jti-2', 'a late result overwrote a newer token')
  probe.expect(room.eventsOf('late_result_dropped').length === 1, 'the late result was not counted')
  room.source.behaviour = { kind: 'issue', acceptAfterMs: 5_000 }
  const verifying = await room.read({ ttlS: 300 })
  room.declareWorthless([tokenRequest({ ttlS: 300 })])
  room.broker.invalidate({ all: true, hard: true })
  await room.clock.advance(12_000)
  probe.expect(verifying.served !== undefined, 'a waiter was forgotten')
}

async function disconnects(probe: Probe): Promise<void> {
  const room = new FaultRoom(probe)
  room.source.behaviour = { kind: 'issue', afterMs: 5_000 }
  const [first, ...rest] = [await room.read(), await room.read(), await room.read()]
  first?.leave()
  await room.clock.advance(5_000)
  const stayed = rest.every(({ served }) => served !== undefined)
  probe.expect(stayed, 'one who left ended the flight of others')
  const alone = await room.read({ audience: ['https://alone.example'] })
  alone.leave()
  await room.clock.advance(10)
  const { flights, waiters, sleeping } = room.leftovers()
  probe.expect(flights + waiters + sleeping === 0, 'the last one left and something went on')
}

async function manyFresh(probe: Probe): Promise<void> {
  const room = new FaultRoom(probe, { limits: { unsharedFlights: 64 } })
  room.source.behaviour = { kind: 'issue', afterMs: 1_000 }
  const asked = await Promise.all(
    Array.from({ length: 100 }, (_, n) => room.read({ fresh: true }, { caller: `uid:${n}`, timeoutMs: 5_000 })),
  )
  const refused = asked.filter(({ error }) => error !== undefined)
  const full = refused.every(({ error }) => error.code === 'quote_queue_full' && error.facts.retry_after_ms === 1_000)
  probe.expect(refused.length === 36 && full, `${refused.length} of 100 were refused`)
  await room.clock.advance(1_000)
  const tokens = asked.flatMap(({ served }) => (served === undefined ? [] : [served.token]))
  probe.expect(tokens.length === 64 && new Set(tokens).size === 64, 'a token of one caller went to another')
}

async function lifetime(probe: Probe, lifeS: number): Promise<void> {
  const room = new FaultRoom(probe, { warm: [rp], limits: { maxLifetimeS: 4_000_000 } })
  const sleep = room.clock.sleep.bind(room.clock)
  let longest = 0
  room.clock.sleep = (ms, signal) => {
    longest = Math.max(longest, ms)
    return sleep(ms, signal)
  }
  room.source.behaviour = { kind: 'issue', lifeS }
  room.keepFresh()
  await room.clock.advance(2_000)
  const { expiresAt, refreshAt } = room.broker.describe(rp)
  const share = expiresAt === null || refreshAt === null ? null : 1 - (expiresAt - refreshAt) / lifeS
  const [least, most] = lifeS >= 1_200 ? [0.69, 0.81] : [0.25, 0.62]
  const planned = lifeS < 10 ? share === null : share !== null && share >= least && share <= most
  probe.expect(planned, `${lifeS} s: refresh at ${share} of the life`)
  const seconds = Math.min(lifeS * 4, 3_600)
  await room.live(seconds * 1_000, Math.min(10_000, lifeS * 100))
  const bound = Math.ceil((seconds / Math.max(lifeS * 0.2, 1)) * 1.2) + 3
  probe.expect(room.source.calls.length <= bound, `${lifeS} s: ${room.source.calls.length} calls`)
  probe.expect(longest <= 60_000, `${lifeS} s: a timer of ${longest} ms`)
  await room.stop()
}

const soakFaults: readonly Behaviour[] = [
  { kind: 'issue', afterMs: 2_000, lifeS: 60 },
  failing(gone),
  { kind: 'hang' },
  { kind: 'forge' },
  { kind: 'issue', audience: ['https://evil.example'] },
  { kind: 'issue', datedS: 3_600 },
  upstream('UPSTREAM_REFUSED'),
  upstream('UPSTREAM_DOWN'),
]

/** Equal draws in every run. */
function drawing(): (most: number) => number {
  let state = 12_345
  return (most) => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0
    return Math.floor((state / 2 ** 32) * most)
  }
}

function disturb(room: FaultRoom, pick: (most: number) => number, minute: number): void {
  const source = room.sources[pick(2)]
  if (source !== undefined && minute % 5 === 0) {
    const fault = soakFaults[pick(soakFaults.length)] ?? { kind: 'issue' }
    source.behaviour = pick(2) === 0 ? { kind: 'issue' } : fault
    source.endHangs()
  }
  if (pick(200) === 0) room.clock.suspend(pick(2) === 0 ? 30_000 : 7_200_000)
  if (pick(200) === 0) room.clock.jump(pick(2) === 0 ? 2_500 : -2_500)
  if (pick(100) !== 0) return
  room.declareWorthless()
  room.broker.invalidate({ all: true, hard: true })
}

async function soak(probe: Probe): Promise<void> {
  const requests = [rp, other, tokenRequest({ audience: ['https://b.example'] }), tokenRequest({ ttlS: 120 })]
  const sources = [
    ['bundled', 900],
    ['other', 300],
  ] as const
  const room = await startedRoom(probe, { sources, warm: [rp, other], seed: 7 })
  const pick = drawing()
  for (let minute = 0; minute < 1_440; minute++) {
    disturb(room, pick, minute)
    await room.clock.advance(60_000)
    for (const request of requests) (await room.read(request, { timeoutMs: 1_000 })).leave()
  }
  for (const source of room.sources) {
    source.behaviour = { kind: 'issue' }
    source.endHangs()
  }
  await room.clock.advance(400_000)
  await room.recover(1)
  const drained = room.broker.drain()
  await room.clock.advance(6_000)
  await drained
  await room.stop()
  const { flights, waiters, sleeping } = room.leftovers()
  probe.expect(
    flights + waiters + sleeping === 0,
    `left over: ${flights} flights, ${waiters} waiters, ${sleeping} timers`,
  )
}

export const issuerFaults: readonly SimulatedFault[] = [
  {
    id: 'F01',
    fault: 'issuer down for 2 × TTL, then up',
    done: 'no answer for 30 min, tokens of 15 min, a reader every 10 s: served to the end, then 503; attempts 1 to 61 s apart',
    recoveryS: 30,
    run: issuerDown,
  },
  {
    id: 'F02',
    fault: 'issuer hangs',
    done: 'accepts and never answers for 10 min: the valid token is served throughout, who waits is told at its deadline, another issuer answers at once',
    recoveryS: 30,
    run: issuerHangs,
  },
  {
    id: 'F07',
    fault: 'verdict 422 while a valid token exists',
    done: 'refused in a foreground refresh: 502 and the token evicted; with `keep` served on; probed again within 6 min',
    recoveryS: 1,
    run: verdict,
  },
  {
    id: 'F09',
    fault: 'key rotation',
    done: 'a new `kid` comes in a token: taken, the old token served until then; a `kid` is removed: its tokens end at once, those of others stay',
    recoveryS: 30,
    notRun: 'the refetch of a remote key set',
    run: keyRotation,
  },
  {
    id: 'F10',
    fault: '1000 concurrent misses on one key, on 300 keys',
    done: 'one flight for 1000 waiters; of 300 keys at once 256 are served and 44 told at once when to come again; one caller has 16 entries',
    run: async (probe) => {
      await oneKey(probe)
      await manyKeys(probe)
    },
  },
  {
    id: 'F11',
    fault: 'late older response',
    done: 'an answer comes 19 s after an invalidation and after a newer success, another while its token is verified: dropped and counted',
    run: lateResults,
  },
  {
    id: 'F12',
    fault: 'waiter disconnects',
    done: 'one of three leaves: the flight goes on; the only one leaves: it ends, and nothing is left over',
    run: disconnects,
  },
  {
    id: 'F18',
    fault: '100 callers × fresh',
    done: '64 places: 64 callers get a token each that nobody else gets, 36 are refused at once with the time to wait',
    run: manyFresh,
  },
  {
    id: 'F22',
    fault: 'TTL from 5 s to 40 days',
    done: '5, 11, 60 s, 5 min, 1, 6, 24 h, 40 days: refresh points by the life, 5 s unusable with backoff, no timer above 60 s, calls bounded',
    run: async (probe) => {
      for (const lifeS of [5, 11, 60, 300, 3_600, 21_600, 86_400, 3_456_000]) await lifetime(probe, lifeS)
    },
  },
  {
    id: 'F30',
    fault: '24 h soak with compressed clock, random faults',
    done: '24 h of drawn faults of two issuers, suspends, steps and invalidations, four readers a minute; at the end no flight, waiter or timer is left',
    recoveryS: 1,
    notRun: 'resident memory: no process lives that long here',
    run: soak,
  },
]
