import type { FastifyReply } from 'fastify'
import type { Clock } from '../base/clock.ts'
import { AttestdError } from '../base/errors.ts'
import { type JsonObject, parseJsonObject } from '../base/json.ts'
import { abandonable } from '../base/tasks.ts'
import type { CallerIdentity } from '../policies/caller-identity.ts'
import type { Connection, Place } from './connection.ts'
import { settlesAtOnce } from './deadline.ts'
import { workloadApiErrors } from './errors.ts'
import type { WorkloadLimits } from './limits.ts'
import { apiError, type ErrorEncoder, type ProblemAnswer } from './problem.ts'
import { type ParameterForm, parseQuery } from './query.ts'
import { occurrences } from './screening.ts'
import type { WorkloadLog, WorkloadObserver } from './workload-log.ts'
import type { WrittenTokens } from './written-tokens.ts'

export interface Answer {
  readonly status: number
  readonly type: string
  /** null: an answer to HEAD whose length is not known without work. */
  readonly body: string | null
  readonly headers?: Readonly<Record<string, string>>
  /** Where a token came from. */
  readonly source?: string
  readonly code?: string
}

export interface ExchangeContext {
  readonly listener: string
  readonly clock: Pick<Clock, 'now' | 'monotonic'>
  readonly limits: WorkloadLimits
  readonly log: WorkloadLog
  readonly observe: WorkloadObserver
  readonly encodeError: ErrorEncoder
  /** Of the server, for all of its exchanges. */
  readonly writtenTokens: WrittenTokens
}

export interface ExchangeRequest {
  readonly id: string
  readonly reply: FastifyReply
  readonly connection: Connection
  readonly place: Place
  readonly method: string
}

/** One request and its one answer (API-35). */
export class Exchange {
  readonly id: string
  readonly connection: Connection
  readonly method: string
  /** Monotonic milliseconds at which the head of the request was there. */
  readonly arrivedAt: number
  /** Set when the route is known. */
  route = 'none'
  query: string | null = null
  /** What stands at the places of the path of the route, in their order. */
  parameters: readonly string[] = []
  body: Uint8Array = new Uint8Array(0)
  /** Part of the request that nobody has read: the connection cannot go on behind the answer. */
  bodyUnread = false
  /** The caller's own id of the request; logged, never used (API-32). */
  callerRequestId: string | null = null
  #context: ExchangeContext
  #reply: FastifyReply
  #place: Place
  #caller: CallerIdentity | null = null
  /** The caller could not be confirmed: nothing more is answered on this connection (API-46, API-47). */
  #lost = false

  constructor(request: ExchangeRequest, context: ExchangeContext) {
    this.id = request.id
    this.connection = request.connection
    this.method = request.method
    this.arrivedAt = context.clock.monotonic()
    this.#context = context
    this.#reply = request.reply
    this.#place = request.place
  }

  /** The process that connected. Only on routes with a caller. */
  get caller(): CallerIdentity {
    if (this.#caller === null) throw new TypeError(`${this.route} has no caller`)
    return this.#caller
  }

  /** What stands at the first place of the path of the route. */
  get parameter(): string | null {
    return this.parameters[0] ?? null
  }

  /** Aborts when nobody is there to read an answer (API-34). */
  get gone(): AbortSignal {
    return this.connection.gone
  }

  /** Identifies the caller, or checks again that it is still the one that connected. A promise only if there is something to wait for. */
  requireCaller(): Promise<void> | null {
    if (this.connection.caller === null) throw new TypeError('a listener without callers has a route with one')
    try {
      const caller = this.connection.caller.requireThere()
      if (caller instanceof Promise) return this.#awaitCaller(caller)
      this.#caller = caller
      return null
    } catch (error) {
      this.#lost = true
      throw error
    }
  }

  async #awaitCaller(asked: Promise<CallerIdentity>): Promise<void> {
    try {
      this.#caller = await asked
    } catch (error) {
      this.#lost = true
      throw error
    }
  }

  /**
   * Resolves when this answer is the next one on the wire and the caller is still there. What must hold when the
   * answer is written is tested after this, without waiting in between. True: earlier answers of the connection had to be
   * waited for, and what this answer was made of may be out of date.
   */
  async readyToWrite(): Promise<boolean> {
    const behind = await this.#awaitTurn(this.#place.turn)
    const asked = this.#caller === null ? null : this.requireCaller()
    if (asked !== null) await asked
    return behind
  }

  async #awaitTurn(turn: Place['turn']): Promise<boolean> {
    if (turn === null || (await settlesAtOnce(turn))) return false
    await abandonable(turn, this.connection.gone)
    return true
  }

  /** The sender of a body waits for this before it sends it. */
  writeContinue(): void {
    this.#reply.raw.writeContinue()
  }

  /** Resolves when the caller has taken the answer, or its connection has ended. */
  left(): Promise<void> {
    const { raw } = this.#reply
    if (raw.closed || raw.destroyed) return Promise.resolve()
    return new Promise((resolve) => raw.once('close', resolve))
  }

  async answer(answer: Answer): Promise<void> {
    await this.readyToWrite()
    this.write(answer)
  }

  /** Writes the answer now. Late ones are dropped and counted (API-35). */
  write(answer: Answer): void {
    const { observe, listener } = this.#context
    if (this.#reply.sent || this.connection.isGone) {
      observe({ event: 'late_result_dropped', listener })
      if (!this.#reply.sent) this.#reply.hijack()
      return
    }
    const closes = this.bodyUnread || this.#lost || this.connection.endsWith(this.#place.ordinal)
    if (closes) this.connection.closeAfterAnswer()
    const body = answer.body === null ? null : this.#context.writtenTokens.bodyOf(answer.body)
    if (answer.status === 200 && this.method !== 'HEAD') this.#checkEnds(body?.ends ?? [])
    this.#send(answer, body?.bytes ?? null, closes)
    this.#record(answer)
  }

  /** BRK-167: counts what every guard before this one must have stopped. */
  #checkEnds(ends: readonly number[]): void {
    const { clock, observe, listener } = this.#context
    const nowS = clock.now() / 1000
    for (const end of ends) {
      if (end <= nowS) observe({ event: 'expired_token_written', listener, route: this.route })
    }
  }

  /** Past Fastify, which would make the bytes of each text anew and add a charset to its media type. */
  #send({ status, type, headers }: Answer, bytes: Uint8Array | null, closes: boolean): void {
    const fields: Record<string, string | number> = {
      'cache-control': 'no-store',
      'x-content-type-options': 'nosniff',
      'attestd-request-id': this.id,
      'content-type': type,
      ...headers,
    }
    if (closes) fields['connection'] = 'close'
    const silent = this.method === 'HEAD'
    if (bytes !== null || !silent) fields['content-length'] = bytes?.length ?? 0
    const { raw } = this.#reply.hijack()
    raw.writeHead(status, fields)
    if (silent || bytes === null) raw.end()
    else raw.end(bytes)
  }

  /** Answers with the problem that `error` is; what is no problem of the API is a fault of the agent (500). */
  fail(error: unknown): void {
    const known = apiError(error)
    if (known === undefined && !this.connection.isGone) this.#logFault(error)
    const told = known ?? workloadApiErrors.error('internal', 'the request could not be handled')
    this.writeProblem(this.#context.encodeError(told, this.id))
  }

  writeProblem(problem: ProblemAnswer): void {
    this.write(problem)
  }

  /** The body as one JSON object within the limits of API-21 and API-27. */
  jsonBody(): JsonObject {
    const { jsonDepth: maxDepth, jsonMembers: maxItems } = this.#context.limits
    try {
      return parseJsonObject(this.body, 'body', { maxDepth, maxItems, integersOnly: true })
    } catch (error) {
      if (!(error instanceof AttestdError)) throw error
      throw workloadApiErrors.error('invalid_request', error.message, { facts: { field: 'body' } })
    }
  }

  header(name: string): string | undefined {
    const value = this.#reply.request.headers[name]
    return Array.isArray(value) ? value.join(', ') : value
  }

  /** The value of a header that was sent exactly once; of two, whoever reads the first and whoever reads the last differ. */
  soleHeader(name: string): string | null {
    const { raw } = this.#reply.request
    return occurrences(raw, name) === 1 ? (this.header(name) ?? null) : null
  }

  queryMembers(forms: Readonly<Record<string, ParameterForm>>): JsonObject {
    return parseQuery(this.query, forms)
  }

  /** Only name and places: messages of unforeseen errors can hold what they were about (API-110). */
  #logFault(error: unknown): void {
    const stack = error instanceof Error ? (error.stack ?? '') : ''
    const at = stack.split('\n').filter((line) => /^\s+at /.test(line))
    const name = error instanceof Error ? error.name : typeof error
    const code = error instanceof AttestdError ? error.code : undefined
    this.#context.log.error({ request_id: this.id, route: this.route, error: name, code, at }, 'request failed')
  }

  #record({ status, code, source }: Answer): void {
    const { listener, clock, log, observe } = this.#context
    const { route, method } = this
    const durationMs = clock.monotonic() - this.arrivedAt
    observe({
      event: 'answered',
      listener,
      route,
      method,
      status,
      code: code ?? null,
      source: source ?? null,
      durationMs,
    })
    const uid = this.#caller?.uid ?? null
    const unit = this.#caller?.unit ?? null
    log.debug(
      {
        request_id: this.id,
        caller_request_id: this.callerRequestId,
        listener,
        route,
        method,
        status,
        code,
        source,
        ms: durationMs,
        uid,
        unit,
      },
      'request answered',
    )
  }
}
