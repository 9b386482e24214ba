import { createConnection, type Socket } from 'node:net'
import { MalformedError } from '../base/errors.ts'
import { Turns } from '../base/turns.ts'
import { SystemError } from './system-error.ts'

type Exchange = (line: string) => Promise<Uint8Array>

export interface TurnwiseLinesOptions {
  /** Of the Unix socket. */
  readonly path: string
  /** In bytes, the newline counted. */
  readonly longestLine: number
  /** Runs first on every connection. */
  readonly greet: (exchange: Exchange) => Promise<void>
}

const newline = 0x0a

/** One connection: a line out, a line back. Anything unasked, too long or behind the line ends it. */
class LineConnection {
  #socket: Socket
  #longestLine: number
  #received: Buffer[] = []
  #size = 0
  #waiter: { readonly resolve: (line: Uint8Array) => void; readonly reject: (reason: unknown) => void } | undefined
  #failure: unknown

  constructor({ path, longestLine }: TurnwiseLinesOptions) {
    this.#longestLine = longestLine
    this.#socket = createConnection({ path })
    this.#socket.unref()
    this.#socket.on('data', (chunk: Buffer) => this.#take(chunk))
    this.#socket.on('error', (error) => this.fail(error))
    this.#socket.on('close', () => this.fail(new SystemError('ECONNRESET', 'read', path)))
  }

  get usable(): boolean {
    return this.#failure === undefined
  }

  exchange(line: string): Promise<Uint8Array> {
    if (this.#failure !== undefined) return Promise.reject(this.#failure)
    if (line.includes('\n') || Buffer.byteLength(line) >= this.#longestLine) {
      return Promise.reject(new SystemError('EMSGSIZE', 'write', 'the socket'))
    }
    return new Promise<Uint8Array>((resolve, reject) => {
      this.#waiter = { resolve, reject }
      // Somebody waits: now the connection keeps the process alive.
      this.#socket.ref()
      this.#socket.write(`${line}\n`)
    }).finally(() => this.#socket.unref())
  }

  fail(reason: unknown): void {
    this.#failure ??= reason
    this.#waiter?.reject(this.#failure)
    this.#waiter = undefined
    this.#received = []
    this.#socket.destroy()
  }

  #take(chunk: Buffer): void {
    this.#received.push(chunk)
    this.#size += chunk.length
    const at = chunk.indexOf(newline)
    const problem = this.#problem(chunk, at)
    if (problem !== undefined) this.fail(new MalformedError({ path: 'line' }, problem))
    else if (at !== -1) this.#deliver()
  }

  #problem(chunk: Uint8Array, at: number): string | undefined {
    if (this.#waiter === undefined) return 'was sent unasked'
    if (this.#size > this.#longestLine) return `is longer than ${this.#longestLine} bytes`
    return at !== -1 && at !== chunk.length - 1 ? 'is followed by more than was asked for' : undefined
  }

  #deliver(): void {
    const whole = Buffer.concat(this.#received)
    const waiter = this.#waiter
    this.#waiter = undefined
    this.#received = []
    this.#size = 0
    waiter?.resolve(new Uint8Array(whole.subarray(0, -1)))
  }
}

/**
 * Requests and answers of one line each over a Unix socket, one after another. Rejects with the system's error where
 * nobody listens or the connection ends, and with `MalformedError` for bytes that are not one line.
 */
export class TurnwiseLines {
  #options: TurnwiseLinesOptions
  #turns = new Turns()
  #connection: LineConnection | undefined
  #closed = false

  constructor(options: TurnwiseLinesOptions) {
    this.#options = options
  }

  exchange(line: string): Promise<Uint8Array> {
    return this.#turns.take(async () => (await this.#opened()).exchange(line))
  }

  async close(): Promise<void> {
    this.#closed = true
    this.#connection?.fail(new SystemError('ECANCELED', 'read', this.#options.path))
  }

  async #opened(): Promise<LineConnection> {
    if (this.#closed) throw new SystemError('ECANCELED', 'connect', this.#options.path)
    if (this.#connection?.usable) return this.#connection
    const connection = new LineConnection(this.#options)
    this.#connection = connection
    try {
      await this.#options.greet((line) => connection.exchange(line))
    } catch (error) {
      connection.fail(error)
      throw error
    }
    return connection
  }
}
