import { closeSync, existsSync, openSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { haveCompiler, haveHeader, runProgram } from '../test/support/c-compiler.ts'
import {
  CLOCK_BOOTTIME,
  errnoOf,
  FIOCLEX,
  LOCK_EXCLUSIVE_NOW,
  layouts,
  loadLibc,
  PIDFD_GET_INFO,
  POLLIN,
  socketConstants,
  tcpConstants,
  tdxGuestRequests,
  VMADDR_CID_HOST,
} from './libc.ts'
import { contextLayout, responseRoom, tctiCodes } from './tctildr.ts'

const libc = loadLibc()

/** Compiles a program that prints each expression; gives the numbers under our names. */
function askCompiler(headers: readonly string[], expressions: Readonly<Record<string, string>>) {
  const includes = headers.map((header) => `#include <${header}>`).join('\n')
  const prints = Object.entries(expressions).map(([name, value]) => `printf("${name} %lld\\n", (long long)(${value}));`)
  const printed = runProgram(`#define _GNU_SOURCE
    #include <stdio.h>
    #include <stddef.h>
    ${includes}
    int main(void) { ${prints.join('\n')} return 0; }`)
  return Object.fromEntries(
    printed
      .trim()
      .split('\n')
      .map((line) => [line.split(' ')[0], Number(line.split(' ')[1])]),
  )
}

const named = (prefix: string, names: readonly string[]) =>
  Object.fromEntries(names.map((name) => [name, `${prefix}${name}`]))
const numbers = (record: Readonly<Record<string, number | bigint>>) =>
  Object.fromEntries(Object.entries(record).map(([name, value]) => [name, Number(value)]))

describe.skipIf(!haveCompiler)('sizes, offsets and constants are those of the C headers (NAT-204)', () => {
  it('sockets', () => {
    const { MSG_DONTWAIT_NOSIGNAL, SO_PEERPIDFD, ...rest } = socketConstants
    expect(
      askCompiler(['sys/socket.h'], { ...named('', Object.keys(rest)), message: 'MSG_DONTWAIT | MSG_NOSIGNAL' }),
    ).toEqual({ ...rest, message: MSG_DONTWAIT_NOSIGNAL })
    expect(SO_PEERPIDFD).toBe(77) // newer than many headers; the peer credential tests execute it
  })

  it('TCP', () => {
    const names = { ...named('', Object.keys(tcpConstants)), state: 'offsetof(struct tcp_info, tcpi_state)' }
    expect(askCompiler(['netinet/in.h', 'netinet/tcp.h'], names)).toEqual({ ...tcpConstants, state: 0 })
  })

  it('errno', () => {
    expect(askCompiler(['errno.h'], named('', Object.keys(errnoOf)))).toEqual(errnoOf)
  })

  it('single constants', () => {
    expect(
      askCompiler(['poll.h', 'time.h', 'sys/file.h', 'sys/ioctl.h'], {
        POLLIN: 'POLLIN',
        CLOCK_BOOTTIME: 'CLOCK_BOOTTIME',
        LOCK: 'LOCK_EX | LOCK_NB',
        FIOCLEX: 'FIOCLEX',
        PIDFD_GET_INFO: `_IOWR(0xFF, 11, char[${layouts.pidfdInfo.size}])`,
      }),
    ).toEqual(numbers({ POLLIN, CLOCK_BOOTTIME, LOCK: LOCK_EXCLUSIVE_NOW, FIOCLEX, PIDFD_GET_INFO }))
  })

  it.skipIf(!haveHeader('linux/vm_sockets.h'))('vsock', () => {
    const offset = (member: string) => `offsetof(struct sockaddr_vm, ${member})`
    expect(
      askCompiler(['sys/socket.h', 'linux/vm_sockets.h'], {
        size: 'sizeof(struct sockaddr_vm)',
        family: offset('svm_family'),
        port: offset('svm_port'),
        cid: offset('svm_cid'),
        host: 'VMADDR_CID_HOST',
      }),
    ).toEqual({ ...layouts.sockaddrVm, host: VMADDR_CID_HOST })
  })

  it('requests to the TDX guest device, by direction, letter, number and size (NAT-72)', () => {
    const { getReport0, extendRtmr, getQuote } = tdxGuestRequests
    expect(
      askCompiler(['sys/ioctl.h'], {
        getReport0: "_IOWR('T', 1, char[64 + 1024])",
        extendRtmr: "_IOR('T', 3, char[48 + 1])",
        quoteRead: "_IOR('T', 4, char[16])",
        quoteBoth: "_IOWR('T', 4, char[16])",
        quoteWrite: "_IOW('T', 4, char[16])",
      }),
    ).toEqual(
      numbers({
        getReport0,
        extendRtmr,
        quoteRead: getQuote[0],
        quoteBoth: getQuote[1],
        quoteWrite: getQuote[2],
      }),
    )
  })

  const structures: Readonly<Record<string, readonly [string, string, Readonly<Record<string, number>>, object]>> = {
    ucred: ['sys/socket.h', 'struct ucred', layouts.ucred, { pid: 'pid', uid: 'uid', gid: 'gid' }],
    pollfd: ['poll.h', 'struct pollfd', layouts.pollfd, { fd: 'fd', events: 'events', revents: 'revents' }],
    timespec: ['time.h', 'struct timespec', layouts.timespec, { seconds: 'tv_sec', nanoseconds: 'tv_nsec' }],
    timeval: ['sys/time.h', 'struct timeval', layouts.timeval, { seconds: 'tv_sec', microseconds: 'tv_usec' }],
    sockaddrUn: ['sys/un.h', 'struct sockaddr_un', layouts.sockaddrUn, { family: 'sun_family', path: 'sun_path' }],
  }
  it.each(Object.values(structures))('%s %s', (header, type, layout, members) => {
    const offsets = Object.fromEntries(Object.entries(members).map(([ours, c]) => [ours, `offsetof(${type}, ${c})`]))
    expect(askCompiler([header], { size: `sizeof(${type})`, ...offsets })).toEqual(layout)
  })

  it.skipIf(!haveHeader('tss2/tss2_tcti.h'))('TCTI contexts', () => {
    const type = 'TSS2_TCTI_CONTEXT_COMMON_V1'
    const offset = (member: string) => `offsetof(${type}, ${member})`
    expect(
      askCompiler(['tss2/tss2_tcti.h'], {
        size: `sizeof(${type})`,
        version: offset('version'),
        transmit: offset('transmit'),
        receive: offset('receive'),
      }),
    ).toEqual(contextLayout)
    expect(
      askCompiler(['tss2/tss2_common.h', 'tss2/tss2_tpm2_types.h'], {
        success: 'TSS2_RC_SUCCESS',
        badSequence: 'TSS2_TCTI_RC_BAD_SEQUENCE',
        tryAgain: 'TSS2_TCTI_RC_TRY_AGAIN',
        ioError: 'TSS2_TCTI_RC_IO_ERROR',
        notSupported: 'TSS2_TCTI_RC_NOT_SUPPORTED',
        room: 'TPM2_MAX_COMMAND_SIZE',
      }),
    ).toEqual({ ...tctiCodes, room: responseRoom })
  })
})

describe('calls', () => {
  it('report errno with a negative value, and 0 with any other', () => {
    expect(libc.close(-1)).toEqual({ value: -1, errno: 9 })
    expect(libc.poll(Buffer.alloc(8, 0xff), 1n, 0)).toEqual({ value: 0, errno: 0 })
  })

  it('the boot-time clock gives seconds and nanoseconds, and does not go back', () => {
    const read = () => {
      const cell = Buffer.alloc(layouts.timespec.size)
      expect(libc.clockGettime(CLOCK_BOOTTIME, cell).errno).toBe(0)
      expect(cell.readBigInt64LE(8)).toBeLessThan(1_000_000_000n)
      return cell.readBigInt64LE(0) * 1_000_000_000n + cell.readBigInt64LE(8)
    }
    const first = read()
    expect(first).toBeGreaterThan(0n)
    expect(read()).toBeGreaterThanOrEqual(first)
  })

  it('an ioctl reaches its descriptor: close-on-exec is set', () => {
    const fd = openSync('/dev/null', 'r')
    expect(libc.ioctl(fd, FIOCLEX, null)).toEqual({ value: 0, errno: 0 })
    closeSync(fd)
    expect(libc.ioctl(fd, FIOCLEX, null)).toEqual({ value: -1, errno: 9 })
    expect(existsSync(`/proc/self/fd/${fd}`)).toBe(false)
  })

  it('write nothing outside their destination: 64 canary bytes before and after stay', () => {
    const ends = Buffer.alloc(8)
    libc.socketpair(socketConstants.AF_UNIX, socketConstants.SOCK_STREAM, 0, ends)
    for (const [option, size] of [
      [socketConstants.SO_PEERCRED, layouts.ucred.size],
      [socketConstants.SO_TYPE, 4],
    ] as const) {
      const room = new Uint8Array(64 + size + 64).fill(0xa5)
      const length = Buffer.from([size, 0, 0, 0])
      const asked = libc.getsockopt(
        ends.readInt32LE(0),
        socketConstants.SOL_SOCKET,
        option,
        room.subarray(64, 64 + size),
        length,
      )
      expect(asked).toEqual({ value: 0, errno: 0 })
      expect(length.readUInt32LE(0)).toBe(size)
      expect(new Set([...room.subarray(0, 64), ...room.subarray(64 + size)])).toEqual(new Set([0xa5]))
      expect(room.subarray(64, 64 + size).some((byte) => byte !== 0xa5)).toBe(true)
    }
    libc.close(ends.readInt32LE(0))
    libc.close(ends.readInt32LE(4))
  })

  it('later calls report errno as those at once do, and their buffers stay in place', async () => {
    const ends = Buffer.alloc(8)
    libc.socketpair(socketConstants.AF_UNIX, socketConstants.SOCK_STREAM, 0, ends)
    const [one, two] = [ends.readInt32LE(0), ends.readInt32LE(4)]
    expect(await libc.ioctlLater(one, FIOCLEX, null)).toEqual({ value: 0, errno: 0 })
    expect(await libc.ioctlLater(one, tdxGuestRequests.getReport0, Buffer.alloc(1088))).toEqual({
      value: -1,
      errno: 25,
    })
    expect(await libc.connectLater(one, Buffer.alloc(2), 2)).toMatchObject({ value: -1 })
    libc.close(one)
    libc.close(two)
    expect(await libc.ioctlLater(one, FIOCLEX, null)).toEqual({ value: -1, errno: 9 })
  })

  it('a socket takes a time limit, and gives it back', () => {
    const ends = Buffer.alloc(8)
    libc.socketpair(socketConstants.AF_UNIX, socketConstants.SOCK_STREAM, 0, ends)
    const limit = Buffer.alloc(layouts.timeval.size)
    limit.writeBigInt64LE(35n, layouts.timeval.seconds)
    const { SOL_SOCKET, SO_RCVTIMEO, SO_SNDTIMEO } = socketConstants
    for (const option of [SO_RCVTIMEO, SO_SNDTIMEO]) {
      expect(libc.setsockopt(ends.readInt32LE(0), SOL_SOCKET, option, limit, limit.length)).toEqual({
        value: 0,
        errno: 0,
      })
      const back = Buffer.alloc(layouts.timeval.size)
      const length = Buffer.from([back.length, 0, 0, 0])
      libc.getsockopt(ends.readInt32LE(0), SOL_SOCKET, option, back, length)
      expect(back).toEqual(limit)
    }
    libc.close(ends.readInt32LE(0))
    libc.close(ends.readInt32LE(4))
  })

  it('memory of C is zeroed, holds what is put there, and is never at a null pointer', () => {
    const address = libc.calloc(1, 64)
    expect(libc.peek(address, 64)).toEqual(Buffer.alloc(64))
    libc.poke(address, Buffer.alloc(32, 7))
    expect(libc.peek(address, 64)).toEqual(Buffer.concat([Buffer.alloc(32, 7), Buffer.alloc(32)]))
    libc.free(address)
    expect(() => libc.poke(0n, Buffer.alloc(1))).toThrow('null pointer')
  })

  it('memory that was freed goes back to the system', () => {
    const filled = new Uint8Array(65_536).fill(1)
    const blocks = Array.from({ length: 1000 }, () => libc.calloc(1, filled.length))
    for (const block of blocks) libc.poke(block, filled)
    // Above the others, it keeps free() from giving them back by itself.
    const last = libc.calloc(1, 65_536)
    for (const block of blocks) libc.free(block)
    const before = process.memoryUsage.rss()
    libc.trimMemory()
    expect(before - process.memoryUsage.rss()).toBeGreaterThan(30_000_000)
    libc.free(last)
  })

  it('peek refuses a null pointer and no bytes (NAT-05)', () => {
    expect(() => libc.peek(0n, 8)).toThrow('null pointer')
    expect(() => libc.peek(4096n, 0)).toThrow(TypeError)
  })
})
