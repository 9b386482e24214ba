import { openedOnce } from '../base/opened-once.ts'
import type { KeyAnswer, KeyTransport } from './obtain-keys.ts'

/** Reads at most `maxBytes`; a longer body is an error as soon as the limit is passed, whatever its announced length. */
async function readBody(body: AsyncIterable<Uint8Array>, maxBytes: number): Promise<Uint8Array> {
  const chunks: Uint8Array[] = []
  let size = 0
  for await (const chunk of body) {
    size += chunk.length
    if (size > maxBytes) throw new Error(`the answer is longer than ${maxBytes} bytes`)
    chunks.push(chunk)
  }
  return new Uint8Array(Buffer.concat(chunks))
}

/**
 * The HTTP client of discovery: undici, no redirects, no proxy, no cookies, no content coding, one connection a request.
 * `ca` (PEM) replaces the certificate authorities of Node for issuers with a private one. Certificates are always
 * verified: an environment that switches that off (NODE_TLS_REJECT_UNAUTHORIZED) is not heard.
 */
export function createKeyTransport(options: { readonly ca?: string } = {}): KeyTransport {
  const client = openedOnce(async () => {
    const { Agent, request } = await import('undici')
    const dispatcher = new Agent({ connect: { ...options, rejectUnauthorized: true } })
    return { request, dispatcher }
  })
  const headers = { accept: 'application/json, application/jwk-set+json', 'accept-encoding': 'identity' }
  return {
    async get(url, { maxBytes, signal }): Promise<KeyAnswer> {
      const { request, dispatcher } = await client()
      const answer = await request(url, { dispatcher, headers, signal, reset: true })
      const { location } = answer.headers
      const body = await readBody(answer.body, maxBytes)
      return { status: answer.statusCode, body, ...(typeof location === 'string' ? { location } : {}) }
    },
  }
}
