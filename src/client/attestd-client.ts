import { AttestdError } from '../base/errors.ts'
import type { JsonObject } from '../base/json.ts'
import { clientErrors } from './errors.ts'
import { type EvidenceOptions, encodeEvidenceOptions } from './evidence-options.ts'
import { type FetchedToken, longestTokenAnswer, parseFetchedToken } from './fetched-token.ts'
import { KeptToken } from './kept-token.ts'
import { problemError } from './problem.ts'
import type { ClientClock } from './process-clock.ts'
import { retryAfterMs, retryPause } from './retry-pause.ts'
import { SharedAttempt } from './shared-attempt.ts'
import type { SocketAnswer, SocketRequest } from './socket-request.ts'
import { readTokenWish, requireTimeout, type TokenOptions, type TokenWish } from './token-wish.ts'

/** Fetches tokens and evidence from the agent of this machine. Safe for concurrent use. */
export interface AttestdClient {
  /**
   * A token that has at least `minValidS` left: a kept one if it is good enough, else one that the agent gives. Calls for
   * the same token share one request. From `refreshAt` on a newer one is asked for while the kept one is still given, and
   * every half minute of use whether the agent still gives it: one that it refuses by then is kept no more. Failures that may pass are tried again within `timeoutMs`, no sooner than the agent says. Never gives an expired
   * token.
   *
   * Throws `AttestdError`: the code of the agent's problem, or `AGENT_NOT_REACHED`, `SOCKET_FORBIDDEN`, `AGENT_TOO_SLOW`,
   * `AGENT_ANSWER`. Its `remedy` says what to do, `retryable` whether a later call may succeed, `facts.request_id` what
   * the log of the agent calls the request. Once `signal` aborts its reason is thrown.
   */
  fetchToken(options?: TokenOptions): Promise<FetchedToken>
  /** The evidence document, JSON text as the agent wrote it. Never kept. Errors as of `fetchToken`. */
  fetchEvidence(options: EvidenceOptions): Promise<string>
  /** Forgets all tokens and closes the connections. Calls that wait go on. */
  close(): void
}

/** What a client is made of. */
export interface ClientParts {
  readonly socket: string
  /** Asks the agent; rejects with an `AttestdError` or the reason of the signal. */
  readonly ask: (request: SocketRequest) => Promise<SocketAnswer>
  readonly clock: ClientClock
  /** Draws from [0, 1). */
  readonly draw: () => number
  readonly disconnect: () => void
}

/** Of one call: when it ends, and what ends it. */
interface Patience {
  readonly signal: AbortSignal
  leftMs(): number
}

const mostKept = 256
const longestEvidence = 64 * 1024 * 1024
/** The agent's own bound of `timeout_ms`. */
const longestAgentMs = 60_000
const refreshMs = 15_000

/** What the agent is granted: a little less than is left, so that its own account of the failure still arrives. */
const grantedMs = (leftMs: number) =>
  Math.max(1, Math.floor(Math.min(longestAgentMs, leftMs - Math.min(250, leftMs / 10))))

/** A connection that was opened before the process changed its user is refused once; the next one has its new user. */
const isOldConnection = (error: unknown) => error instanceof AttestdError && error.status === 401

/** The agent says no: the verifier affirms this machine no more (BRK-47), or the caller lost the right (API-69). */
const isRefusal = (error: unknown) =>
  error instanceof AttestdError && (error.status === 403 || error.code === 'issuer_rejected')

export class SocketClient implements AttestdClient {
  #parts: ClientParts
  /** Least recently used first. */
  #kept = new Map<string, KeptToken>()
  #attempts = new Map<string, SharedAttempt<KeptToken>>()

  constructor(parts: ClientParts) {
    this.#parts = parts
  }

  async fetchToken(options: TokenOptions = {}): Promise<FetchedToken> {
    const wish = readTokenWish(options)
    const timeoutMs = requireTimeout(options.timeoutMs)
    options.signal?.throwIfAborted()
    const kept = this.#satisfying(wish)
    if (kept === undefined) {
      return this.#patiently(timeoutMs, options.signal, (patience) => this.#obtain(wish, patience))
    }
    if (kept.isDue()) this.#refresh(wish, kept)
    return kept.token
  }

  async fetchEvidence(options: EvidenceOptions): Promise<string> {
    const members = encodeEvidenceOptions(options)
    return this.#patiently(requireTimeout(options.timeoutMs), options.signal, (patience) =>
      this.#persistently(patience, () => this.#post('/v1/evidence', members, patience, longestEvidence)),
    )
  }

  close(): void {
    this.#kept.clear()
    this.#parts.disconnect()
  }

  #satisfying({ shape, minValidS }: TokenWish): KeptToken | undefined {
    const kept = shape === null ? undefined : this.#kept.get(shape)
    return kept?.satisfies(minValidS) ? kept : undefined
  }

  #keep(shape: string, kept: KeptToken): void {
    this.#kept.delete(shape)
    this.#kept.set(shape, kept)
    for (const oldest of this.#kept.keys()) {
      if (this.#kept.size <= mostKept) break
      this.#kept.delete(oldest)
    }
  }

  /** Runs `work` until it settles, the time is over, or the caller has enough. */
  async #patiently<T>(
    ms: number,
    outer: AbortSignal | undefined,
    work: (patience: Patience) => Promise<T>,
  ): Promise<T> {
    const { clock, socket } = this.#parts
    outer?.throwIfAborted()
    const inner = new AbortController()
    const settled = new AbortController()
    const end = clock.monotonic() + ms
    const forward = () => inner.abort(outer?.reason)
    outer?.addEventListener('abort', forward, { once: true })
    clock.sleep(ms, settled.signal).then(
      () => inner.abort(clientErrors.error('AGENT_TOO_SLOW', `${socket}: no answer within ${ms} ms`)),
      () => undefined,
    )
    try {
      return await work({ signal: inner.signal, leftMs: () => end - clock.monotonic() })
    } finally {
      settled.abort('settled')
      outer?.removeEventListener('abort', forward)
    }
  }

  /** Tries again after failures that may pass, as long as there is time for it. */
  async #persistently<T>(patience: Patience, attempt: () => Promise<T>): Promise<T> {
    let reconnected = false
    for (let failures = 1; ; failures++) {
      try {
        return await attempt()
      } catch (error) {
        patience.signal.throwIfAborted()
        const again: boolean = isOldConnection(error) && !reconnected
        reconnected ||= again
        const pause = again ? 0 : retryPause(error, failures, this.#parts.draw())
        if (pause === null || pause >= patience.leftMs()) throw error
        await this.#parts.clock.sleep(pause, patience.signal).catch((reason: unknown) => {
          patience.signal.throwIfAborted()
          throw reason
        })
      }
    }
  }

  async #post(path: string, members: JsonObject, patience: Patience, longestBody: number): Promise<string> {
    const { ask, socket } = this.#parts
    const timeoutMs = Math.max(1, patience.leftMs())
    const body = { ...members, timeout_ms: grantedMs(timeoutMs) }
    const accept = 'application/json'
    const { signal } = patience
    const answer = await ask({ socket, method: 'POST', path, body, accept, timeoutMs, longestBody, signal })
    if (answer.status === 200) return answer.body
    throw problemError(answer)
  }

  async #ask(wish: TokenWish, patience: Patience): Promise<KeptToken> {
    const body = await this.#post('/v1/token', wish.members, patience, longestTokenAnswer)
    const kept = new KeptToken(parseFetchedToken(body, wish.audience), this.#parts.clock)
    if (wish.shape !== null) this.#keep(wish.shape, kept)
    return kept
  }

  /** The running request for this token, else a new one. What it was asked to have left is part of what makes it the same. */
  #attempt(wish: TokenWish, patience: Patience): Promise<KeptToken> {
    if (wish.shape === null) return this.#ask(wish, patience)
    const key = `${wish.minValidS}:${wish.shape}`
    const running = this.#attempts.get(key)
    if (running?.open) return running.join(patience.signal)
    const started = new SharedAttempt(async (signal) => {
      try {
        return await this.#ask(wish, { ...patience, signal })
      } finally {
        if (this.#attempts.get(key) === started) this.#attempts.delete(key)
      }
    })
    this.#attempts.set(key, started)
    return started.join(patience.signal)
  }

  #obtain(wish: TokenWish, patience: Patience): Promise<FetchedToken> {
    return this.#persistently(patience, async () => {
      const kept = this.#satisfying(wish) ?? (await this.#attempt(wish, patience))
      if (kept.satisfies(wish.minValidS)) return kept.token
      throw clientErrors.error('AGENT_ANSWER', 'the agent gave a token that expires too soon')
    })
  }

  /** Asks for a newer token while the kept one is given; a failure that is no refusal leaves things as they are for a while. */
  #refresh(wish: TokenWish, kept: KeptToken): void {
    kept.rest(refreshMs)
    this.#patiently(refreshMs, undefined, (patience) => this.#attempt(wish, patience)).catch((error: unknown) => {
      kept.rest(Math.max(refreshMs / 3, retryAfterMs(error)))
      if (isRefusal(error) && wish.shape !== null && this.#kept.get(wish.shape) === kept) this.#kept.delete(wish.shape)
    })
  }
}
