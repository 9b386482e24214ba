import { once } from 'node:events'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import type { AddressInfo } from 'node:net'

/** One request as it came: nothing of it is decoded. */
export interface ReceivedRequest {
  readonly method: string
  /** Path and query. */
  readonly target: string
  readonly headers: IncomingMessage['headers']
  readonly body: Uint8Array
}

export interface DoubleAnswer {
  readonly status: number
  readonly type: string
  readonly body: string
  readonly headers?: Readonly<Record<string, string>>
}

/** Key and certificate chain, PEM. */
export interface ServerTls {
  readonly key: string
  readonly cert: string
}

export interface HttpDouble {
  /** `http://127.0.0.1:port`, with TLS `https://127.0.0.1:port`. */
  readonly url: string
  /** `127.0.0.1:port`. */
  readonly host: string
  /** All requests so far, the oldest first, at most 1024. */
  readonly received: readonly ReceivedRequest[]
  close(): Promise<void>
}

/** STS take tokens of at most 20 000 characters; every one of them may come as three. */
const largestBody = 131_072

async function readBody(request: IncomingMessage): Promise<Uint8Array> {
  const chunks: Buffer[] = []
  let size = 0
  for await (const chunk of request as AsyncIterable<Buffer>) {
    size += chunk.length
    if (size > largestBody) throw new Error(`a body of more than ${largestBody} bytes`)
    chunks.push(chunk)
  }
  return new Uint8Array(Buffer.concat(chunks))
}

async function receive(request: IncomingMessage): Promise<ReceivedRequest> {
  const { method = '', url: target = '', headers } = request
  return { method, target, headers, body: await readBody(request) }
}

function send(response: ServerResponse, { status, type, body, headers }: DoubleAnswer): void {
  response.writeHead(status, { 'content-type': type, 'content-length': Buffer.byteLength(body), ...headers }).end(body)
}

async function closeServer(server: Server): Promise<void> {
  const closed = once(server, 'close')
  server.close()
  server.closeAllConnections()
  await closed
}

/** Serves `answer` on any free port of loopback, and keeps what was received. An error of `answer` cuts the connection. */
export async function openHttpDouble(
  answer: (request: ReceivedRequest) => DoubleAnswer | Promise<DoubleAnswer>,
  tls?: ServerTls,
): Promise<HttpDouble> {
  const received: ReceivedRequest[] = []
  const limits = { maxHeaderSize: largestBody }
  const server = tls === undefined ? createServer(limits) : createTlsServer({ ...limits, ...tls })
  server.on('request', (request: IncomingMessage, response: ServerResponse) => {
    receive(request)
      .then((whole) => {
        received.push(whole)
        if (received.length > 1024) received.shift()
        return answer(whole)
      })
      .then((given) => send(response, given))
      .catch((error: unknown) => {
        process.stderr.write(`double: ${error instanceof Error ? error.message : 'failed'}\n`)
        response.destroy()
      })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const host = `127.0.0.1:${(server.address() as AddressInfo).port}`
  return { url: `${tls === undefined ? 'http' : 'https'}://${host}`, host, received, close: () => closeServer(server) }
}
