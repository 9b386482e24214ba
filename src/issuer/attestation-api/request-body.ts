import type { IncomingHttpHeaders, IncomingMessage } from 'node:http'
import { promisify } from 'node:util'
import { gunzip } from 'node:zlib'
import type { Clock } from '../../base/clock.ts'
import { abandonable } from '../../base/tasks.ts'
import type { BodyHold } from './body-budget.ts'
import { attestationErrors } from './errors.ts'
import { ClientGone } from './wire-error.ts'

/** Default for the body of a request for attestation of a TD (SVC-40). */
export const longestBody = 4 * 1024 * 1024
const bodyMs = 30_000
/** SVC-05: the documented command line sends JSON as a form. */
const mediaTypes = /^(?:application\/(?:json|x-www-form-urlencoded)|[\w.!#$&^-]+\/[\w.!#$&^-]+\+json|text\/plain)$/
const inflate = promisify(gunzip)

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

function collect(request: IncomingMessage, { limit, hold, signal }: Reading): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = []
    let size = 0
    const finish = (settle: () => void) => {
      request.off('data', onData).off('end', onEnd).off('error', onError).pause()
      signal.removeEventListener('abort', onAbort)
      settle()
    }
    const onData = (chunk: Buffer) => {
      size += chunk.length
      try {
        if (size > limit) throw tooLarge(limit, size)
        hold.take(chunk.length)
        chunks.push(chunk)
      } catch (error) {
        finish(() => reject(error))
      }
    }
    const onEnd = () => finish(() => resolve(Buffer.concat(chunks)))
    const onError = () => finish(() => reject(new ClientGone()))
    const onAbort = () => finish(() => reject(signal.reason))
    request.on('data', onData).on('end', onEnd).on('error', onError)
    signal.addEventListener('abort', onAbort, { once: true })
  })
}

async function decoded(body: Buffer, encoding: string, { limit, hold }: Reading): Promise<Uint8Array> {
  if (encoding !== 'gzip') return body
  try {
    const unpacked = await inflate(body, { maxOutputLength: limit })
    hold.take(unpacked.length)
    return unpacked
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? error.code : undefined
    if (code === 'ERR_BUFFER_TOO_LARGE') throw tooLarge(limit, limit + 1)
    if (typeof code !== 'string' || !/^Z_/.test(code)) throw error
    throw attestationErrors.error('AS.REQUEST.INVALID_JSON', 'body: is not gzip, as its Content-Encoding says')
  }
}

/**
 * Reads the body of a request: at most `limit` bytes, counted while reading and again while unpacking, within 30 s
 * (SVC-40, SVC-42), and no more than `hold` has room for. Rejects with errors of `attestationErrors`, and with the reason
 * of the signal. The hold is the caller's to release.
 */
export async function readBody(
  request: IncomingMessage,
  { clock, ...reading }: Reading & { readonly clock: Clock },
): Promise<Uint8Array> {
  const { signal } = reading
  signal.throwIfAborted()
  const [done, late] = [new AbortController(), new AbortController()]
  const says = `the body did not arrive within ${bodyMs} ms`
  clock.sleep(bodyMs, done.signal).then(
    () => late.abort(attestationErrors.error('AS.REQUEST.TIMEOUT', says)),
    () => undefined,
  )
  try {
    const body = await collect(request, { ...reading, signal: AbortSignal.any([signal, late.signal]) })
    return await abandonable(decoded(body, encodingOf(request.headers), reading), signal)
  } finally {
    done.abort()
  }
}
