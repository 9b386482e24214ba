import { tokenRequest } from '../../support/fake-token-source.ts'
import type { Probe, SimulatedFault } from './fault.ts'
import { FaultRoom } from './fault-room.ts'

const rp = tokenRequest()
const hour = 3_600_000
const day = 24 * hour

async function startedRoom(probe: Probe): Promise<FaultRoom> {
  const room = new FaultRoom(probe, { warm: [rp] }).keepFresh()
  room.source.behaviour = { kind: 'issue', afterMs: 100 }
  await room.clock.advance(3_000)
  return room
}

async function suspends(probe: Probe): Promise<void> {
  for (const ms of [10_000, 2 * hour, 2 * day]) {
    const room = await startedRoom(probe)
    const calls = room.source.calls.length
    room.clock.suspend(ms)
    const first = await room.read({}, { timeoutMs: 1 })
    probe.expect((first.served !== undefined) === ms < 900_000, `after ${ms} ms the first reader saw the wrong thing`)
    await room.recover(6)
    await room.clock.advance(6_000)
    probe.expect(room.source.calls.length > calls, `not renewed after ${ms} ms`)
    await room.stop()
  }
}

async function wallSteps(probe: Probe): Promise<void> {
  for (const ms of [-hour, -day, -56 * 365 * day]) {
    const room = await startedRoom(probe)
    const calls = room.source.calls.length
    room.clock.jump(ms)
    const served = await room.live(1_000_000, 10_000)
    probe.expect(served >= 80 && served <= 90, `set back by ${ms} ms: served ${served} times`)
    probe.expect(room.source.calls.length === calls, 'something was issued while the clock was not believable')
    probe.expect(room.broker.status().clock === 'unsafe', 'the clock was believed')
    room.clock.jump(-ms)
    await room.recover(11)
    await room.stop()
  }
  for (const ms of [hour, day, 73 * 365 * day]) {
    const room = await startedRoom(probe)
    room.clock.jump(ms)
    await room.recover(6)
    await room.stop()
  }
}

async function slowSlew(probe: Probe): Promise<void> {
  for (const perSecond of [-0.5, 0.5]) {
    const room = await startedRoom(probe)
    for (let second = 0; second < 2_400; second += 10) {
      room.clock.jump(perSecond * 10)
      await room.clock.advance(10_000)
      await room.read({}, { timeoutMs: 1 })
    }
    probe.expect(room.eventsOf('clock').length === 0, 'a slew was taken for a step')
    await room.stop()
  }
}

async function snapshot(probe: Probe): Promise<void> {
  for (const ms of [1_000, hour]) {
    const room = await startedRoom(probe)
    room.source.behaviour = { kind: 'issue', afterMs: 8_000, stubborn: true }
    const waiting = await room.read({ fresh: true }, { timeoutMs: 30_000 })
    const before = room.source.calls.length
    room.clock.restore(ms)
    room.declareWorthless()
    const first = await room.read({}, { timeoutMs: 1 })
    probe.expect(first.served === undefined, 'a token of before the snapshot was served')
    room.source.behaviour = { kind: 'issue', afterMs: 100 }
    await room.recover(11)
    await room.clock.advance(20_000)
    probe.expect(waiting.served?.jti !== `jti-${before}`, 'what was under way before the snapshot was served')
    await room.stop()
  }
}

export const clockFaults: readonly SimulatedFault[] = [
  {
    id: 'F13',
    fault: 'suspend 10 s, 2 h, 2 days',
    done: 'expiry counts the time asleep: the first reader after 2 h and 2 days gets nothing old; all is renewed',
    recoveryS: 6,
    run: suspends,
  },
  {
    id: 'F14',
    fault: 'wall ±1 h, ±1 day, to 1970, to 2099, slow slew',
    done: 'set back: served to the end by boot time and no longer, nothing issued meanwhile; set forward: ended and renewed; 500 ppm for 40 min: no event',
    recoveryS: 11,
    run: async (probe) => {
      await wallSteps(probe)
      await slowSlew(probe)
    },
  },
  {
    id: 'F15',
    fault: 'snapshot restore',
    done: 'boot time goes back by 1 s and by 1 h: nothing of before is served, neither tokens at hand nor what was under way',
    recoveryS: 11,
    run: snapshot,
  },
]
