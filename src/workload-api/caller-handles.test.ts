import { EventEmitter, getEventListeners } from 'node:events'
import type { Socket } from 'node:net'
import { describe, expect, it, onTestFinished } from 'vitest'
import { FakeClock, settled } from '../../test/support/fake-clock.ts'
import { someone } from '../../test/support/workload-room.ts'
import type { CallerHandle, CallerState } from './caller-identifier.ts'
import { CallerWatch } from './caller-watch.ts'
import { Connection, connectionGone } from './connection.ts'
import { workloadApiErrors } from './errors.ts'
import { defaultLimits } from './limits.ts'

const busy = workloadApiErrors.error('rate_limited', 'too many')

interface Asked {
  /** A look-up that is told at once, one that is waited for, or one that fails. */
  readonly look: (handle: CallerHandle) => CallerHandle | Promise<CallerHandle>
  readonly admit?: () => void
}

/** A watch over a caller whose handle counts how often it is closed. */
function watched({ look, admit = () => undefined }: Asked) {
  const clock = new FakeClock()
  const gone = new AbortController()
  const told = { closed: 0, signals: 0, refused: [] as string[], judged: [] as string[] }
  const is = { state: 'there' as CallerState | Promise<CallerState> }
  const handle: CallerHandle = {
    caller: someone,
    check: () => is.state,
    close: () => {
      told.closed++
    },
  }
  const watch = new CallerWatch({} as Socket, {
    ...{ listener: 'api', clock, identityMs: 250, admit },
    identifier: { identify: () => look(handle) },
    gone: () => {
      told.signals++
      return gone.signal
    },
    refused: ({ code }) => void told.refused.push(code),
    judged: (_, result) => void told.judged.push(result),
  })
  const leave = () => {
    gone.abort(connectionGone)
    watch.close()
  }
  return { watch, told, is, clock, leave, signal: gone.signal }
}

/** A look-up that ends when the test lets it. */
function slow() {
  let end: () => void = () => undefined
  const look = (handle: CallerHandle) => new Promise<CallerHandle>((resolve) => (end = () => resolve(handle)))
  return { look, end: () => end() }
}

const refuse = () => {
  throw busy
}

describe('what holds a caller is let go of once, whenever its connection ends (NAT-63)', () => {
  it('known at once: without a promise and without a signal, and from its end on not asked any more', async () => {
    const { watch, told, is, leave } = watched({ look: (handle) => handle })
    expect(watch.requireThere()).toBe(someone)
    is.state = 'caller_changed'
    expect(() => watch.requireThere()).toThrow(expect.objectContaining({ code: 'caller_changed' }))
    leave()
    await settled()
    expect(told).toEqual({ closed: 1, signals: 0, refused: [], judged: ['ok'] })
  })

  it('known after a wait', async () => {
    const { look, end } = slow()
    const { watch, told, leave } = watched({ look })
    const asked = watch.requireThere()
    end()
    expect(await asked).toBe(someone)
    expect(told.closed).toBe(0)
    leave()
    expect(told).toMatchObject({ closed: 1, refused: [], judged: ['ok'] })
  })

  it('known too late, on a connection that is still there (API-57)', async () => {
    const { look, end } = slow()
    const { watch, told, clock, leave } = watched({ look })
    await settled()
    await clock.advance(250)
    end()
    await settled()
    expect(told).toMatchObject({ closed: 1, refused: ['identity_unavailable'], judged: ['identity_unavailable'] })
    await expect(watch.requireThere()).rejects.toMatchObject({ code: 'identity_unavailable' })
    leave()
    expect(told.closed).toBe(1)
  })

  it('known when nobody is there any more: nobody is told', async () => {
    const { look, end } = slow()
    const { told, leave } = watched({ look })
    await settled()
    leave()
    end()
    await settled()
    expect(told).toMatchObject({ closed: 1, refused: [], judged: ['caller_gone'] })
  })

  it('known in the moment in which the connection ends', async () => {
    const { told, leave } = watched({ look: async (handle) => handle })
    leave()
    await settled()
    expect(told).toMatchObject({ closed: 1, refused: [] })
  })

  it('those who wait for it leave nothing behind at its signal', async () => {
    const { look, end } = slow()
    const { watch, is, signal, clock } = watched({ look })
    const listeners = () => getEventListeners(signal, 'abort').length
    const first = watch.requireThere()
    await settled()
    expect(listeners()).toBeGreaterThan(0)
    end()
    await first
    let say: (state: CallerState) => void = () => undefined
    is.state = new Promise((resolve) => (say = resolve))
    const asked = Array.from({ length: 8 }, () => watch.requireThere())
    await settled()
    expect(listeners()).toBeGreaterThan(7)
    say('there')
    expect(await Promise.all(asked)).toEqual(Array(8).fill(someone))
    await settled()
    expect([listeners(), clock.sleeping]).toEqual([0, 0])
  })

  it.each([
    ['at once', (handle: CallerHandle) => handle],
    ['after a wait', async (handle: CallerHandle) => handle],
  ])('known %s and not admitted: told once', async (_, look) => {
    const { watch, told, leave } = watched({ look, admit: refuse })
    await expect(watch.requireThere()).rejects.toBe(busy)
    leave()
    expect(told).toMatchObject({ closed: 1, refused: ['rate_limited'], judged: ['rate_limited'] })
  })

  it('refused in the moment in which the connection ends: there is nobody to tell', async () => {
    const { told, leave } = watched({ look: (handle) => handle, admit: refuse })
    leave()
    await settled()
    expect(told).toMatchObject({ closed: 1, refused: [] })
  })
})

describe('the signal of a connection that ended', () => {
  const opened = () => {
    const socket = new EventEmitter()
    return { socket, connection: new Connection(socket as Socket, new FakeClock(), defaultLimits) }
  }

  it('aborts for those who wait, and for those who come later (API-34)', () => {
    const [early, late] = [opened(), opened()]
    expect(early.connection.gone.aborted).toBe(false)
    for (const { socket, connection } of [early, late]) {
      socket.emit('close')
      expect(connection.isGone).toBe(true)
      expect(connection.gone.reason).toBe(connectionGone)
    }
  })

  it('is waited for by all requests that one connection may have, without a warning of Node past the log', async () => {
    const warnings: Error[] = []
    const hear = (warning: Error) => void warnings.push(warning)
    process.on('warning', hear)
    onTestFinished(() => void process.off('warning', hear))
    const { connection } = opened()
    // Its turn, its caller, its body and its token.
    for (let waiting = 0; waiting < 4 * defaultLimits.unanswered; waiting++) {
      connection.gone.addEventListener('abort', () => undefined)
    }
    await settled()
    expect(warnings).toEqual([])
  })
})
