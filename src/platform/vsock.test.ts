import { mkdtempSync, readSync, rmSync, writeFileSync, writeSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import { loadLibc, socketConstants } from '../../native/libc.ts'
import { FramedExchange, readQuoteServicePort, vsockQuoteService } from './vsock.ts'

const libc = loadLibc()
const { AF_UNIX, SOCK_STREAM } = socketConstants

/** Both ends of a stream that blocks, as a vsock does: what differs is how they were connected. */
function streams() {
  const ends = Buffer.alloc(8)
  expect(libc.socketpair(AF_UNIX, SOCK_STREAM, 0, ends).errno).toBe(0)
  const [ours, theirs] = [ends.readInt32LE(0), ends.readInt32LE(4)]
  const open = new Set([ours, theirs])
  const close = (fd: number) => open.delete(fd) && libc.close(fd)
  onTestFinished(() => {
    for (const fd of open) libc.close(fd)
  })
  return { ours, theirs, close }
}

/** Time that goes on by `stepMs` at every reading. */
const ticking = (stepMs = 0) => {
  let now = 0
  return { monotonic: () => (now += stepMs) }
}

const framed = (length: number, body: Uint8Array) => {
  const head = Buffer.alloc(4)
  head.writeUInt32BE(length)
  return Buffer.concat([head, body])
}
const message = framed(2, Uint8Array.of(1, 2))

describe('a message and its answer', () => {
  it('carry their length in front, both ways', async () => {
    const { ours, theirs } = streams()
    writeSync(theirs, framed(5, Buffer.from('quote')))
    const answer = await new FramedExchange(ours, { libc, clock: ticking() }).run(message)
    expect(Buffer.from(answer)).toEqual(framed(5, Buffer.from('quote')))
    const got = Buffer.alloc(100)
    expect(got.subarray(0, readSync(theirs, got))).toEqual(message)
  })

  it('are read on when they come in pieces', async () => {
    const { ours, theirs } = streams()
    const exchange = new FramedExchange(ours, { libc, clock: ticking() }).run(message)
    for (const byte of framed(3, Buffer.from('abc'))) {
      writeSync(theirs, Buffer.of(byte))
      await new Promise((resolve) => setImmediate(resolve))
    }
    expect(
      Buffer.from(await exchange)
        .subarray(4)
        .toString(),
    ).toBe('abc')
  })

  it('have no bytes behind the length that is stated', async () => {
    const { ours, theirs } = streams()
    writeSync(theirs, framed(3, Buffer.from('abcdef')))
    expect(await new FramedExchange(ours, { libc, clock: ticking() }).run(message)).toHaveLength(7)
  })

  it('are bounded by 16 KiB, to the byte', async () => {
    const [good, bad] = [streams(), streams()]
    writeSync(good.theirs, framed(16_384, new Uint8Array(16_384)))
    expect(await new FramedExchange(good.ours, { libc, clock: ticking() }).run(message)).toHaveLength(16_388)
    writeSync(bad.theirs, framed(16_385, new Uint8Array()))
    const refused = new FramedExchange(bad.ours, { libc, clock: ticking() }).run(message)
    await expect(refused).rejects.toMatchObject({ code: 'EMSGSIZE' })
  })

  it.each([0, 3, 6])('that end after %i bytes are no answer', async (size) => {
    const { ours, theirs, close } = streams()
    writeSync(theirs, framed(5, Buffer.from('quote')).subarray(0, size))
    const exchange = new FramedExchange(ours, { libc, clock: ticking() }).run(message)
    close(theirs)
    await expect(exchange).rejects.toMatchObject({ code: expect.stringMatching(/^(?:ECONNRESET|EPIPE)$/) })
  })

  it('that do not come are waited for by the kernel, no longer than the limit (SO_RCVTIMEO)', async () => {
    const { ours } = streams()
    const since = performance.now()
    const exchange = new FramedExchange(ours, { libc, clock: ticking(), timeoutMs: 60 })
    await expect(exchange.run(message)).rejects.toMatchObject({ code: 'ETIMEDOUT', syscall: 'read' })
    expect(performance.now() - since).toBeGreaterThanOrEqual(50)
  })

  it('that come byte by byte are given up all the same', async () => {
    const { ours, theirs } = streams()
    writeSync(theirs, framed(16_384, new Uint8Array(1)))
    const clock = ticking(400)
    const exchange = new FramedExchange(ours, { libc, clock, timeoutMs: 1000 })
    const feeding = setInterval(() => writeSync(theirs, Buffer.of(0)), 1)
    await expect(exchange.run(message)).rejects.toMatchObject({ code: 'ETIMEDOUT' })
    clearInterval(feeding)
  })
})

describe('connecting', () => {
  it('to nobody is a refusal of the system, and leaves no descriptor', async () => {
    const closed: number[] = []
    const service = vsockQuoteService({
      // This machine itself, which listens nowhere; and not the host.
      cid: 1,
      port: 4050,
      clock: ticking(),
      libc: {
        ...libc,
        close: (fd) => {
          closed.push(fd)
          return libc.close(fd)
        },
      },
    })
    const error = await service.exchange(message).catch((reason: unknown) => reason)
    expect(error).toMatchObject({ code: expect.stringMatching(/^E[A-Z]+$/) })
    const { syscall } = error as { syscall: string }
    expect(['socket', 'connect']).toContain(syscall)
    expect(closed).toHaveLength(syscall === 'connect' ? 1 : 0)
  })

  it('names family, port and address where the kernel expects them', async () => {
    const seen: Buffer[] = []
    const service = vsockQuoteService({
      port: 0x01020304,
      clock: ticking(),
      libc: {
        ...libc,
        socket: () => ({ value: 1_000_000, errno: 0 }),
        close: () => ({ value: 0, errno: 0 }),
        connectLater: async (_fd, address, length) => {
          seen.push(Buffer.from(address ?? []))
          expect(length).toBe(16)
          return { value: -1, errno: 104 }
        },
      },
    })
    await expect(service.exchange(message)).rejects.toMatchObject({ code: 'ECONNRESET', syscall: 'connect' })
    expect([...(seen[0] ?? [])]).toEqual([40, 0, 0, 0, 4, 3, 2, 1, 2, 0, 0, 0, 0, 0, 0, 0])
  })
})

describe('the port of the quoting service (TDX-016)', () => {
  const portIn = async (text: string) => {
    const folder = mkdtempSync(join(tmpdir(), 'attestd-qgs-'))
    onTestFinished(() => rmSync(folder, { recursive: true, force: true }))
    writeFileSync(join(folder, 'tdx-attest.conf'), text)
    return readQuoteServicePort(join(folder, 'tdx-attest.conf'))
  }

  it.each<[string, number | null]>([
    ['port=4050\n', 4050],
    ['port=4050', 4050],
    ['# port = 1\n\n  port\t=  4050  \r\n', 4050],
    ['port=1\nport=2\n', 1],
    ['port=4294967294', 4294967294],
    ['port=4294967295', null],
    ['port=0', null],
    ['port=-1', null],
    ['port=4050 # usual', null],
    ['export=4050', null],
    ['#port=4050', null],
    ['port=0x10', null],
    ['port=99999999999', null],
    ['', null],
  ])('in %j is %j', async (text, port) => {
    expect(await portIn(text)).toBe(port)
  })

  it('is none where there is no file', async () => {
    expect(await readQuoteServicePort('/nonexistent/tdx-attest.conf')).toBeNull()
  })
})
