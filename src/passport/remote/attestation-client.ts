import type { Clock } from '../../base/clock.ts'
import { abandonable } from '../../base/tasks.ts'
import { type AnswerClass, judgeAnswer } from './answer.ts'
import type { AttestationAnswer, AttestationTransport } from './attestation-transport.ts'
import { answerRefused, type ExchangeFailure, exchangeBroken } from './exchange-failure.ts'
import { RepeatedFaults } from './repeated-faults.ts'

export interface AttestationClientOptions {
  /** In order of preference, as `requireEndpoints` gave them. */
  readonly endpoints: readonly URL[]
  readonly transport: AttestationTransport
  readonly clock: Pick<Clock, 'now' | 'sleep'>
  /** Limit of one exchange as a whole; default 15 000 (BRK-48). */
  readonly exchangeMs?: number
}

export interface AttestationClient {
  /**
   * Posts one request to the first endpoint that serves it and gives the token, not verified in any way. Rejects with one
   * of `passportErrors` that names endpoint and status and never the evidence, or with the reason of `signal`.
   */
  obtainToken(body: Uint8Array, signal: AbortSignal): Promise<string>
}

/** BRK-48. */
const maxBytes = 1_048_576
/** A transport may add to those of its request; what it adds must be in no other one, least of all of another issuer (BRK-49). */
const commonHeaders = Object.freeze({
  'content-type': 'application/json',
  accept: 'application/jwt, application/problem+json, */*;q=0.1',
  'accept-encoding': 'identity',
})

/** The exchange took longer than it may. */
class ExchangeTimeout extends Error {
  readonly code = 'EXCHANGE_TIMEOUT'
}

type Outcome = { readonly kind: 'token'; readonly token: string } | ({ readonly kind: 'failed' } & ExchangeFailure)

interface Place {
  readonly url: URL
  readonly faults: RepeatedFaults
}

class EndpointList implements AttestationClient {
  readonly #options: AttestationClientOptions
  readonly #places: readonly Place[]

  constructor(options: AttestationClientOptions) {
    this.#options = options
    this.#places = options.endpoints.map((url) => ({ url, faults: new RepeatedFaults() }))
  }

  async obtainToken(body: Uint8Array, signal: AbortSignal): Promise<string> {
    const failures: ExchangeFailure[] = []
    for (const place of this.#places) {
      const outcome = await this.#ask(place, body, signal)
      if (outcome.kind === 'token') return outcome.token
      failures.push(outcome)
      if (!outcome.tryNext) break
    }
    throw decisive(failures).error
  }

  async #ask(place: Place, body: Uint8Array, signal: AbortSignal): Promise<Outcome> {
    let answer: AttestationAnswer
    try {
      answer = await this.#exchange(place.url, body, signal)
    } catch (error) {
      signal.throwIfAborted()
      return { kind: 'failed', ...exchangeBroken(place.url, error) }
    }
    return this.#judge(place, answer)
  }

  /** The limit holds even if the transport ignores its signal; an outer abort reaches the transport too (SVC-13). */
  async #exchange(url: URL, body: Uint8Array, outer: AbortSignal): Promise<AttestationAnswer> {
    const { transport, clock, exchangeMs = 15_000 } = this.#options
    outer.throwIfAborted()
    const headers = { ...commonHeaders }
    const [limit, ended] = [new AbortController(), new AbortController()]
    const abort = () => limit.abort(outer.reason)
    outer.addEventListener('abort', abort, { once: true })
    const expire = () => limit.abort(new ExchangeTimeout(`no complete answer within ${exchangeMs} ms`))
    clock.sleep(exchangeMs, ended.signal).then(expire, () => undefined)
    try {
      return await abandonable(transport.post({ url, headers, body, maxBytes }, limit.signal), limit.signal)
    } finally {
      ended.abort()
      outer.removeEventListener('abort', abort)
    }
  }

  #judge({ url, faults }: Place, answer: AttestationAnswer): Outcome {
    const judged = judgeAnswer(answer)
    if (judged.kind === 'token' || judged.problem !== null) faults.forget()
    if (judged.kind === 'token') return judged
    const { problem } = judged
    const lasting = problem === null && faults.isLasting(answer)
    const answerClass: AnswerClass = lasting ? 'misconfiguration' : judged.class
    return {
      kind: 'failed',
      ...answerRefused(url, answer, { class: answerClass, problem, now: this.#options.clock.now() }),
    }
  }
}

/** A verdict is what counts; else a failure that may pass, of the most preferred endpoint; else the first. */
function decisive(failures: readonly ExchangeFailure[]): ExchangeFailure {
  const [first] = failures
  const last = failures.at(-1)
  if (first === undefined || last === undefined) throw new TypeError('a client without endpoints')
  if (last.class === 'verdict' || last.class === 'dialect') return last
  return failures.find(({ class: failure }) => failure === 'retryable') ?? first
}

/**
 * The client of `POST /v1/attestation` (sections 1 and 6 of the attestation service's specification): asks one endpoint
 * after the other as long as they are out of service, and never again after one has judged the evidence (SVC-01).
 */
export function createAttestationClient(options: AttestationClientOptions): AttestationClient {
  if (options.endpoints.length === 0) throw new TypeError('a client without endpoints')
  return new EndpointList(options)
}
