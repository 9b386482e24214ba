import { type Clock, secondsOf } from '../../base/clock.ts'
import { AttestdError } from '../../base/errors.ts'
import type { RandomSource } from '../../base/random.ts'
import { abandonable } from '../../base/tasks.ts'
import type { CloudCredentials } from '../../results/cloud-credentials.ts'
import { pauseWithoutToken } from '../backoff.ts'
import { stsErrors } from './errors.ts'

export interface RoleCredentialsParts {
  /** Token and exchange, within limits of their own. Rejects with an `AttestdError`. */
  readonly obtain: () => Promise<CloudCredentials>
  readonly clock: Pick<Clock, 'now' | 'monotonic' | 'sleep'>
  /** Chance for jitter. */
  readonly random: RandomSource
}

/** API-153: credentials with less life than this are not handed out while others can be had. */
const renewedBeforeS = 300

/** With less they are of no use, whatever happens. */
const shortestUseS = 60

/** A service that gives shorter lives than `renewedBeforeS` is not asked by every call. */
const restMs = 30_000

/** BRK-41. */
const longestPauseMs = 30_000

interface Pause {
  readonly error: AttestdError
  readonly failures: number
  /** Monotonic milliseconds. */
  readonly until: number
}

function askedPauseMs({ facts }: AttestdError): number {
  const { retry_after_ms: ms } = facts
  return typeof ms === 'number' ? Math.min(ms, 120_000) : 0
}

/**
 * The credentials of one consumer: one exchange at a time whoever waits for it, kept until five minutes before they expire
 * (API-153). After a failure the token service is left alone for a while, and who asks meanwhile hears of that failure: a
 * workload in a loop must not have the account throttled (BRK-41, BRK-43).
 */
export class RoleCredentials {
  readonly #parts: RoleCredentialsParts
  #kept: CloudCredentials | null = null
  #flight: Promise<CloudCredentials> | null = null
  #pause: Pause | null = null
  /** Monotonic milliseconds. */
  #restUntil = 0
  /** Grows when what is at hand, or under way, is declared worthless. */
  #era = 0

  constructor(parts: RoleCredentialsParts) {
    this.#parts = parts
  }

  /**
   * Rejects as `obtain` of the parts does, or with the reason of `signal`; the exchange goes on for others. An outage does not
   * take away what is still good; a refusal, or what was declared worthless meanwhile, does.
   */
  async obtain(signal: AbortSignal): Promise<CloudCredentials> {
    const kept = this.#kept
    const resting = this.#parts.clock.monotonic() < this.#restUntil
    if (kept !== null && this.#lives(kept, resting ? shortestUseS : renewedBeforeS + 1)) return kept
    try {
      return await abandonable(this.#flight ?? this.#start(), signal)
    } catch (error) {
      signal.throwIfAborted()
      const outage = error instanceof AttestdError && error.kind === 'unavailable'
      if (outage && kept !== null && kept === this.#kept && this.#lives(kept, shortestUseS)) return kept
      throw error
    }
  }

  #lives({ expiresAt }: CloudCredentials, seconds: number): boolean {
    return expiresAt - secondsOf(this.#parts.clock) >= seconds
  }

  /** Task: has credentials at hand before somebody asks, and again before they are too old; failures are left to those who ask. */
  async keepFresh(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      const credentials = await this.obtain(signal).catch((error: unknown) => {
        if (signal.aborted || error instanceof AttestdError) return null
        throw error
      })
      const { clock } = this.#parts
      const left = credentials === null ? 0 : credentials.expiresAt - renewedBeforeS - secondsOf(clock)
      await clock.sleep(Math.max(longestPauseMs, left * 1000), signal).catch(() => undefined)
    }
  }

  /** What is at hand is worthless now, and so is what is under way. */
  forget(): void {
    this.#era++
    this.#kept = null
    this.#pause = null
    this.#flight = null
  }

  #start(): Promise<CloudCredentials> {
    const pause = this.#pause
    if (pause !== null && this.#parts.clock.monotonic() < pause.until) return Promise.reject(this.#paused(pause))
    const flight = this.#exchange(this.#era).finally(() => {
      if (this.#flight === flight) this.#flight = null
    })
    // Whoever waits hears of a failure; there may be nobody left.
    flight.catch(() => undefined)
    this.#flight = flight
    return flight
  }

  async #exchange(era: number): Promise<CloudCredentials> {
    let credentials: CloudCredentials
    try {
      credentials = await this.#parts.obtain()
    } catch (error) {
      if (error instanceof AttestdError && era === this.#era) this.#failed(error)
      throw error
    }
    if (era !== this.#era) throw stsErrors.error('sts_unavailable', 'what was under way is worthless by now: ask again')
    this.#kept = credentials
    this.#pause = null
    this.#restUntil = this.#parts.clock.monotonic() + restMs
    return credentials
  }

  #failed(error: AttestdError): void {
    const { clock, random } = this.#parts
    const failures = (this.#pause?.failures ?? 0) + 1
    const unit = (random(1)[0] ?? 0) / 256
    const ms = Math.max(pauseWithoutToken(failures, unit), askedPauseMs(error))
    this.#pause = { error, failures, until: clock.monotonic() + ms }
  }

  #paused({ error, until }: Pause): AttestdError {
    const { code, kind, status, retryable, remedy, message, facts } = error
    const left = Math.max(1, Math.ceil(until - this.#parts.clock.monotonic()))
    const declaration = { kind, title: message, remedy, retryable, status }
    return new AttestdError(code, declaration, message, { facts: { ...facts, retry_after_ms: left } })
  }
}
