import { setMaxListeners } from 'node:events'
import type { ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import type { Clock } from '../base/clock.ts'
import { abandonable } from '../base/tasks.ts'
import type { CallerWatch } from './caller-watch.ts'
import type { WorkloadLimits } from './limits.ts'

/** The place of a request on its connection. */
export interface Place {
  /** Counted from 1. */
  readonly ordinal: number
  /** Resolves when all earlier requests are answered; null: they were when this one came. */
  readonly turn: Promise<void> | null
  /** True: too many are unanswered, so this one is refused and the last. */
  readonly excess: boolean
}

class ConnectionGone extends Error {
  override readonly name = 'ConnectionGone'
}

/** Why the signal `gone` of a connection aborts. One for all: most end so, and each stack would be made for nobody. */
export const connectionGone: Error = new ConnectionGone('the connection is closed')

/**
 * One accepted connection: what is counted on it, and whether it still takes requests. Requests may be pipelined and are
 * answered in order (API-23); an old connection is closed with its next answer, because its identity is that of the
 * process that connected (API-24).
 */
export class Connection {
  readonly socket: Socket
  /** The caller; null on listeners that do not ask for one. */
  caller: CallerWatch | null = null
  #gone: AbortController | null = null
  #isGone = false
  #clock: Clock
  #limits: WorkloadLimits
  #openedAt: number
  #requests = 0
  #unanswered = 0
  #closing = false
  #parserError: Error | null = null
  #tail: Promise<void> = Promise.resolve()
  #failBody: ((error: Error) => void) | null = null
  #stall: { flushed: number; since: number } | null = null

  constructor(socket: Socket, clock: Clock, limits: WorkloadLimits) {
    this.socket = socket
    this.#clock = clock
    this.#limits = limits
    this.#openedAt = clock.monotonic()
    socket.once('close', () => this.#leave())
    socket.once('end', () => this.#halfClosed())
  }

  /** True when nobody is there to read an answer (API-34). */
  get isGone(): boolean {
    return this.#isGone
  }

  /** Aborts when nobody is there to read an answer. Made for those who wait: most connections end before anybody does. */
  get gone(): AbortSignal {
    if (this.#gone === null) {
      this.#gone = new AbortController()
      // Pipelined requests wait for it side by side: Node would write a warning past the log for each such connection.
      setMaxListeners(4 * (this.#limits.unanswered + 2), this.#gone.signal)
      if (this.#isGone) this.#gone.abort(connectionGone)
    }
    return this.#gone.signal
  }

  get idle(): boolean {
    return this.#unanswered === 0
  }

  /** True when no request is taken any more. */
  get closing(): boolean {
    return this.#closing
  }

  /** Takes a request in; null: it comes behind the last one and is left without an answer. */
  admit(response: ServerResponse): Place | null {
    if (this.#closing) return null
    const ordinal = ++this.#requests
    const excess = this.#unanswered >= this.#limits.unanswered
    if (excess || ordinal >= this.#limits.connectionRequests) this.#closing = true
    const turn = this.idle ? null : this.#tail
    this.#unanswered++
    this.#tail = new Promise((resolve) => {
      response.once('close', () => {
        this.#unanswered--
        resolve()
      })
    })
    return { ordinal, turn, excess }
  }

  /** No further request is taken; the answer to the last one closes the connection. */
  closeAfterAnswer(): void {
    this.#closing = true
  }

  /** For a server that stops: an idle connection ends now, another one with its answer. */
  closeWhenIdle(): void {
    this.#closing = true
    if (this.idle) this.socket.destroySoon()
  }

  /**
   * Whether the answer to this request must close the connection: it is the last one, because the connection is old
   * (API-24) or takes no more. Behind what the parser could not read, that refusal is the last answer.
   */
  endsWith(ordinal: number): boolean {
    if (this.#clock.monotonic() - this.#openedAt >= this.#limits.connectionAgeMs) this.#closing = true
    return this.#closing && ordinal === this.#requests && this.#parserError === null
  }

  /** While a body is being read, an error of the parser is its error. Call with null when it has been read. */
  whileReadingBody(fail: ((error: Error) => void) | null): void {
    this.#failBody = fail
    if (this.#parserError) fail?.(this.#parserError)
  }

  /** Ends the connection after what could not be read, or whose sender is not let in: `raw` is a whole HTTP answer, written in its turn. */
  failParsing(error: Error, raw: string): void {
    if (this.#parserError) return
    this.#parserError = error
    this.#closing = true
    this.#failBody?.(error)
    abandonable(this.#tail, this.gone).then(
      () => this.end(raw),
      () => this.socket.destroy(),
    )
  }

  /** Writes a last text and closes, without reading what may still come. */
  end(raw: string): void {
    if (!this.socket.writable) return
    this.socket.once('finish', () => this.socket.destroy())
    this.socket.end(raw)
  }

  /** Drops a peer that does not read (API-22). To be called again and again. */
  dropIfStalled(): void {
    const { writableLength, bytesWritten } = this.socket
    const now = this.#clock.monotonic()
    const flushed = bytesWritten - writableLength
    if (writableLength === 0) this.#stall = null
    else if (this.#stall?.flushed !== flushed) this.#stall = { flushed, since: now }
    else if (now - this.#stall.since >= this.#limits.writeStallMs) this.socket.destroy()
  }

  /**
   * The end of a peer's sending side looks the same whether it will still read or has closed altogether. What can be
   * answered at once is answered; a waiter does not stay for a peer that is likely to be gone.
   */
  #halfClosed(): void {
    this.#closing = true
    if (this.idle) return
    this.#clock.sleep(this.#limits.halfCloseMs, this.gone).then(
      () => this.socket.destroy(),
      () => undefined,
    )
  }

  #leave(): void {
    this.#closing = true
    this.#isGone = true
    this.#gone?.abort(connectionGone)
    this.caller?.close()
  }
}
