import type { Clock } from '../../base/clock.ts'
import { type AttestdError, MalformedError } from '../../base/errors.ts'
import { drawUnit, type RandomSource } from '../../base/random.ts'
import { endorserErrors } from '../errors.ts'
import type { CollateralItem } from './collateral-item.ts'
import { type ItemKey, nameOfItem } from './item-key.ts'
import { errorOfStatus, parseAnswer } from './pccs-answer.ts'
import type { PccsBase } from './pccs-base.ts'
import { addressOf, type HexCase } from './pccs-request.ts'
import type { CollateralAnswer, CollateralTransport, ItemSource } from './ports.ts'
import { TimeLimitError, timeLimits, withinTime } from './time-limit.ts'

export interface PccsSourceOptions {
  readonly base: PccsBase
  readonly transport: CollateralTransport
  readonly clock: Clock
  readonly random: RandomSource
}

/** TDX-206. */
const longestBody = 1_048_576
/** TDX-208. */
const repetitions = 3
const firstPauseMs = 500
/** A server that asks for a longer pause is left for the next one. */
const longestAskedPauseMs = 5_000

/** What one exchange came to: an item, or why not and whether the same server may do better soon. */
type Outcome =
  | { readonly items: readonly CollateralItem[] }
  | { readonly error: AttestdError; readonly again: boolean; readonly askedMs: number | null }

class PccsSource implements ItemSource {
  readonly name: string
  #options: PccsSourceOptions

  constructor(options: PccsSourceOptions) {
    this.name = options.base.prefix
    this.#options = options
  }

  async obtain(key: ItemKey, signal: AbortSignal): Promise<readonly CollateralItem[]> {
    const limit = { clock: this.#options.clock, ms: timeLimits.source, signal }
    try {
      return await withinTime(limit, (inner) => this.#repeat(key, inner))
    } catch (error) {
      signal.throwIfAborted()
      throw error instanceof TimeLimitError ? this.#unreached(key, error) : error
    }
  }

  async #repeat(key: ItemKey, signal: AbortSignal): Promise<readonly CollateralItem[]> {
    for (let repetition = 0; ; repetition++) {
      const outcome = await this.#ask(key, signal)
      if ('items' in outcome) return outcome.items
      const { error, again, askedMs } = outcome
      if (!again || repetition === repetitions || (askedMs ?? 0) > longestAskedPauseMs) throw error
      const jitter = 0.5 + drawUnit(this.#options.random) / 2
      await this.#options.clock.sleep(askedMs ?? firstPauseMs * 2 ** repetition * jitter, signal)
    }
  }

  /** Some caching services know the FMSPC in upper case only (TDX-204). */
  async #ask(key: ItemKey, signal: AbortSignal): Promise<Outcome> {
    const outcome = await this.#exchange(key, 'lower', signal)
    const unknown = 'error' in outcome && outcome.error.facts['status'] === 404
    const repeats = unknown && key.kind === 'tcb-info' && /[a-f]/.test(key.fmspc)
    return repeats ? this.#exchange(key, 'upper', signal) : outcome
  }

  async #exchange(key: ItemKey, hexCase: HexCase, signal: AbortSignal): Promise<Outcome> {
    const { base, transport, clock } = this.#options
    const url = addressOf(base, key, hexCase)
    const limit = { clock, ms: timeLimits.exchange, signal }
    let answer: CollateralAnswer
    try {
      answer = await withinTime(limit, (inner) => transport.get(url, { maxBytes: longestBody, signal: inner }))
    } catch (error) {
      signal.throwIfAborted()
      return { error: this.#unreached(key, error), again: true, askedMs: null }
    }
    return this.#read(answer, key)
  }

  #read(answer: CollateralAnswer, key: ItemKey): Outcome {
    const { status, headers, body } = answer
    if (status !== 200) {
      const error = errorOfStatus(status, key, this.name)
      return { error, again: error.code === 'collateral_unavailable', askedMs: pauseAsked(headers['retry-after']) }
    }
    try {
      if (body.length > longestBody) throw new MalformedError({ path: 'body' }, `has ${body.length} bytes`)
      return { items: [parseAnswer(answer, key)] }
    } catch (cause) {
      if (!(cause instanceof MalformedError)) throw cause
      const facts = { source: this.name, item: nameOfItem(key) }
      const detail = `${this.name}: ${cause.message}`
      return {
        error: endorserErrors.error('collateral_answer_invalid', detail, { facts, cause }),
        again: false,
        askedMs: null,
      }
    }
  }

  /** Whatever a transport throws means that nothing came. */
  #unreached(key: ItemKey, cause: unknown): AttestdError {
    const says = cause instanceof Error && cause.message !== '' ? cause.message.slice(0, 200) : 'nothing came'
    const facts = { source: this.name, item: nameOfItem(key) }
    return endorserErrors.error('collateral_unavailable', `${this.name}: ${says}`, { facts, cause })
  }
}

/** Seconds only: the other form, a date, would need the clocks to agree. */
function pauseAsked(header: string | undefined): number | null {
  return header !== undefined && /^[0-9]{1,6}$/.test(header) ? Number(header) * 1000 : null
}

/**
 * A client of one server of the provisioning interface, version 3 or 4 (tdx.md section 4.1). An exchange takes at most
 * 10 s and 1 MiB; what the network or the server fails at is tried 3 times more with growing pauses, all within 20 s
 * (TDX-206, TDX-208). Nothing that it gives is verified.
 */
export function createPccsSource(options: PccsSourceOptions): ItemSource {
  return new PccsSource(options)
}
