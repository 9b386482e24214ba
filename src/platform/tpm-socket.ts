import { once } from 'node:events'
import { createConnection, type NetConnectOpts, type Socket } from 'node:net'
import { platformErrors } from './errors.ts'
import { messageBounds, statedLength, type TpmChannel, tpmSystemError } from './tpm-channel.ts'

/** Where a TPM emulator listens; its data channel carries bare commands and responses (NAT 2.3). */
export type SwtpmPlace = { readonly path: string } | { readonly host: string; readonly port: number }

export function describePlace(place: SwtpmPlace): string {
  return 'path' in place ? place.path : `${place.host}:${place.port}`
}

interface Waiter {
  readonly resolve: (response: Uint8Array) => void
  readonly reject: (reason: unknown) => void
}

/**
 * Collects one response at a time out of a byte stream: bytes 2 to 5 say when it is complete. Bytes that nobody
 * asked for end the connection, because from then on nobody knows which answer belongs to which command.
 */
class SwtpmChannel implements TpmChannel {
  #socket: Socket
  #place: string
  #waiter: Waiter | undefined
  #received = Buffer.alloc(0)
  #failure: unknown

  constructor(socket: Socket, place: string) {
    this.#socket = socket
    this.#place = place
    socket.on('data', (chunk: Buffer) => this.#take(chunk))
    socket.on('error', (error) => this.#fail(tpmSystemError(error, 'read', place)))
    socket.on('close', () => this.#fail(platformErrors.error('TPM_IO', `${place}: the connection was closed`)))
  }

  exchange(command: Uint8Array, signal: AbortSignal): Promise<Uint8Array> {
    if (this.#failure !== undefined) return Promise.reject(this.#failure)
    const stop = () => this.#fail(signal.reason)
    signal.addEventListener('abort', stop, { once: true })
    return new Promise<Uint8Array>((resolve, reject) => {
      this.#waiter = { resolve, reject }
      this.#socket.write(command)
    }).finally(() => signal.removeEventListener('abort', stop))
  }

  usable(): boolean {
    return this.#failure === undefined
  }

  async close(): Promise<void> {
    this.#fail(platformErrors.error('TPM_IO', `${this.#place}: closed by this process`))
    if (this.#socket.closed) return
    await new Promise((resolve) => this.#socket.once('close', resolve))
  }

  #fail(reason: unknown): void {
    this.#failure ??= reason
    this.#waiter?.reject(this.#failure)
    this.#waiter = undefined
    this.#socket.destroy()
  }

  #take(chunk: Buffer): void {
    this.#received = Buffer.concat([this.#received, chunk])
    const problem = problemOf(this.#received, this.#waiter !== undefined)
    if (problem !== undefined) {
      this.#fail(platformErrors.error('TPM_RESPONSE_MALFORMED', `${this.#place}: ${problem}`))
    } else if (isComplete(this.#received)) {
      this.#waiter?.resolve(new Uint8Array(this.#received))
      this.#waiter = undefined
      this.#received = Buffer.alloc(0)
    }
  }
}

function isComplete(received: Uint8Array): boolean {
  return received.length >= messageBounds.min && received.length === statedLength(received)
}

function problemOf(received: Uint8Array, expected: boolean): string | undefined {
  if (!expected) return `sent ${received.length} bytes unasked`
  if (received.length < messageBounds.min) return undefined
  const length = statedLength(received)
  if (length < messageBounds.min || length > messageBounds.max) return `sent a header that says ${length} bytes`
  return received.length > length ? `sent ${received.length - length} bytes behind a response` : undefined
}

/** Connects to the data channel of swtpm. Throws `TPM_UNAVAILABLE` or `TPM_PERMISSION`; stops when `signal` aborts. */
export async function openSwtpmChannel(place: SwtpmPlace, signal: AbortSignal): Promise<TpmChannel> {
  signal.throwIfAborted()
  const options: NetConnectOpts = 'path' in place ? { path: place.path } : { host: place.host, port: place.port }
  const socket = createConnection({ ...options, noDelay: true })
  const channel = new SwtpmChannel(socket, describePlace(place))
  const stop = () => socket.destroy(signal.reason)
  signal.addEventListener('abort', stop, { once: true })
  try {
    await once(socket, 'connect')
    return channel
  } catch (cause) {
    throw tpmSystemError(cause, 'open', describePlace(place))
  } finally {
    signal.removeEventListener('abort', stop)
  }
}
