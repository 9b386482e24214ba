import { openedOnce } from '../../base/opened-once.ts'
import type { AttestationTransport } from './attestation-transport.ts'

export interface AttestationTransportOptions {
  /** PEM; replaces the certificate authorities of Node for a service with a private one. */
  readonly ca?: string
  /** TCP and TLS together; default 3 000 (BRK-48). */
  readonly connectMs?: number
  /** From the request sent to the end of the answer's headers; default 10 000 (BRK-48). */
  readonly headersMs?: number
}

/** An answer that is longer than it may be: nothing of it is used. */
class AnswerTooLarge extends Error {
  readonly code = 'ANSWER_TOO_LARGE'
}

async function readBody(body: AsyncIterable<Uint8Array>, maxBytes: number): Promise<Uint8Array> {
  const chunks: Uint8Array[] = []
  let size = 0
  for await (const chunk of body) {
    size += chunk.length
    if (size > maxBytes) throw new AnswerTooLarge(`the answer is longer than ${maxBytes} bytes`)
    chunks.push(chunk)
  }
  return new Uint8Array(Buffer.concat(chunks))
}

function single(header: string | string[] | undefined): string | null {
  return typeof header === 'string' ? header : null
}

/**
 * The HTTP client of remote verifiers: undici with explicit limits, no redirects, no proxy, no cookies, no content
 * coding, one connection a request. Certificates are always verified: an environment that switches that off
 * (NODE_TLS_REJECT_UNAUTHORIZED) is not heard. The limit of the whole exchange is the caller's, by its signal.
 */
export function createAttestationTransport(options: AttestationTransportOptions = {}): AttestationTransport {
  const { ca, connectMs = 3_000, headersMs = 10_000 } = options
  const connect = { timeout: connectMs, rejectUnauthorized: true, ...(ca === undefined ? {} : { ca }) }
  const client = openedOnce(async () => {
    const { Agent, request } = await import('undici')
    return { request, dispatcher: new Agent({ connect, headersTimeout: headersMs }) }
  })
  return {
    async post({ url, headers, body, maxBytes }, signal) {
      const { request, dispatcher } = await client()
      const answer = await request(url, { method: 'POST', headers, body, dispatcher, signal, reset: true })
      const { 'content-type': contentType, 'retry-after': retryAfter } = answer.headers
      const { statusCode: status } = answer
      return {
        status,
        contentType: single(contentType),
        retryAfter: single(retryAfter),
        body: await readBody(answer.body, maxBytes),
      }
    },
  }
}
