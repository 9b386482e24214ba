import { createHash } from 'node:crypto'
import type { Clock } from '../../base/clock.ts'
import { passportErrors } from '../errors.ts'
import type { QuotedMembers } from './quoted-members.ts'

/** A quote that was sent, as far as the token for it must repeat it. */
export interface SentQuote {
  /** 64 bytes. */
  readonly reportData: Uint8Array
  readonly members: QuotedMembers
  /** Wall clock when it was sent, milliseconds since the epoch. */
  readonly at: number
}

interface Kept {
  readonly sent: SentQuote
  /** Monotonic milliseconds. */
  readonly until: number
}

const capacity = 256
/** An attempt that has ended for the broker never comes for its quote. */
const keptMs = 120_000

/**
 * Which quote was sent for which token, between obtaining and accepting it. Tokens are known by their digest only. A
 * pairing is taken once; what nobody takes is forgotten after two minutes, or when 256 newer ones are there: its token is
 * then refused.
 */
export class SentQuotes {
  readonly #clock: Pick<Clock, 'monotonic'>
  readonly #kept = new Map<string, Kept>()

  constructor(clock: Pick<Clock, 'monotonic'>) {
    this.#clock = clock
  }

  get size(): number {
    return this.#kept.size
  }

  /**
   * Notes the quote for which `token` came. Throws `issuer_bad_token` if the same token was given for another quote that
   * nobody has taken yet: a service that hands out kept answers.
   */
  note(token: string, sent: SentQuote): void {
    this.#forgetOld(capacity - 1)
    const key = digest(token)
    if (this.#kept.has(key)) {
      throw passportErrors.error('issuer_bad_token', 'the service gave one token for two quotes', {
        facts: { check: 'BRK-107' },
      })
    }
    this.#kept.set(key, { sent, until: this.#clock.monotonic() + keptMs })
  }

  /** The quote for which `token` came, once; undefined if there is none. */
  take(token: string): SentQuote | undefined {
    this.#forgetOld(capacity)
    const key = digest(token)
    const kept = this.#kept.get(key)
    this.#kept.delete(key)
    return kept?.sent
  }

  /** The map is in the order of insertion, and all are kept equally long: the oldest come first. */
  #forgetOld(most: number): void {
    const now = this.#clock.monotonic()
    for (const [key, { until }] of this.#kept) {
      if (until > now && this.#kept.size <= most) return
      this.#kept.delete(key)
    }
  }
}

function digest(token: string): string {
  return createHash('sha256').update(token).digest('base64')
}
