import { openedOnce } from '../../base/opened-once.ts'
import type { CollateralAnswer, CollateralTransport } from './ports.ts'
import { timeLimits } from './time-limit.ts'

/** TDX-206: a chain of two certificates takes about 5 KiB. */
const longestHeaders = 65_536

export interface CollateralTransportOptions {
  /** PEM; replaces the certificate authorities of Node for a service with a private one. */
  readonly ca?: string
  /** False: the server may be anybody. Only for hosts that `parsePccsBase` allows it for. Default true. */
  readonly verifyCertificate?: boolean
}

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

function singleHeaders(headers: Readonly<Record<string, string | string[] | undefined>>): Record<string, string> {
  const single: Record<string, string> = Object.create(null)
  for (const [name, value] of Object.entries(headers)) {
    if (typeof value === 'string') single[name.toLowerCase()] = value
  }
  return single
}

/**
 * The HTTP client of collateral: undici, no redirects, no proxy, no cookies, no content coding, 5 s to connect, 64 KiB
 * of headers (TDX-206). Certificates are verified unless told otherwise here: an environment that switches that off
 * (NODE_TLS_REJECT_UNAUTHORIZED) is not heard.
 */
export function createCollateralTransport(options: CollateralTransportOptions = {}): CollateralTransport {
  const { ca, verifyCertificate = true } = options
  const connect = {
    timeout: timeLimits.connect,
    rejectUnauthorized: verifyCertificate,
    ...(ca === undefined ? {} : { ca }),
  }
  const client = openedOnce(async () => {
    const { Agent, request } = await import('undici')
    return { request, dispatcher: new Agent({ connect, maxHeaderSize: longestHeaders }) }
  })
  const headers = { accept: '*/*', 'accept-encoding': 'identity' }
  return {
    async get(url, { maxBytes, signal }): Promise<CollateralAnswer> {
      const { request, dispatcher } = await client()
      const answer = await request(url, { dispatcher, headers, signal, reset: true })
      const body = await readBody(answer.body, maxBytes)
      return { status: answer.statusCode, headers: singleHeaders(answer.headers), body }
    },
  }
}
