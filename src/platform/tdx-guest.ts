import { open } from 'node:fs/promises'
import { getSystemErrorName } from 'node:util'
import { errnoOf, type Libc, tdxGuestRequests } from '../../native/libc.ts'
import { SystemError } from './system-error.ts'

export interface TdxGuestOptions {
  /** `/dev/tdx_guest`. */
  readonly path: string
  readonly libc: Pick<Libc, 'ioctlLater' | 'calloc' | 'free' | 'peek' | 'poke'>
}

const sizes = { reportData: 64, report: 1024, digest: 48, block: 16_384 } as const
/** Of the block of GET_QUOTE: version u64, status u64, lengths u32 in and out, data (NAT-73). */
const block = { status: 8, inLength: 16, outLength: 20, data: 24 } as const
const statusDone = 0n

/**
 * The TDX guest device: TDREPORTs, and with kernels of vendors quotes and extensions (NAT-72, 73). It is opened for
 * every call. Rejects with errors that carry `code` and `syscall`; `ENOTTY` where the driver does not know the request.
 * A call cannot be taken back: it resolves when C has returned.
 */
export class TdxGuest {
  #path: string
  #libc: TdxGuestOptions['libc']

  constructor({ path, libc }: TdxGuestOptions) {
    this.#path = path
    this.#libc = libc
  }

  /** The TDREPORT of 1024 bytes over 64 bytes: for use on this machine only, since no other can check its MAC. */
  async report(reportData: Uint8Array): Promise<Uint8Array> {
    requireLength(reportData, sizes.reportData)
    const buffer = Buffer.alloc(sizes.reportData + sizes.report)
    buffer.set(reportData)
    await this.#request(tdxGuestRequests.getReport0, buffer)
    return new Uint8Array(buffer.subarray(sizes.reportData))
  }

  /** Extends a register by the ioctl of vendors; 48 bytes, then the number of the register. */
  async extend(index: number, digest: Uint8Array): Promise<void> {
    requireLength(digest, sizes.digest)
    const buffer = Buffer.alloc(sizes.digest + 1)
    buffer.set(digest)
    buffer.writeUInt8(index, sizes.digest)
    await this.#request(tdxGuestRequests.extendRtmr, buffer)
  }

  /**
   * Hands `message`, its length in front, to the quoting service by hypercall, and gives what the block then holds.
   * `answer` is empty unless the status is 0. The block is C's memory, and is freed when C has returned, not before.
   */
  async exchange(message: Uint8Array): Promise<{ readonly status: bigint; readonly answer: Uint8Array }> {
    if (message.length > sizes.block - block.data) throw new TypeError(`a message of ${message.length} bytes`)
    const address = this.#libc.calloc(1, sizes.block)
    if (address === 0n) throw new SystemError('ENOMEM', 'calloc', this.#path)
    try {
      this.#libc.poke(address, framedBlock(message))
      await this.#requestQuote(address)
      return this.#answerIn(address)
    } finally {
      this.#libc.free(address)
    }
  }

  #answerIn(address: bigint): { status: bigint; answer: Uint8Array } {
    const whole = this.#libc.peek(address, sizes.block)
    const status = whole.readBigUInt64LE(block.status)
    if (status !== statusDone) return { status, answer: new Uint8Array() }
    const length = whole.readUInt32LE(block.outLength)
    if (length > sizes.block - block.data) throw new SystemError('EMSGSIZE', 'ioctl', this.#path)
    return { status, answer: new Uint8Array(whole.subarray(block.data, block.data + length)) }
  }

  /** The request has been declared in three directions; a driver knows one of them and refuses the others unseen. */
  async #requestQuote(address: bigint): Promise<void> {
    const [first, ...others] = tdxGuestRequests.getQuote
    const argument = () => {
      const buffer = Buffer.alloc(16)
      buffer.writeBigUInt64LE(address, 0)
      buffer.writeBigUInt64LE(BigInt(sizes.block), 8)
      return buffer
    }
    let unknown = await this.#tryRequest(first, argument())
    for (const request of others) {
      if (unknown !== errnoOf.ENOTTY) break
      unknown = await this.#tryRequest(request, argument())
    }
    this.#requireDone(unknown)
  }

  async #request(request: bigint, buffer: Buffer): Promise<void> {
    this.#requireDone(await this.#tryRequest(request, buffer))
  }

  async #tryRequest(request: bigint, buffer: Buffer): Promise<number> {
    const file = await open(this.#path, 'r+')
    try {
      return (await this.#libc.ioctlLater(file.fd, request, buffer)).errno
    } finally {
      await file.close()
    }
  }

  #requireDone(errno: number): void {
    if (errno !== 0) throw new SystemError(getSystemErrorName(-errno), 'ioctl', this.#path)
  }
}

function framedBlock(message: Uint8Array): Uint8Array {
  const head = Buffer.alloc(block.data)
  head.writeBigUInt64LE(1n, 0)
  head.writeUInt32LE(message.length, block.inLength)
  return Buffer.concat([head, message])
}

function requireLength(bytes: Uint8Array, length: number): void {
  if (bytes.length !== length) throw new TypeError(`takes ${length} bytes, got ${bytes.length}`)
}
