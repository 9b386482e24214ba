import type { Socket } from 'node:net'
import type { FastifyReply, FastifyRequest } from 'fastify'
import type { AttestdError } from '../base/errors.ts'
import type { Connection, Place } from './connection.ts'
import { Door, type DoorOptions, rawProblem } from './door.ts'
import { workloadApiErrors } from './errors.ts'
import { Exchange, type ExchangeContext } from './exchange.ts'
import { readBody } from './request-body.ts'
import { drawRequestId } from './request-id.ts'
import type { Route } from './route.ts'
import { RouteTable } from './route-table.ts'
import { announcesBody, screenRequest, splitTarget } from './screening.ts'
import type { WorkloadLog } from './workload-log.ts'
import { WrittenTokens } from './written-tokens.ts'

export interface HttpFrontOptions extends DoorOptions {
  readonly routes: readonly Route[]
  readonly log: WorkloadLog
  /** True: bodies are read as what the route takes them for, whatever Content-Type says (API-132). Default: JSON only. */
  readonly anyBodyType?: boolean
  /** Called for each request of an identified caller, before its body is read; throws to refuse it (API-81). */
  readonly requireRate: (exchange: Exchange) => void
}

/** Errors of Node's HTTP parser and of its time limits as problems (API-28). */
function parserError(error: NodeJS.ErrnoException): AttestdError | null {
  if (error.code === 'HPE_HEADER_OVERFLOW') return workloadApiErrors.error('header_too_large', 'more than 8 KiB')
  if (error.code === 'ERR_HTTP_REQUEST_TIMEOUT') {
    return workloadApiErrors.error('request_timeout', 'the request did not arrive in time')
  }
  if (!error.code?.startsWith('HPE_')) return null
  return workloadApiErrors.error('invalid_request', `not an HTTP/1.1 message (${error.code})`)
}

/**
 * Where a request of Fastify holds its exchange. A WeakMap would keep every request alive until its table is collected
 * with the old objects: the collector of young ones takes its values for used.
 */
export const exchangeName = 'exchange'

/**
 * What happens to a request before its route sees it: it is counted on its connection, its head is judged, its caller is
 * looked at, its body is read.
 */
export class HttpFront {
  readonly door: Door
  readonly table: RouteTable
  #options: HttpFrontOptions
  #context: ExchangeContext

  constructor(options: HttpFrontOptions) {
    this.#options = options
    this.#context = { ...options, writtenTokens: new WrittenTokens() }
    this.door = new Door(options)
    this.table = new RouteTable(options.routes)
  }

  /** Fastify decodes and normalises targets; only those that match byte for byte may reach its router (API-25). */
  routedUrl(target: string): string {
    return this.table.find(splitTarget(target).path)?.path ?? '/'
  }

  /** Takes a request in, or throws the problem. What comes behind a closing answer is left without one. */
  open(request: FastifyRequest, reply: FastifyReply): Promise<void> | null {
    const connection = this.door.connectionOf(request.raw.socket)
    const place = connection.admit(reply.raw)
    if (place === null) {
      reply.hijack()
      return null
    }
    const exchange = this.#begin(request, reply, connection, place)
    const { listener, limits, anyBodyType = false } = this.#options
    const context = { listener, limits, anyBodyType, table: this.table }
    const { route, query, parameters } = screenRequest(request.raw, request.originalUrl, context)
    // Fastify, too, would judge it.
    if (anyBodyType) delete request.raw.headers['content-type']
    exchange.route = route.path
    exchange.parameters = parameters
    exchange.query = query
    const ownId = request.headers['attestd-request-id']
    exchange.callerRequestId = typeof ownId === 'string' ? ownId : null
    if (!route.caller) return null
    const asked = exchange.requireCaller()
    if (asked !== null) return asked.then(() => this.#options.requireRate(exchange))
    this.#options.requireRate(exchange)
    return null
  }

  exchangeOf(request: FastifyRequest): Exchange {
    const exchange = request.getDecorator<Exchange | null>(exchangeName)
    if (!exchange) throw new TypeError('a request that was not opened')
    return exchange
  }

  /** Reads the body that the head announces. */
  async readBody(request: FastifyRequest, exchange: Exchange): Promise<void> {
    if (request.headers.expect !== undefined) exchange.writeContinue()
    exchange.body = await readBody(request.raw, exchange.connection, this.#options)
    exchange.bodyUnread = false
  }

  clientError(error: NodeJS.ErrnoException, socket: Socket): void {
    const problem = parserError(error)
    if (problem === null || !socket.writable) socket.destroy()
    else this.door.connectionOf(socket).failParsing(problem, rawProblem(problem, this.#options))
  }

  #begin(request: FastifyRequest, reply: FastifyReply, connection: Connection, place: Place): Exchange {
    const id = drawRequestId(this.#options.random)
    const exchange = new Exchange({ id, reply, connection, place, method: request.method }, this.#context)
    request.setDecorator(exchangeName, exchange)
    exchange.bodyUnread = announcesBody(request.raw)
    if (request.raw.httpVersion !== '1.1') connection.closeAfterAnswer()
    if (!place.excess) return exchange
    throw workloadApiErrors.error('rate_limited', 'too many unanswered requests on this connection', {
      facts: { retry_after_ms: 1000 },
    })
  }
}
