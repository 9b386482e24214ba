import type { ServerResponse } from 'node:http'
import type { Clock } from '../../base/clock.ts'
import type { RequestFacts } from './attestation.ts'
import type { BodyHold } from './body-budget.ts'
import { attestationErrors } from './errors.ts'
import { ClientGone } from './wire-error.ts'

/** One request that has ended, for logs and metrics: no evidence, no token, no address, nothing of a URL. */
export interface RequestEvent {
  /** The path as this server knows it; null for one that is not served. */
  readonly route: string | null
  /** Of the answer; 499 where the client was gone before there was one. */
  readonly status: number
  /** Of the problem; null for an answer without one. */
  readonly code: string | null
  /** What was behind `AS.DEPENDENCY.UNAVAILABLE`, where it is this service's own state. */
  readonly causeCode: string | null
  readonly policyIds: number
  /** Members of the request that mean nothing here (SVC-10). */
  readonly ignoredMembers: number
  readonly durationMs: number
}

export interface ExchangeOptions {
  readonly clock: Clock
  /** What its body may take. */
  readonly hold: BodyHold
  readonly onRequest?: (event: RequestEvent) => void
}

/** Status of requests whose client did not wait. */
const clientGone = 499

/** One request from its head to its end. */
export class Exchange {
  readonly facts: RequestFacts = { policyIds: 0, ignoredMembers: 0 }
  /** What its body takes of the memory, until it has ended. */
  readonly hold: BodyHold
  code: string | null = null
  causeCode: string | null = null
  readonly #gone = new AbortController()
  readonly #options: ExchangeOptions
  readonly #route: string | null
  readonly #response: ServerResponse
  readonly #startedAt: number

  constructor(route: string | null, response: ServerResponse, options: ExchangeOptions) {
    this.#route = route
    this.#response = response
    this.#options = options
    this.hold = options.hold
    this.#startedAt = options.clock.monotonic()
    response.once('close', () => {
      if (!response.writableEnded) this.#gone.abort(new ClientGone())
      this.#end()
    })
  }

  /** Aborts when the client hangs up. */
  get gone(): AbortSignal {
    return this.#gone.signal
  }

  /** Runs `work` under a signal that aborts when the client hangs up, and after `ms` (SVC-42). */
  async within<T>(ms: number, work: (signal: AbortSignal) => Promise<T>): Promise<T> {
    const [done, late] = [new AbortController(), new AbortController()]
    const says = `the appraisal took longer than ${ms} ms`
    this.#options.clock.sleep(ms, done.signal).then(
      () => late.abort(attestationErrors.error('AS.SERVICE.OVERLOADED', says)),
      () => undefined,
    )
    try {
      return await work(AbortSignal.any([this.gone, late.signal]))
    } finally {
      done.abort()
    }
  }

  /** Tells of the request, and lets go of its body. */
  #end(): void {
    this.hold.release()
    const { onRequest, clock } = this.#options
    const { code, causeCode, facts } = this
    const durationMs = clock.monotonic() - this.#startedAt
    const status = this.gone.aborted ? clientGone : this.#response.statusCode
    onRequest?.({ route: this.#route, status, code, causeCode, ...facts, durationMs })
  }
}
