import type { IncomingHttpHeaders, IncomingMessage } from 'node:http'
import { promisify } from 'node:util'
import { gunzip } from 'node:zlib'
import type { Clock } from '../../base/clock.ts'
import { abandonable } from '../../base/tasks.ts'
import { Turns } from '../../base/turns.ts'
import type { BodyHold } from './body-budget.ts'
import { BodyBytes } from './body-bytes.ts'
import { attestationErrors } from './errors.ts'
import { ClientGone } from './wire-error.ts'

/** Default for the body of a request for attestation of a TD (SVC-40). */
export const longestBody = 4 * 1024 * 1024
const bodyMs = 30_000
/** Bytes that are parsed in less than a millisecond. */
const usualBody = 131_072
/** SVC-05: the documented command line sends JSON as a form. */
const mediaTypes = /^(?:application\/(?:json|x-www-form-urlencoded)|[\w.!#$&^-]+\/[\w.!#$&^-]+\+json|text\/plain)$/
const inflate = promisify(gunzip)
/** Each piece is a way to another thread and back. */
const inflatedAtOnce = 262_144

function tooLarge(limit: number, size: number) {
  const says = `the body has ${size} bytes or more, and ${limit} are allowed`
  return attestationErrors.error('AS.REQUEST.TOO_LARGE', says, { facts: { limit, size } })
}

/** What the header says of the body, before any of it is read (SVC-05, SVC-40). Throws 415 and 413. */
export function requireReadable(headers: IncomingHttpHeaders, limit: number): void {
  const media = headers['content-type']?.split(';')[0]?.trim().toLowerCase() ?? ''
  if (media !== '' && !mediaTypes.test(media)) {
    throw attestationErrors.error('AS.REQUEST.UNSUPPORTED_MEDIA_TYPE', 'the body is not announced as JSON')
  }
  if (!['identity', 'gzip'].includes(encodingOf(headers))) {
    const says = 'the body has a Content-Encoding that is neither identity nor gzip'
    throw attestationErrors.error('AS.REQUEST.UNSUPPORTED_MEDIA_TYPE', says)
  }
  const announced = Number(headers['content-length'] ?? 0)
  if (announced > limit) throw tooLarge(limit, announced)
}

function encodingOf(headers: IncomingHttpHeaders): string {
  return headers['content-encoding']?.trim().toLowerCase() ?? 'identity'
}

interface Reading {
  readonly limit: number
  readonly hold: BodyHold
  readonly signal: AbortSignal
}

/** Two million bytes of the wire are read at once: in chunks of one byte each they would hold up everybody for a second. */
const mostPieces = (size: number) => 4096 + size / 256

function inCrumbs() {
  return attestationErrors.error('AS.REQUEST.INVALID_ARGUMENT', 'the body comes in too many pieces of too few bytes')
}

function collect(request: IncomingMessage, { limit, hold, signal }: Reading): Promise<Uint8Array> {
  const body = new BodyBytes()
  let pieces = 0
  const add = (piece: Uint8Array) => {
    const size = body.length + piece.length
    pieces += 1
    if (size > limit) throw tooLarge(limit, size)
    if (pieces > mostPieces(size)) throw inCrumbs()
    hold.take(piece.length)
    body.add(piece)
  }
  return new Promise((resolve, reject) => {
    const finish = (settle: () => void) => {
      request.off('data', onData).off('end', onEnd).off('error', onError).pause()
      signal.removeEventListener('abort', onAbort)
      settle()
    }
    const onData = (piece: Buffer) => {
      try {
        add(piece)
      } catch (error) {
        finish(() => reject(error))
      }
    }
    const onEnd = () => finish(() => resolve(body.bytes()))
    const onError = () => finish(() => reject(new ClientGone()))
    const onAbort = () => finish(() => reject(signal.reason))
    request.on('data', onData).on('end', onEnd).on('error', onError)
    signal.addEventListener('abort', onAbort, { once: true })
  })
}

async function unpacked(body: Uint8Array, { limit, hold }: Reading): Promise<Uint8Array> {
  try {
    const bytes = await inflate(body, { maxOutputLength: limit, chunkSize: inflatedAtOnce })
    hold.take(bytes.length)
    return bytes
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? error.code : undefined
    if (code === 'ERR_BUFFER_TOO_LARGE') throw tooLarge(limit, limit + 1)
    if (typeof code !== 'string' || !/^Z_/.test(code)) throw error
    throw attestationErrors.error('AS.REQUEST.INVALID_JSON', 'body: is not gzip, as its Content-Encoding says')
  }
}

/** Reads the bodies of requests. Of long ones that arrive together each lets others go on before the next. */
export class BodyReader {
  readonly #clock: Clock
  readonly #nextRound: () => Promise<void>
  /** One after another: 4 KiB become 4 MiB, and all that arrive at once would be there at once. */
  readonly #unpacking = new Turns()
  readonly #longOnes = new Turns()

  /** `nextRound` resolves when others had their turn on the event loop; by default at once. */
  constructor(clock: Clock, nextRound: () => Promise<void> = async () => undefined) {
    this.#clock = clock
    this.#nextRound = nextRound
  }

  /**
   * Reads a body: at most `limit` bytes, counted while reading and again while unpacking, within 30 s (SVC-40, SVC-42), and
   * no more than `hold` has room for. Rejects with errors of `attestationErrors`, and with the reason of the signal. The
   * hold is the caller's to release.
   */
  async read(request: IncomingMessage, reading: Reading): Promise<Uint8Array> {
    const { signal } = reading
    signal.throwIfAborted()
    const [done, late] = [new AbortController(), new AbortController()]
    const says = `the body did not arrive within ${bodyMs} ms`
    this.#clock.sleep(bodyMs, done.signal).then(
      () => late.abort(attestationErrors.error('AS.REQUEST.TIMEOUT', says)),
      () => undefined,
    )
    try {
      const body = await collect(request, { ...reading, signal: AbortSignal.any([signal, late.signal]) })
      return await abandonable(this.#decoded(body, request.headers, reading), signal)
    } finally {
      done.abort()
    }
  }

  async #decoded(body: Uint8Array, headers: IncomingHttpHeaders, reading: Reading): Promise<Uint8Array> {
    const { signal } = reading
    const isPacked = encodingOf(headers) === 'gzip'
    const bytes = isPacked ? await this.#unpacking.take(() => unpacked(body, reading), signal) : body
    // A long body takes some milliseconds to parse.
    if (bytes.length > usualBody) await this.#longOnes.take(this.#nextRound, signal)
    return bytes
  }
}
