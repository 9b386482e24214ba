import { createHash } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { loadLibc, tdxGuestRequests } from '../../native/libc.ts'
import { parseTdReportStruct } from '../evidence/tdx/tdreport.ts'
import { TdxGuest } from './tdx-guest.ts'
import { deviceRegisters, findRegisters } from './tdx-registers.ts'

const libc = loadLibc()

/** A driver of `/dev/tdx_guest`: memory is C's own, requests are answered by `drive`, which may change the buffer. */
function driver(drive: (request: bigint, buffer: Uint8Array) => number) {
  const requests: bigint[] = []
  const freed: bigint[] = []
  const guest = new TdxGuest({
    path: '/dev/null',
    libc: {
      ...libc,
      free: Object.assign((address: bigint) => {
        freed.push(address)
        return libc.free(address)
      }, libc.free),
      ioctlLater: async (_fd, request, buffer) => {
        requests.push(request)
        const errno = drive(request, buffer ?? new Uint8Array())
        return { value: errno === 0 ? 0 : -1, errno }
      },
    },
  })
  return { guest, requests, freed }
}

const ENOTTY = 25

/** A TDREPORT with registers of 11, 22, 33 and 44, and hashes that fit. */
function tdReport(reportData: Uint8Array): Buffer {
  const report = Buffer.alloc(1024)
  report[0] = 0x81
  report.set(reportData, 128)
  for (const rtmr of [0, 1, 2, 3]) report.fill(0x11 * (rtmr + 1), 720 + 48 * rtmr, 768 + 48 * rtmr)
  report.set(createHash('sha384').update(report.subarray(256, 495)).digest(), 32)
  report.set(createHash('sha384').update(report.subarray(512)).digest(), 80)
  return report
}

const answersReports = (_request: bigint, buffer: Uint8Array) => {
  buffer.set(tdReport(buffer.slice(0, 64)), 64)
  return 0
}

describe('TDREPORTs (NAT-72)', () => {
  it('are asked for by 64 bytes, and are the 1024 behind them', async () => {
    const { guest, requests } = driver(answersReports)
    const reportData = new Uint8Array(64).fill(5)
    const report = await guest.report(reportData)
    expect(parseTdReportStruct(report).reportMac.reportData).toEqual(reportData)
    expect(requests).toEqual([0xc4405401n])
    await expect(guest.report(new Uint8Array(63))).rejects.toThrow(TypeError)
  })

  it('of a device that knows no such request are ENOTTY, by a real call', async () => {
    const guest = new TdxGuest({ path: '/dev/null', libc })
    await expect(guest.report(new Uint8Array(64))).rejects.toMatchObject({ code: 'ENOTTY', syscall: 'ioctl' })
    await expect(guest.extend(3, new Uint8Array(48))).rejects.toMatchObject({ code: 'ENOTTY' })
    await expect(guest.exchange(new Uint8Array(10))).rejects.toMatchObject({ code: 'ENOTTY' })
  })

  it('of a device that is not there are ENOENT', async () => {
    const guest = new TdxGuest({ path: '/nonexistent/tdx_guest', libc })
    await expect(guest.report(new Uint8Array(64))).rejects.toMatchObject({ code: 'ENOENT', syscall: 'open' })
  })
})

describe('registers by the device', () => {
  it('are read out of a TDREPORT, and extended by digest and number', async () => {
    const { guest } = driver(answersReports)
    const registers = deviceRegisters(guest)
    expect(await registers.read(0)).toEqual(new Uint8Array(48).fill(0x11))
    expect(await registers.read(3)).toEqual(new Uint8Array(48).fill(0x44))
    const sent: Uint8Array[] = []
    const { guest: extended, requests } = driver((_request, buffer) => {
      sent.push(Uint8Array.from(buffer))
      return 0
    })
    await deviceRegisters(extended).extend(2, new Uint8Array(48).fill(7))
    expect(requests).toEqual([0x80315403n])
    expect(sent).toEqual([Uint8Array.from([...Array<number>(48).fill(7), 2])])
  })

  it('are not believed from a TDREPORT whose hash does not fit', async () => {
    const { guest } = driver((request, buffer) => {
      answersReports(request, buffer)
      buffer[64 + 864] = 1
      return 0
    })
    await expect(deviceRegisters(guest).read(3)).rejects.toMatchObject({ code: 'EIO' })
  })

  it('are used where there are no files', async () => {
    const { guest } = driver(answersReports)
    expect(await findRegisters({ measurements: '/nonexistent' }, null)).toBeNull()
    const found = await findRegisters({ measurements: '/nonexistent' }, guest)
    expect(await found?.read(1)).toEqual(new Uint8Array(48).fill(0x22))
  })
})

describe('messages by hypercall (NAT-73)', () => {
  const message = Uint8Array.of(0, 0, 0, 2, 8, 9)

  /** Reads the block at the address in the argument, and leaves an answer in it. */
  const answering =
    (status: bigint, outLength: number, seen: Buffer[] = []) =>
    (_request: bigint, argument: Uint8Array) => {
      const view = Buffer.from(argument)
      const address = view.readBigUInt64LE(0)
      const block = libc.peek(address, Number(view.readBigUInt64LE(8)))
      seen.push(block)
      const answer = Buffer.from(block)
      answer.writeBigUInt64LE(status, 8)
      answer.writeUInt32LE(outLength, 20)
      answer.set([1, 2, 3, 4, 5, 6, 7, 8], 24)
      libc.poke(address, answer)
      return 0
    }

  it('lie in a block of 16 KiB with their length, and so do the answers', async () => {
    const seen: Buffer[] = []
    const { guest, freed } = driver(answering(0n, 8, seen))
    expect(await guest.exchange(message)).toEqual({ status: 0n, answer: Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8) })
    const [block = Buffer.alloc(0)] = seen
    expect(block).toHaveLength(16_384)
    expect(block.readBigUInt64LE(0)).toBe(1n)
    expect(block.readBigUInt64LE(8)).toBe(0n)
    expect(block.readUInt32LE(16)).toBe(6)
    expect(block.readUInt32LE(20)).toBe(0)
    expect(Uint8Array.from(block.subarray(24, 30))).toEqual(message)
    expect(block.subarray(30).every((byte) => byte === 0)).toBe(true)
    expect(freed).toHaveLength(1)
  })

  it.each([0xffff_ffff_ffff_ffffn, 0x8000_0000_0000_0001n, 1n])('with status %i have no answer', async (status) => {
    const { guest } = driver(answering(status, 8))
    expect(await guest.exchange(message)).toEqual({ status, answer: new Uint8Array() })
  })

  it('with an answer that is longer than the block are refused, to the byte', async () => {
    const room = 16_384 - 24
    expect((await driver(answering(0n, room)).guest.exchange(message)).answer).toHaveLength(room)
    const { guest, freed } = driver(answering(0n, room + 1))
    await expect(guest.exchange(message)).rejects.toMatchObject({ code: 'EMSGSIZE' })
    expect(freed).toHaveLength(1)
    await expect(guest.exchange(new Uint8Array(room + 1))).rejects.toThrow(TypeError)
  })

  it('are tried in three directions, each the next on ENOTTY alone', async () => {
    const [first, second, third] = tdxGuestRequests.getQuote
    const knows = (known: bigint | null, otherwise = ENOTTY) =>
      driver((request, argument) => (request === known ? answering(0n, 4)(request, argument) : otherwise))
    for (const [known, tried] of [
      [first, [first]],
      [second, [first, second]],
      [third, [first, second, third]],
    ] as const) {
      const { guest, requests } = knows(known)
      await guest.exchange(message)
      expect(requests).toEqual(tried)
    }
    const none = knows(null)
    await expect(none.guest.exchange(message)).rejects.toMatchObject({ code: 'ENOTTY' })
    expect(none.requests).toHaveLength(3)
    const busy = knows(null, 16)
    await expect(busy.guest.exchange(message)).rejects.toMatchObject({ code: 'EBUSY' })
    expect(busy.requests).toEqual([first])
    expect(busy.freed).toHaveLength(1)
  })

  it('keep their block until the driver has returned', async () => {
    const order: string[] = []
    const guest = new TdxGuest({
      path: '/dev/null',
      libc: {
        ...libc,
        free: Object.assign((address: bigint) => {
          order.push('freed')
          return libc.free(address)
        }, libc.free),
        ioctlLater: async (_fd, request, buffer) => {
          await new Promise((resolve) => setImmediate(resolve))
          order.push('returned')
          answering(0n, 4)(request, buffer ?? new Uint8Array())
          return { value: 0, errno: 0 }
        },
      },
    })
    await guest.exchange(message)
    expect(order).toEqual(['returned', 'freed'])
  })
})
