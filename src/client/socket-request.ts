import { Agent, type ClientRequest, type IncomingMessage, request as openRequest } from 'node:http'
import { AttestdError } from '../base/errors.ts'
import type { JsonObject } from '../base/json.ts'
import { clientErrors } from './errors.ts'

export interface SocketRequest {
  /** Path of the Unix socket. */
  readonly socket: string
  readonly method: 'GET' | 'POST' | 'PUT' | 'DELETE'
  /** Path and query, as they are sent. */
  readonly path: string
  /** Sent as JSON. */
  readonly body?: JsonObject
  /** Sent as it is, in place of `body`. */
  readonly upload?: { readonly bytes: Uint8Array; readonly mediaType: string }
  readonly accept?: string
  /** Longest time in milliseconds from now to the last byte of the answer. */
  readonly timeoutMs: number
  /** Longest body that is taken, in bytes; default 1 MiB. */
  readonly longestBody?: number
  readonly signal?: AbortSignal
}

export interface SocketAnswer {
  readonly status: number
  readonly headers: Readonly<Record<string, string | undefined>>
  readonly body: string
}

/** Connections that are kept open between requests. */
export interface SocketPool {
  readonly agent: Agent
  close(): void
}

const defaultLongestBody = 1 << 20
const longestHead = 16_384

/** Below the 60 s after which an agent closes an idle connection (API-22), so that requests seldom meet a closed one. */
const idleMs = 45_000

/** A process needs few connections: the agent answers from its cache, and gives one user at most 32 (API-23). */
const mostConnections = 4

/** Idle connections of a pool do not keep the process alive. */
export function openSocketPool(): SocketPool {
  const agent = new Agent({ keepAlive: true, maxSockets: mostConnections, maxFreeSockets: 1, timeout: idleMs })
  return { agent, close: () => agent.destroy() }
}

function errnoOf(error: unknown): string {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : 'no answer'
}

/** Advice for the case at hand; what else may be wrong has the declared one. */
const remedies: Readonly<Record<string, string>> = {
  ENOENT:
    'there is no socket at this path: start the agent (systemctl start attestd); in a container mount the folder of the socket, for a mounted socket goes stale when the agent starts anew; ATTESTD_SOCKET or --socket names another path',
  ECONNREFUSED:
    'nobody listens on this socket: start the agent (systemctl start attestd); in a container mount the folder of the socket, for a mounted socket goes stale when the agent starts anew',
}

function connectionError(socket: string, cause: unknown): AttestdError {
  const errno = errnoOf(cause)
  const detail = `${socket}: ${errno}`
  if (errno === 'EACCES' || errno === 'EPERM') return clientErrors.error('SOCKET_FORBIDDEN', detail, { cause })
  if (errno.startsWith('HPE_')) return clientErrors.error('AGENT_ANSWER', detail, { cause })
  const remedy = remedies[errno]
  return clientErrors.error('AGENT_NOT_REACHED', detail, { cause, ...(remedy === undefined ? {} : { remedy }) })
}

/** The whole body as text, or an error: one that is too long is not read to its end. */
async function readBody(incoming: IncomingMessage, longest: number): Promise<string> {
  const chunks: Buffer[] = []
  let size = 0
  for await (const chunk of incoming as AsyncIterable<Buffer>) {
    size += chunk.length
    if (size > longest) throw clientErrors.error('AGENT_ANSWER', `the answer is longer than ${longest} bytes`)
    chunks.push(chunk)
  }
  return Buffer.concat(chunks).toString()
}

function singleHeaders(headers: IncomingMessage['headers']): SocketAnswer['headers'] {
  const single = Object.entries(headers).filter((entry): entry is [string, string] => typeof entry[1] === 'string')
  return Object.fromEntries(single)
}

function payloadOf({ body, upload }: SocketRequest): SocketRequest['upload'] {
  return upload ?? (body && { bytes: Buffer.from(JSON.stringify(body)), mediaType: 'application/json' })
}

function open(request: SocketRequest, pool: SocketPool | null): ClientRequest {
  const { socket, method, path, accept } = request
  const payload = payloadOf(request)
  const outgoing = openRequest({
    socketPath: socket,
    agent: pool ? pool.agent : false,
    method,
    path,
    maxHeaderSize: longestHead,
    headers: {
      ...(accept === undefined ? {} : { accept }),
      ...(payload && { 'content-type': payload.mediaType, 'content-length': payload.bytes.length }),
    },
  })
  return outgoing.end(payload?.bytes)
}

function send(request: SocketRequest, outgoing: ClientRequest): Promise<SocketAnswer> {
  const { longestBody = defaultLongestBody } = request
  return new Promise((resolve, reject) => {
    outgoing.once('error', reject)
    outgoing.once('response', (incoming) => {
      const { statusCode: status = 0, headers } = incoming
      const answer = (body: string) => resolve({ status, headers: singleHeaders(headers), body })
      readBody(incoming, longestBody).then(answer, (error) => {
        reject(error)
        outgoing.destroy()
      })
    })
  })
}

/** A connection of the pool may have been closed by the agent just before: nothing of the request was done then. */
function wasStale(outgoing: ClientRequest, error: unknown): boolean {
  return outgoing.reusedSocket && ['ECONNRESET', 'EPIPE'].includes(errnoOf(error))
}

async function attempt(request: SocketRequest, pool: SocketPool | null): Promise<SocketAnswer> {
  const { socket, timeoutMs, signal } = request
  const outgoing = open(request, pool)
  const end = () => outgoing.destroy()
  let late = false
  const timer = setTimeout(() => {
    late = true
    outgoing.destroy()
  }, timeoutMs)
  signal?.addEventListener('abort', end, { once: true })
  try {
    return await send(request, outgoing)
  } catch (error) {
    signal?.throwIfAborted()
    if (late) throw clientErrors.error('AGENT_TOO_SLOW', `${socket}: no answer within ${timeoutMs} ms`)
    if (error instanceof AttestdError) throw error
    if (pool !== null && wasStale(outgoing, error)) return await attempt(request, null)
    throw connectionError(socket, error)
  } finally {
    clearTimeout(timer)
    signal?.removeEventListener('abort', end)
  }
}

/**
 * Asks an agent over its Unix socket: over a connection of `pool`, or over one of its own if that is null. Gives any
 * answer, problems included. Throws `AGENT_NOT_REACHED`, `SOCKET_FORBIDDEN`, `AGENT_TOO_SLOW` or `AGENT_ANSWER`, and the
 * reason of the signal once that aborts. Nothing but the socket is ever asked (API-170).
 */
export async function askSocket(request: SocketRequest, pool: SocketPool | null): Promise<SocketAnswer> {
  request.signal?.throwIfAborted()
  return attempt(request, pool)
}
