import type { IncomingMessage } from 'node:http'
import { invalidRequest, noSuchRoute, workloadApiErrors } from './errors.ts'
import type { WorkloadLimits } from './limits.ts'
import type { Route } from './route.ts'
import type { RouteTable } from './route-table.ts'

/** Signs of a request that somebody relays for somebody else (API-30). */
const relayHeaders = [
  'origin',
  'sec-fetch-site',
  'referer',
  'x-forwarded-for',
  'x-forwarded-host',
  'forwarded',
  'via',
] as const

const localHost = /^(?:127\.0\.0\.1|localhost|\[::1\])(?::[0-9]{1,5})?$/

/** Path and query of a raw target, split at the first `?` and not touched otherwise (API-25). */
export function splitTarget(target: string): { path: string; query: string | null } {
  const at = target.indexOf('?')
  return at < 0 ? { path: target, query: null } : { path: target.slice(0, at), query: target.slice(at + 1) }
}

/** Times that a field occurs; Node joins or drops repeated fields, so only the raw list tells (API-29). */
export function occurrences({ rawHeaders }: IncomingMessage, name: string): number {
  let count = 0
  for (let at = 0; at < rawHeaders.length; at += 2) if (rawHeaders[at]?.toLowerCase() === name) count++
  return count
}

/** The spaces of the request line, its version and end, and the empty line. */
const fixedHeaderBytes = '  HTTP/1.1\r\n\r\n'.length

/** Bytes of request line and header section, as they were sent except for optional white space. */
function headerBytes({ method, rawHeaders }: IncomingMessage, target: string): number {
  const lines = rawHeaders.reduce((sum, text) => sum + text.length + 2, 0)
  return (method?.length ?? 0) + target.length + fixedHeaderBytes + lines
}

function requireSize(request: IncomingMessage, target: string, limits: WorkloadLimits): void {
  const fields = request.rawHeaders.length / 2
  if (fields > limits.headerFields) {
    throw workloadApiErrors.error('header_too_large', `${fields} header fields; ${limits.headerFields} are allowed`)
  }
  const bytes = headerBytes(request, target)
  if (bytes > limits.headerBytes) {
    throw workloadApiErrors.error('header_too_large', `${bytes} bytes; ${limits.headerBytes} are allowed`)
  }
}

function requireDirect({ headers }: IncomingMessage): void {
  const found = relayHeaders.find((name) => headers[name] !== undefined)
  if (found) throw workloadApiErrors.error('browser_or_proxy', `the request has the header ${found}`)
}

/** TCP listeners answer to the names of this host only: a foreign name is DNS rebinding (API-29). */
function requireLocalHost(request: IncomingMessage): void {
  if (occurrences(request, 'host') === 1 && localHost.test(request.headers.host ?? '')) return
  throw workloadApiErrors.error('misdirected', 'the header Host must be there once and name this host')
}

function requireTarget(request: IncomingMessage, target: string, limits: WorkloadLimits): void {
  if (!target.startsWith('/') && !(target === '*' && request.method === 'OPTIONS')) {
    throw invalidRequest('target', 'is not a path')
  }
  if (target.length > limits.targetBytes) {
    throw workloadApiErrors.error('uri_too_long', `${target.length} bytes; ${limits.targetBytes} are allowed`)
  }
}

function requireRoute(
  request: IncomingMessage,
  path: string,
  table: RouteTable,
): Pick<Screened, 'route' | 'parameters'> {
  const found = path === '*' ? null : table.find(path)
  if (found === null && path !== '*') throw noSuchRoute()
  const route = found?.methods.get(request.method ?? '')
  if (found && route) return { route, parameters: found.parameters }
  const allow = found === null ? 'GET, HEAD, POST' : [...found.methods.keys()].join(', ')
  throw workloadApiErrors.error('method_not_allowed', `this route has ${allow}`, { facts: { allow } })
}

/** Whether a body follows the header section. */
export function announcesBody({ headers }: IncomingMessage): boolean {
  return headers['transfer-encoding'] !== undefined || Number(headers['content-length'] ?? 0) > 0
}

function requireBodyForm(request: IncomingMessage, { limits, anyBodyType }: ScreeningContext): void {
  if (request.method !== 'POST') {
    if (announcesBody(request)) throw invalidRequest('body', `${request.method} has none`)
    return
  }
  if (Number(request.headers['content-length'] ?? 0) > limits.bodyBytes) {
    throw workloadApiErrors.error('body_too_large', `${limits.bodyBytes} bytes are allowed`)
  }
  if (anyBodyType) return
  const count = occurrences(request, 'content-type')
  if (count > 1) throw invalidRequest('Content-Type', 'is given twice')
  const type = request.headers['content-type']?.split(';')[0]?.trim().toLowerCase()
  if (count === 1 && type !== 'application/json') {
    throw workloadApiErrors.error('unsupported_media_type', 'the body is declared as something else than JSON')
  }
}

function requireHeaders(request: IncomingMessage): void {
  const { expect } = request.headers
  if (expect !== undefined && expect.toLowerCase() !== '100-continue') {
    throw invalidRequest('Expect', 'is not 100-continue')
  }
  const id = request.headers['attestd-request-id']
  if (id !== undefined && !(typeof id === 'string' && /^[A-Za-z0-9._-]{1,64}$/.test(id))) {
    throw invalidRequest('Attestd-Request-Id', 'is not 1 to 64 of A-Z a-z 0-9 . _ -')
  }
}

export interface ScreeningContext {
  readonly listener: string
  readonly limits: WorkloadLimits
  readonly table: RouteTable
  /** True: the declared type of a body is not looked at. */
  readonly anyBodyType: boolean
}

export interface Screened {
  readonly route: Route
  /** What stands at the places of the path of the route, in their order. */
  readonly parameters: readonly string[]
  readonly query: string | null
}

/**
 * Judges the head of a request before anything is done for it (API-20, API-21, API-25 to API-33). `target` is the raw
 * target of the request line. Gives the route, or throws the problem.
 */
export function screenRequest(request: IncomingMessage, target: string, context: ScreeningContext): Screened {
  const { listener, limits, table } = context
  if (request.httpVersion !== '1.1' && request.httpVersion !== '1.0') throw invalidRequest('version', 'is not HTTP/1.1')
  requireSize(request, target, limits)
  requireDirect(request)
  if (listener.startsWith('tcp:')) requireLocalHost(request)
  requireTarget(request, target, limits)
  const { path, query } = splitTarget(target)
  const found = requireRoute(request, path, table)
  requireHeaders(request)
  requireBodyForm(request, context)
  return { ...found, query }
}
