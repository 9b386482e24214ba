import { type Clock, secondsOf } from '../../base/clock.ts'
import type { AttestdError } from '../../base/errors.ts'
import type { TokenOffer } from '../token-offer.ts'
import type { Sink } from './sink.ts'
import { noCounts, type SinkCounts, type SinkEvent, type SinkState, type SinkStatus } from './sink-status.ts'

type Problem = NonNullable<SinkStatus['error']>

type Removal = Extract<SinkEvent, { event: 'sink_removed' }>['why']

/** How it is with the file: what its token has left (milliseconds), and whether it lies there untouched. */
interface FileNow {
  readonly left: number
  readonly there: boolean
  readonly floorMs: number
}

/** What is remembered of a token file for the status, and told for the log (BRK-119). */
export class SinkRecord {
  readonly #sink: Sink
  readonly #clock: Clock
  readonly #observe: (event: SinkEvent) => void
  #counts: SinkCounts = noCounts
  #lastWriteAt: number | null = null
  #error: Problem | null = null
  #failures = 0
  readonly #standing = new Map<'directory' | 'size', Problem>()
  #gone: 'waiting' | 'expired' | 'revoked' = 'waiting'

  constructor(sink: Sink, clock: Clock, observe: (event: SinkEvent) => void) {
    this.#sink = sink
    this.#clock = clock
    this.#observe = observe
  }

  #count(what: keyof SinkCounts): void {
    this.#counts = { ...this.#counts, [what]: this.#counts[what] + 1 }
  }

  wrote(): void {
    this.#lastWriteAt = secondsOf(this.#clock)
  }

  written({ expiresAt, token }: TokenOffer): void {
    this.#count('written')
    this.wentWell()
    this.#observe({ event: 'sink_written', sink: this.#sink.name, expiresAt, characters: token.length })
  }

  restored(): void {
    this.#count('restored')
    this.#observe({ event: 'sink_restored', sink: this.#sink.name })
  }

  removed(why: Removal): void {
    this.#count('removed')
    this.#gone = why === 'expired' || why === 'revoked' ? why : 'waiting'
    this.#observe({ event: 'sink_removed', sink: this.#sink.name, why })
  }

  /** The file is what it should be. */
  wentWell(): void {
    this.#failures = 0
    this.#error = null
  }

  /** Gives the number of failures in a row. The same failure again is no news (BRK-131). */
  failed(error: AttestdError): number {
    this.#error = this.#noted(error, this.#error)
    this.#count('failed')
    this.#observe({ event: 'sink_attempt_failed', sink: this.#sink.name })
    return ++this.#failures
  }

  /** Something that is so until it is not, whatever goes well beside it; null: it is not. */
  stands(what: 'directory' | 'size', error: AttestdError | null): void {
    if (error === null) this.#standing.delete(what)
    else this.#standing.set(what, this.#noted(error, this.#standing.get(what) ?? null))
  }

  #noted({ code, message: detail }: AttestdError, before: Problem | null): Problem {
    if (before?.code === code && before.detail === detail) return before
    this.#observe({ event: 'sink_failed', sink: this.#sink.name, code, detail })
    return { code, detail, at: secondsOf(this.#clock) }
  }

  get #problem(): Problem | null {
    return this.#standing.get('size') ?? this.#error ?? this.#standing.get('directory') ?? null
  }

  status(delivered: TokenOffer | null, now: FileNow): SinkStatus {
    const { name, path } = this.#sink
    return {
      name,
      path,
      state: this.#state(delivered, now),
      lastWriteAt: this.#lastWriteAt,
      expiresAt: delivered?.expiresAt ?? null,
      error: this.#problem,
      counts: this.#counts,
    }
  }

  #state(delivered: TokenOffer | null, { left, there, floorMs }: FileNow): SinkState {
    if (delivered === null) return this.#gone
    if (left <= floorMs) return 'expired'
    if (!there) return 'missing'
    if (left < 0.1 * delivered.lifeMs) return 'expiring'
    if (this.#problem !== null) return 'stale'
    return delivered.generation === 0 ? 'kept' : 'current'
  }
}
