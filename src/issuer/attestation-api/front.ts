import { type IncomingMessage, STATUS_CODES } from 'node:http'
import type { Socket } from 'node:net'
import type { FastifyReply, FastifyRequest } from 'fastify'
import type { Clock } from '../../base/clock.ts'
import { drawUuid, type RandomSource } from '../../base/random.ts'
import { type Rate, TokenBuckets } from '../../base/token-buckets.ts'
import { composeProblem } from '../problem.ts'
import { BodyBudget } from './body-budget.ts'
import { addressKey } from './client-address.ts'
import { CrossOrigin } from './cross-origin.ts'
import { attestationErrors } from './errors.ts'
import { Exchange, type RequestEvent } from './exchange.ts'
import { requireReadable } from './request-body.ts'
import { ClientGone, retryAfterS, wireError } from './wire-error.ts'

export interface FrontOptions {
  readonly clock: Clock
  readonly random: RandomSource
  /** Origins of web pages that may ask (SVC-05); by default none. */
  readonly allowedOrigins?: readonly string[]
  /** Problems say nothing but status, code and instance (ERR-02): for listeners that anybody reaches. Default false. */
  readonly bareProblems?: boolean
  /** Requests with a body that one address may send (SVC-43). Default 20 a second, 40 at once. */
  readonly rate?: Rate
  /** Bytes of bodies that all requests together may hold. Default 128 MiB. */
  readonly mostBodyBytes?: number
  /** Told of a failure that is a bug, with the `instance` that the client was told. */
  readonly onBug?: (error: unknown, instance: string) => void
  /** Told of every request that has ended. */
  readonly onRequest?: (event: RequestEvent) => void
}

/** What a path takes. */
export interface Route {
  readonly methods: readonly string[]
  /** Bytes of a body; absent: there is none. */
  readonly longestBody?: number
}

const usualRate: Rate = { perS: 20, burst: 40 }
const usualBodyBytes = 128 * 1024 * 1024

/** What stands before the routes: who may ask, how often, with which head; and what everybody is told who may not. */
export class Front {
  readonly #options: FrontOptions
  readonly #routes = new Map<string, Route>()
  readonly #buckets: TokenBuckets
  readonly #budget: BodyBudget
  readonly #crossOrigin: CrossOrigin
  readonly #exchanges = new WeakMap<IncomingMessage, Exchange>()

  constructor(options: FrontOptions) {
    this.#options = options
    this.#buckets = new TokenBuckets(options.clock)
    this.#crossOrigin = new CrossOrigin(options.allowedOrigins ?? [])
    this.#budget = new BodyBudget(options.mostBodyBytes ?? usualBodyBytes)
  }

  /** Makes a path known; what is not known is answered with 404. */
  add(path: string, route: Route): void {
    this.#routes.set(path, route)
  }

  exchangeOf({ raw }: FastifyRequest): Exchange {
    const found = this.#exchanges.get(raw)
    if (found === undefined) throw new TypeError('a request that was not opened')
    return found
  }

  /** Looks at the head of a request, before any of its body is read. Throws errors of `attestationErrors`. */
  open(request: FastifyRequest, reply: FastifyReply): void {
    const path = request.url.split('?')[0] ?? ''
    const route = this.#routes.get(path)
    this.#begin(route === undefined ? null : path, request, reply)
    reply.header('x-content-type-options', 'nosniff')
    if (route === undefined) throw attestationErrors.error('AS.REQUEST.NOT_FOUND', 'nothing is served at this path')
    if (route.longestBody !== undefined && this.#crossOrigin.isPreflight(request)) {
      this.#crossOrigin.admitPreflight(request, reply)
      return
    }
    if (!route.methods.includes(request.method)) {
      reply.header('allow', route.methods.join(', '))
      throw attestationErrors.error('AS.REQUEST.METHOD_NOT_ALLOWED', 'the path does not take this method')
    }
    if (route.longestBody === undefined) return
    // Before the rate: a page can read why it has to wait.
    this.#crossOrigin.admit(request, reply)
    this.#requireRate(request)
    requireReadable(request.headers, route.longestBody)
  }

  /** Answers with a problem document (ERR-01), and tells of a bug (ERR-02: the client hears of it only its instance). */
  refuse(error: unknown, request: FastifyRequest, reply: FastifyReply): FastifyReply {
    // A URL that does not parse comes here at once.
    const exchange = this.#exchanges.get(request.raw) ?? this.#begin(null, request, reply)
    const isGone = error instanceof ClientGone || exchange.gone.aborted
    const known = wireError(error)
    const instance = this.#instance()
    if (known.status === 500 && !isGone) this.#options.onBug?.(error, instance)
    this.#note(exchange, known)
    const { status, body } = composeProblem(known, { instance, bare: this.#options.bareProblems ?? false })
    // A body that was not read must not be taken for the next request.
    if (request.raw.complete !== true) reply.header('connection', 'close')
    const waitS = retryAfterS(known)
    if (waitS !== null) reply.header('retry-after', String(waitS))
    reply.header('cache-control', 'no-store')
    return reply.code(status).type('application/problem+json').send(Buffer.from(body))
  }

  /** What Node's parser refuses never becomes a request: answers on the bare socket. */
  refuseBroken(error: NodeJS.ErrnoException, socket: Socket): void {
    if (!socket.writable || error.code === 'ECONNRESET') {
      socket.destroy()
      return
    }
    const refused = brokenRequest(error.code ?? '')
    const options = { instance: this.#instance(), bare: this.#options.bareProblems ?? false }
    const { status, body } = composeProblem(refused, options)
    const head = [
      `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? ''}`,
      'Connection: close',
      'Cache-Control: no-store',
      'Content-Type: application/problem+json',
      `Content-Length: ${Buffer.byteLength(body)}`,
    ]
    socket.end(`${head.join('\r\n')}\r\n\r\n${body}`)
  }

  #begin(route: string | null, { raw, ip }: FastifyRequest, reply: FastifyReply): Exchange {
    const hold = this.#budget.hold(addressKey(ip))
    const exchange = new Exchange(route, reply.raw, { ...this.#options, hold })
    this.#exchanges.set(raw, exchange)
    return exchange
  }

  #note(exchange: Exchange, { code, facts }: ReturnType<typeof wireError>): void {
    exchange.code = code
    exchange.causeCode = typeof facts['cause_code'] === 'string' ? facts['cause_code'] : null
  }

  #instance(): string {
    return `urn:uuid:${drawUuid(this.#options.random)}`
  }

  #requireRate(request: FastifyRequest): void {
    const waitMs = this.#buckets.take(addressKey(request.ip), this.#options.rate ?? usualRate)
    if (waitMs === 0) return
    const says = `the address sends too many requests; one more is allowed in ${waitMs} ms`
    throw attestationErrors.error('AS.REQUEST.RATE_LIMITED', says, { facts: { retry_after_ms: waitMs } })
  }
}

function brokenRequest(code: string) {
  if (code === 'ERR_HTTP_REQUEST_TIMEOUT') {
    return attestationErrors.error('AS.REQUEST.TIMEOUT', 'the request did not arrive in time')
  }
  if (code === 'HPE_HEADER_OVERFLOW') {
    return attestationErrors.error('AS.REQUEST.TOO_LARGE', 'the header of the request has more than 16384 bytes')
  }
  return attestationErrors.error('AS.REQUEST.INVALID_ARGUMENT', 'the request is not one of HTTP/1.1')
}
