import { read, write } from 'node:fs'
import { getSystemErrorName, promisify } from 'node:util'
import { type Libc, layouts, socketConstants, VMADDR_CID_HOST } from '../../native/libc.ts'
import type { Clock } from '../base/clock.ts'
import { readKernelFile } from './boot-log-files.ts'
import { SystemError } from './system-error.ts'

export interface QuoteServiceOptions {
  /** Of the quoting service on the host. */
  readonly port: number
  /** Default 2: the host. */
  readonly cid?: number
  readonly libc: Pick<Libc, 'socket' | 'setsockopt' | 'connectLater' | 'close'>
  readonly clock: Pick<Clock, 'monotonic'>
  /** For one message and its answer; default 35 000 ms (TDX-018). */
  readonly timeoutMs?: number
}

/** Of a message behind its length (TDX-016). */
const messageLimit = 16_384
const lengthSize = 4
const [readAsync, writeAsync] = [promisify(read), promisify(write)]
const { AF_VSOCK, SOCK_CLOEXEC, SOCK_STREAM, SOL_SOCKET, SO_RCVTIMEO, SO_SNDTIMEO } = socketConstants

/** Opens a stream to the address, connected; the caller closes it, once. Node's own sockets refuse this family. */
async function connectVsock({ libc, port, cid = VMADDR_CID_HOST }: QuoteServiceOptions): Promise<number> {
  const made = libc.socket(AF_VSOCK, SOCK_STREAM | SOCK_CLOEXEC, 0)
  if (made.errno !== 0) throw failed('socket', made.errno)
  const { sockaddrVm } = layouts
  const address = Buffer.alloc(sockaddrVm.size)
  address.writeUInt16LE(AF_VSOCK, sockaddrVm.family)
  address.writeUInt32LE(port, sockaddrVm.port)
  address.writeUInt32LE(cid, sockaddrVm.cid)
  const { errno } = await libc.connectLater(made.value, address, address.length)
  if (errno === 0) return made.value
  libc.close(made.value)
  throw failed('connect', errno)
}

const failed = (syscall: string, errno: number) => new SystemError(getSystemErrorName(-errno), syscall, 'vsock')

/**
 * A message and its answer over a connected stream socket, a descriptor that blocks (NAT-70). Both carry their length
 * in front, u32 big endian, at most 16 KiB. `ETIMEDOUT` when all of it takes longer than the limit, however often
 * single bytes arrive; `ECONNRESET` when the other end closes early; `EMSGSIZE` for a longer answer.
 */
export class FramedExchange {
  #fd: number
  #options: Pick<QuoteServiceOptions, 'libc' | 'clock'>
  #endsAt: number

  constructor(fd: number, { libc, clock, timeoutMs = 35_000 }: Omit<QuoteServiceOptions, 'port' | 'cid'>) {
    this.#fd = fd
    this.#options = { libc, clock }
    this.#endsAt = clock.monotonic() + timeoutMs
  }

  async run(message: Uint8Array): Promise<Uint8Array> {
    await this.#send(message)
    const head = await this.#receive(lengthSize)
    const length = head.readUInt32BE(0)
    if (length > messageLimit) throw new SystemError('EMSGSIZE', 'read', 'vsock')
    return new Uint8Array(Buffer.concat([head, await this.#receive(length)]))
  }

  async #send(message: Uint8Array): Promise<void> {
    for (let done = 0; done < message.length; ) {
      this.#limit(SO_SNDTIMEO)
      done += await onTime('write', () => writeAsync(this.#fd, message, done, message.length - done, null))
    }
  }

  async #receive(size: number): Promise<Buffer> {
    const room = Buffer.alloc(size)
    for (let done = 0; done < size; ) {
      this.#limit(SO_RCVTIMEO)
      const took = await onTime('read', () => readAsync(this.#fd, room, done, size - done, null))
      if (took === 0) throw new SystemError('ECONNRESET', 'read', 'vsock')
      done += took
    }
    return room
  }

  /** What is left of the time, for the next call on the socket. */
  #limit(option: number): void {
    const { libc, clock } = this.#options
    const left = Math.ceil(this.#endsAt - clock.monotonic())
    if (left <= 0) throw new SystemError('ETIMEDOUT', 'read', 'vsock')
    const { timeval } = layouts
    const value = Buffer.alloc(timeval.size)
    value.writeBigInt64LE(BigInt(Math.floor(left / 1000)), timeval.seconds)
    value.writeBigInt64LE(BigInt((left % 1000) * 1000), timeval.microseconds)
    const { errno } = libc.setsockopt(this.#fd, SOL_SOCKET, option, value, value.length)
    if (errno !== 0) throw failed('setsockopt', errno)
  }
}

/** A signal interrupts nothing that was done: again. The time limit of a socket shows as `EAGAIN` (NAT-70). */
async function onTime(syscall: string, run: () => Promise<{ bytesRead: number } | { bytesWritten: number }>) {
  for (;;) {
    try {
      const done = await run()
      return 'bytesRead' in done ? done.bytesRead : done.bytesWritten
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException
      if (code === 'EAGAIN') throw new SystemError('ETIMEDOUT', syscall, 'vsock')
      if (code !== 'EINTR') throw error
    }
  }
}

/** The quoting service of the host, for the TDX attester: one connection a message (TDX-016, NAT-70). */
export function vsockQuoteService(options: QuoteServiceOptions) {
  return {
    exchange: async (message: Uint8Array): Promise<Uint8Array> => {
      const exchange = (fd: number) => new FramedExchange(fd, options).run(message)
      const fd = await connectVsock(options)
      try {
        return await exchange(fd)
      } finally {
        options.libc.close(fd)
      }
    },
  }
}

const portLine = /^\s*port\s*=\s*([0-9]{1,10})\s*$/
const configLimit = 65_536
/** The highest number is the wildcard. */
const highestPort = 0xffff_fffe

/**
 * The port that a configuration of the quoting service names; null where there is no such file or line, or the number
 * is no port (TDX-016). The first line that matches counts.
 */
export async function readQuoteServicePort(path: string): Promise<number | null> {
  const content = await readKernelFile(path, configLimit)
  if (content === null) return null
  for (const line of Buffer.from(content).toString('latin1').split('\n')) {
    const port = Number(portLine.exec(line)?.[1] ?? 0)
    if (port > 0 && port <= highestPort) return port
  }
  return null
}
