import { IncomingMessage } from 'node:http'
import { Socket } from 'node:net'
import { gzipSync } from 'node:zlib'
import { beforeEach, describe, expect, it } from 'vitest'
import { FakeClock } from '../../../test/support/fake-clock.ts'
import { BodyReader } from './request-body.ts'

const free = { take: () => undefined, release: () => undefined }
let clock: FakeClock
let gone: AbortController
beforeEach(() => {
  clock = new FakeClock(undefined, 1)
  gone = new AbortController()
})

/** A request whose body comes when the test pushes it. */
function requestWith(headers: Readonly<Record<string, string>> = {}): IncomingMessage {
  return Object.assign(new IncomingMessage(new Socket()), { headers })
}

function sent(body: Uint8Array, headers: Readonly<Record<string, string>> = {}): IncomingMessage {
  const request = requestWith(headers)
  request.push(body)
  request.push(null)
  return request
}

const packed = (size: number) => sent(gzipSync(Buffer.alloc(size, ' ')), { 'content-encoding': 'gzip' })
const long = () => sent(Buffer.alloc(131_073, ' '))
const reading = (limit = 4 * 1024 * 1024) => ({ limit, hold: free, signal: gone.signal })

describe('the body of a request', () => {
  it('may take all of 30 s (SVC-42)', async () => {
    const request = requestWith()
    const body = new BodyReader(clock).read(request, reading())
    await clock.advance(29_999)
    request.push('{}')
    request.push(null)
    expect(Buffer.from(await body).toString()).toBe('{}')
    expect(clock.sleeping).toBe(0)
  })

  it('is not waited for where the client was gone before', async () => {
    gone.abort(new Error('gone'))
    await expect(new BodyReader(clock).read(requestWith(), reading())).rejects.toThrow('gone')
  })

  it('is not waited for when the client goes', async () => {
    const body = new BodyReader(clock).read(requestWith(), reading())
    gone.abort(new Error('gone'))
    await expect(body).rejects.toThrow('gone')
  })

  it('has as many bytes unpacked as a plain one may have, and not one more (SVC-40)', async () => {
    const reader = new BodyReader(clock)
    expect(await reader.read(packed(1_000), reading(1_000))).toHaveLength(1_000)
    await expect(reader.read(packed(1_001), reading(1_000))).rejects.toMatchObject({ code: 'AS.REQUEST.TOO_LARGE' })
  })

  it('is counted twice where it is packed: as it came, and as what came out of it', async () => {
    const taken: number[] = []
    const hold = { take: (bytes: number) => void taken.push(bytes), release: () => undefined }
    await new BodyReader(clock).read(packed(50_000), { ...reading(), hold })
    expect(taken.length).toBeGreaterThan(1)
    expect([taken.at(-1), (taken[0] ?? 0) < 1_000]).toEqual([50_000, true])
  })
})

describe('long bodies that arrive together', () => {
  /** Rounds of the event loop that the test ends. */
  function rounds() {
    const waiting: (() => void)[] = []
    return { waiting, nextRound: () => new Promise<void>((resolve) => void waiting.push(resolve)) }
  }
  const until = async (holds: () => boolean) => {
    while (!holds()) await new Promise((wake) => setImmediate(wake))
  }

  it('go on one after another', async () => {
    const { waiting, nextRound } = rounds()
    const reader = new BodyReader(clock, nextRound)
    const both = Promise.all([reader.read(long(), reading()), reader.read(long(), reading())])
    await until(() => waiting.length > 0)
    await clock.advance(0)
    expect(waiting).toHaveLength(1)
    waiting[0]?.()
    await until(() => waiting.length === 2)
    waiting[1]?.()
    expect(await both).toHaveLength(2)
  })

  it('are left by whoever goes meanwhile', async () => {
    const { waiting, nextRound } = rounds()
    const body = new BodyReader(clock, nextRound).read(long(), reading())
    await until(() => waiting.length > 0)
    gone.abort(new Error('gone'))
    await expect(body).rejects.toThrow('gone')
  })
})

describe('packed bodies that arrive together', () => {
  it('are unpacked one after another: each may become a thousand times as long', async () => {
    const held: number[] = []
    const reader = new BodyReader(clock)
    // The second is unpacked when the first is through, however long that one takes.
    const hold = (name: number) => ({ take: () => void held.push(name), release: () => undefined })
    const first = reader.read(packed(4 * 1024 * 1024), { ...reading(), hold: hold(1) })
    const last = reader.read(packed(10), { ...reading(), hold: hold(2) })
    await Promise.all([first, last])
    expect(held.slice(-2)).toEqual([1, 2])
  })
})
