import { describe, expect, it } from 'vitest'
import { FakeClock, settled } from '../../test/support/fake-clock.ts'
import { platformErrors } from './errors.ts'
import type { TpmChannel } from './tpm-channel.ts'
import { TpmConnection } from './tpm-connection.ts'

const command = (size = 12, mark = 0) => {
  const bytes = new Uint8Array(size)
  new DataView(bytes.buffer).setUint16(0, 0x8001)
  new DataView(bytes.buffer).setUint32(2, size)
  bytes[size - 1] = mark
  return bytes
}
const response = (size = 10, tag = 0x8001, rc = 0) => {
  const bytes = new Uint8Array(size)
  const view = new DataView(bytes.buffer)
  view.setUint16(0, tag)
  view.setUint32(2, size)
  view.setUint32(6, rc)
  return bytes
}
const ioError = () => platformErrors.error('TPM_IO', 'broken')

/** A TPM that answers what the test tells it to; counts what happens to its channels. */
class FakeTpm {
  readonly clock = new FakeClock()
  opened = 0
  closed = 0
  inFlight = 0
  mostInFlight = 0
  readonly seen: number[] = []
  answer: (command: Uint8Array, signal: AbortSignal) => Promise<Uint8Array> = () => Promise.resolve(response())
  opening: () => Promise<void> = () => Promise.resolve()
  lost = false
  readonly connection = new TpmConnection({
    plan: { kind: 'swtpm', simulated: true, place: 'fake', open: () => this.#open() },
    clock: this.clock,
    random: (size) => new Uint8Array(size).fill(0xff),
    timeoutMs: 30_000,
  })

  async #open(): Promise<TpmChannel> {
    await this.opening()
    this.opened++
    this.lost = false
    return {
      exchange: async (sent, signal) => {
        this.mostInFlight = Math.max(this.mostInFlight, ++this.inFlight)
        this.seen.push(sent.at(-1) ?? -1)
        return this.answer(sent, signal).finally(() => this.inFlight--)
      },
      usable: () => !this.lost,
      close: async () => {
        this.closed++
      },
    }
  }
}

const never = () => new Promise<never>(() => undefined)

describe('one command at a time (NAT-23)', () => {
  it('in the order of asking', async () => {
    const tpm = new FakeTpm()
    await Promise.all(Array.from({ length: 20 }, (_, mark) => tpm.connection.send(command(12, mark))))
    expect(tpm.mostInFlight).toBe(1)
    expect(tpm.seen).toEqual(Array.from({ length: 20 }, (_, mark) => mark))
    expect(tpm.opened).toBe(1)
  })

  it('64 wait behind the one in flight, the next is refused', async () => {
    const tpm = new FakeTpm()
    let release = () => {}
    tpm.answer = () => new Promise((resolve) => (release = () => resolve(response())))
    const first = tpm.connection.send(command())
    await settled()
    const waiting = Array.from({ length: 64 }, () => tpm.connection.send(command()))
    await expect(tpm.connection.send(command())).rejects.toMatchObject({ code: 'TPM_BUSY', exitCode: 75 })
    tpm.answer = () => Promise.resolve(response())
    release()
    expect(await Promise.all([first, ...waiting])).toHaveLength(65)
    await tpm.connection.send(command())
  })

  it('a failure does not stop those behind it', async () => {
    const tpm = new FakeTpm()
    tpm.answer = (sent) => (sent.at(-1) === 1 ? Promise.reject(ioError()) : Promise.resolve(response()))
    const results = await Promise.allSettled([0, 1, 2].map((mark) => tpm.connection.send(command(12, mark))))
    expect(results.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled'])
    expect([tpm.opened, tpm.closed]).toEqual([2, 1])
  })
})

describe('commands and responses are checked (NAT-24)', () => {
  it.each([
    ['9 bytes', new Uint8Array(9)],
    ['4097 bytes', command(4097)],
    ['a header that says more', Uint8Array.from([0x80, 1, 0, 0, 0, 13, 0, 0, 0, 0, 0, 0])],
    ['a header that says less', Uint8Array.from([0x80, 1, 0, 0, 0, 11, 0, 0, 0, 0, 0, 0])],
  ])('a command of %s is a bug', async (_what, bytes) => {
    const tpm = new FakeTpm()
    await expect(tpm.connection.send(bytes)).rejects.toThrow(TypeError)
    expect(tpm.opened).toBe(0)
  })

  it.each([10, 4096])('a command and a response of %i bytes pass', async (size) => {
    const tpm = new FakeTpm()
    tpm.answer = () => Promise.resolve(response(size))
    expect(await tpm.connection.send(command(size))).toEqual(response(size))
  })

  it('later changes of the command by its sender are not sent', async () => {
    const tpm = new FakeTpm()
    const mine = command(12, 7)
    const sent = tpm.connection.send(mine)
    mine.fill(0xee)
    await sent
    expect(tpm.seen).toEqual([7])
  })

  it.each([
    ['nothing', new Uint8Array()],
    ['9 bytes', response(10).subarray(0, 9)],
    ['a header that says more', Uint8Array.from([0x80, 1, 0, 0, 0, 11, 0, 0, 0, 0])],
    ['a header that says less', Uint8Array.from([0x80, 1, 0, 0, 0, 10, 0, 0, 0, 0, 0])],
    ['4097 bytes', response(4097)],
    ['tag 8003', response(10, 0x8003)],
    ['tag 00C4 without an error', response(10, 0x00c4, 0)],
    ['tag 00C4 with a body', response(11, 0x00c4, 0x1e)],
  ])('a response of %s ends the connection', async (_what, bytes) => {
    const tpm = new FakeTpm()
    tpm.answer = () => Promise.resolve(bytes)
    await expect(tpm.connection.send(command())).rejects.toMatchObject({ code: 'TPM_RESPONSE_MALFORMED', exitCode: 65 })
    expect([tpm.closed, tpm.connection.state().open]).toEqual([1, false])
  })

  it.each([
    ['8001', response(10, 0x8001, 0x922)],
    ['8002', response(19, 0x8002)],
    ['00C4', response(10, 0x00c4, 0x1e)],
  ])('a response with tag %s passes', async (_tag, bytes) => {
    const tpm = new FakeTpm()
    tpm.answer = () => Promise.resolve(bytes)
    expect(await tpm.connection.send(command())).toBe(bytes)
  })
})

describe('deadlines (NAT-26)', () => {
  it('a command that is not answered fails at its deadline, not before, and its channel is closed', async () => {
    const tpm = new FakeTpm()
    tpm.answer = never
    const sent = tpm.connection.send(command()).catch((error: unknown) => error)
    let over = false
    sent.then(() => {
      over = true
    })
    await tpm.clock.advance(29_999)
    expect([over, tpm.connection.generation]).toEqual([false, 1])
    await tpm.clock.advance(1)
    expect(await sent).toMatchObject({ code: 'TPM_TIMEOUT', facts: { transport: 'swtpm', generation: 1 } })
    expect([tpm.closed, tpm.connection.generation, tpm.clock.sleeping]).toEqual([1, 2, 0])
  })

  it('the deadline of a waiting command begins with its turn', async () => {
    const tpm = new FakeTpm()
    tpm.answer = (sent) => (sent.at(-1) === 1 ? never() : Promise.resolve(response()))
    const first = tpm.connection.send(command(12, 1)).catch((error: unknown) => error)
    const second = tpm.connection.send(command(12, 2)).catch((error: unknown) => error)
    await tpm.clock.advance(30_000)
    expect(await first).toMatchObject({ code: 'TPM_TIMEOUT' })
    // The first channel never answered, so the second attempt to open is held back (NAT-27).
    expect(await second).toMatchObject({ code: 'TPM_UNAVAILABLE', facts: { cause_code: 'TPM_TIMEOUT' } })
  })

  it('opening counts; a channel that opens too late is closed', async () => {
    const tpm = new FakeTpm()
    let opened = () => {}
    tpm.opening = () => new Promise((resolve) => (opened = resolve))
    const sent = tpm.connection.send(command()).catch((error: unknown) => error)
    await tpm.clock.advance(30_000)
    expect(await sent).toMatchObject({ code: 'TPM_TIMEOUT' })
    opened()
    await settled()
    expect([tpm.opened, tpm.closed, tpm.connection.state().open]).toEqual([1, 1, false])
  })

  it('leaves no timer behind an answer', async () => {
    const tpm = new FakeTpm()
    await tpm.connection.send(command())
    expect(tpm.clock.sleeping).toBe(0)
  })
})

describe('generations (NAT-26)', () => {
  it('stay while the channel is good, and go up with each loss', async () => {
    const tpm = new FakeTpm()
    expect(tpm.connection.generation).toBe(1)
    await tpm.connection.send(command())
    expect(tpm.connection.generation).toBe(1)
    tpm.answer = () => Promise.reject(ioError())
    await expect(tpm.connection.send(command())).rejects.toMatchObject({ code: 'TPM_IO' })
    expect(tpm.connection.generation).toBe(2)
    tpm.answer = () => Promise.resolve(response())
    await tpm.connection.send(command())
    expect([tpm.connection.generation, tpm.opened]).toEqual([2, 2])
  })

  it('tell a channel that was lost between commands before the next command is sent', async () => {
    const tpm = new FakeTpm()
    await tpm.connection.send(command())
    tpm.lost = true
    expect([tpm.connection.generation, tpm.connection.state().open]).toEqual([2, false])
    await tpm.connection.send(command())
    expect([tpm.connection.generation, tpm.opened, tpm.closed]).toEqual([2, 2, 1])
  })
})

describe('opening again (NAT-27)', () => {
  it('is held back 1 s, doubling to 60 s, and not after a success', async () => {
    const tpm = new FakeTpm()
    let attempts = 0
    tpm.opening = () => {
      attempts++
      return Promise.reject(platformErrors.error('TPM_PERMISSION', 'no'))
    }
    const delays: number[] = []
    for (let round = 0; round < 9; round++) {
      await expect(tpm.connection.send(command())).rejects.toMatchObject({ code: 'TPM_PERMISSION' })
      const before = attempts
      let waited = 0
      for (; attempts === before; waited += 500) {
        await tpm.clock.advance(500)
        const failure = await tpm.connection.send(command()).catch((error: { code: string }) => error.code)
        expect(failure).toBe(attempts === before ? 'TPM_UNAVAILABLE' : 'TPM_PERMISSION')
      }
      delays.push(waited)
      // The attempt that ended the wait failed too: skip its own wait.
      await tpm.clock.advance(60_000)
    }
    expect(delays).toEqual([1000, 4000, 16000, 60000, 60000, 60000, 60000, 60000, 60000])
    tpm.opening = () => Promise.resolve()
    await tpm.connection.send(command())
    tpm.answer = () => Promise.reject(ioError())
    await expect(tpm.connection.send(command())).rejects.toMatchObject({ code: 'TPM_IO' })
    tpm.answer = () => Promise.resolve(response())
    await tpm.connection.send(command())
  })

  it('a channel that fails before its first response is held back like one that does not open', async () => {
    const tpm = new FakeTpm()
    tpm.answer = () => Promise.reject(ioError())
    await expect(tpm.connection.send(command())).rejects.toMatchObject({ code: 'TPM_IO' })
    await expect(tpm.connection.send(command())).rejects.toMatchObject({
      code: 'TPM_UNAVAILABLE',
      facts: { retry_after_s: 1, cause_code: 'TPM_IO' },
    })
    expect(tpm.opened).toBe(1)
  })
})

describe('calls that do not come back (NAT-32)', () => {
  const giveUp = async (tpm: FakeTpm) => {
    const sent = tpm.connection.send(command()).catch((error: { code: string }) => error.code)
    await tpm.clock.advance(30_000)
    await tpm.clock.advance(120_000)
    return sent
  }

  it('one is replaced by a new channel, two are the end until one returns', async () => {
    const tpm = new FakeTpm()
    const releases: (() => void)[] = []
    tpm.answer = () => new Promise((resolve) => releases.push(() => resolve(response())))
    expect(await giveUp(tpm)).toBe('TPM_TIMEOUT')
    expect(await giveUp(tpm)).toBe('TPM_TIMEOUT')
    await expect(tpm.connection.send(command())).rejects.toMatchObject({ code: 'TPM_STUCK', retryable: false })
    expect(tpm.opened).toBe(2)
    releases[0]?.()
    await settled()
    tpm.answer = () => Promise.resolve(response())
    expect(await tpm.connection.send(command())).toEqual(response())
  })

  it('a channel that gives up when told so is not stuck', async () => {
    const tpm = new FakeTpm()
    tpm.answer = (_sent, signal) =>
      new Promise((_resolve, reject) => signal.addEventListener('abort', () => reject(signal.reason)))
    for (let round = 0; round < 4; round++) expect(await giveUp(tpm)).toBe('TPM_TIMEOUT')
    expect(tpm.opened).toBe(4)
  })
})

describe('cancelling', () => {
  it('a waiting command is never sent', async () => {
    const tpm = new FakeTpm()
    const controller = new AbortController()
    const first = tpm.connection.send(command(12, 1))
    const second = tpm.connection.send(command(12, 2), controller.signal)
    controller.abort(new Error('not wanted'))
    await expect(second).rejects.toThrow('not wanted')
    await first
    await settled()
    expect(tpm.seen).toEqual([1])
  })

  it('the answer to a command in flight is awaited before the next is sent, and dropped', async () => {
    const tpm = new FakeTpm()
    let release = () => {}
    tpm.answer = () => new Promise((resolve) => (release = () => resolve(response())))
    const controller = new AbortController()
    const first = tpm.connection.send(command(12, 1), controller.signal)
    const second = tpm.connection.send(command(12, 2))
    await settled()
    controller.abort(new Error('not wanted'))
    await expect(first).rejects.toThrow('not wanted')
    await settled()
    expect(tpm.seen).toEqual([1])
    release()
    await settled()
    expect(tpm.seen).toEqual([1, 2])
    release()
    await second
    expect(tpm.opened).toBe(1)
  })
})

describe('closing', () => {
  it('waits for the command in flight and refuses those behind it', async () => {
    const tpm = new FakeTpm()
    let release = () => {}
    tpm.answer = () => new Promise((resolve) => (release = () => resolve(response())))
    const first = tpm.connection.send(command())
    const second = tpm.connection.send(command()).catch((error: { code: string }) => error.code)
    await settled()
    const closing = tpm.connection.close()
    release()
    await closing
    expect([await first, await second, tpm.closed]).toEqual([response(), 'TPM_UNAVAILABLE', 1])
    await expect(tpm.connection.send(command())).rejects.toMatchObject({ code: 'TPM_UNAVAILABLE' })
  })

  it('tells its state', async () => {
    const tpm = new FakeTpm()
    const state = { transport: 'swtpm', place: 'fake', simulated: true }
    expect(tpm.connection.state()).toEqual({ ...state, generation: 1, open: false, lastError: null })
    await tpm.connection.send(command())
    expect(tpm.connection.state()).toEqual({ ...state, generation: 1, open: true, lastError: null })
    tpm.answer = () => Promise.reject(ioError())
    await tpm.connection.send(command()).catch(() => undefined)
    expect(tpm.connection.state()).toEqual({ ...state, generation: 2, open: false, lastError: 'TPM_IO' })
  })
})
