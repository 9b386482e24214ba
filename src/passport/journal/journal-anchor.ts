import { toHex } from '../../base/bytes.ts'
import type { Clock } from '../../base/clock.ts'
import { AttestdError } from '../../base/errors.ts'
import { abandonable } from '../../base/tasks.ts'
import { Alarm } from '../alarm.ts'
import type { Journal } from './journal.ts'
import type { JournalHead } from './record.ts'

export interface JournalAnchorOptions {
  readonly journal: Pick<Journal, 'note' | 'state'>
  readonly clock: Clock
  /** Records from one anchor to the next. */
  readonly every: number
  /** Name of the register, for the records. */
  readonly register: string
  /**
   * Extends the register with an event of this content, and gives what it was extended with and where that stands in the event
   * log. Rejects with an `AttestdError` where it did not, or may not have.
   */
  readonly extend: (content: string) => Promise<{ readonly digest: Uint8Array; readonly logIndex: number }>
  /** Hears when anchoring begins to fail, with the code, and with null when it works again. */
  readonly report?: (failing: string | null) => void
}

export interface JournalAnchorState {
  /** The newest record that a register holds; null: none since the start. */
  readonly seq: number | null
  /** Why the last try failed; null: it did not. */
  readonly failing: string | null
}

/** A device that does not answer is not asked more often for this; the next try takes the head that there is then. */
const retryMs = 60_000
const idleMs = 60_000

/** What the event of an anchor says: number and hash of the record. */
export const anchorContent = ({ seq, hash }: JournalHead) => `${seq} ${hash}`

/**
 * Puts the hash of the newest record into a register that nobody can set back before the next boot (BRK-123): whoever rewrites
 * the journal afterwards, root included, cannot rewrite what quotes and their event logs say of it. Each anchor is a record too. A
 * register that cannot be extended holds up nothing.
 */
export class JournalAnchor {
  readonly #options: JournalAnchorOptions
  readonly #alarm: Alarm
  /** By number of the record, divided: restarts and batches do not move where anchors are due. */
  #passed: number
  #due = false
  /** Monotonic, in milliseconds. */
  #notBefore = Number.NEGATIVE_INFINITY
  #state: JournalAnchorState = { seq: null, failing: null }

  constructor(options: JournalAnchorOptions) {
    this.#options = options
    this.#alarm = new Alarm(options.clock)
    this.#passed = this.#multipleOf(options.journal.state.seq)
  }

  get state(): JournalAnchorState {
    return this.#state
  }

  /** To be told of every head that is on the disk: what is anchored must not be lost by a crash. */
  written({ seq }: JournalHead): void {
    const multiple = this.#multipleOf(seq)
    if (multiple === this.#passed) return
    this.#passed = multiple
    this.#due = true
    this.#alarm.ring()
  }

  async keepAnchored(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      const waitMs = this.#due ? this.#notBefore - this.#options.clock.monotonic() : idleMs
      if (waitMs <= 0) await this.#anchor(signal)
      else await this.#alarm.sleepUnlessAborted(waitMs, signal)
    }
  }

  #multipleOf(seq: number): number {
    return Math.floor(seq / this.#options.every)
  }

  async #anchor(signal: AbortSignal): Promise<void> {
    const { journal, register, extend, clock } = this.#options
    const { seq, hash } = journal.state
    this.#due = false
    try {
      const { digest, logIndex } = await abandonable(extend(anchorContent({ seq, hash })), signal)
      const where = { register, digest: toHex(digest), log_index: logIndex }
      journal.note('anchor', { head_seq: seq, head_hash: hash, ...where })
      this.#become({ seq, failing: null })
    } catch (error) {
      if (signal.aborted) return
      if (!(error instanceof AttestdError)) throw error
      this.#due = true
      this.#notBefore = clock.monotonic() + retryMs
      if (this.#state.failing !== error.code) journal.note('anchor_failed', { register, code: error.code })
      this.#become({ ...this.#state, failing: error.code })
    }
  }

  #become(state: JournalAnchorState): void {
    const changed = (state.failing === null) !== (this.#state.failing === null)
    this.#state = state
    if (changed) this.#options.report?.(state.failing)
  }
}
