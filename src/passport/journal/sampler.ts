import type { Journal } from './journal.ts'
import type { JournalFacts } from './record.ts'

interface Seen {
  readonly event: string
  readonly facts: JournalFacts
  /** Since the last record. */
  count: number
}

const mostKinds = 4096

/**
 * Keeps events that callers can cause at will from filling the journal (BRK-120): the first of a kind is written, the others
 * are counted, and the count is written now and then.
 */
export class Sampler {
  #journal: Pick<Journal, 'note'>
  #seen = new Map<string, Seen>()

  constructor(journal: Pick<Journal, 'note'>) {
    this.#journal = journal
  }

  /** `kind` names what is alike: caller and token, caller and refusal. */
  note(kind: string, event: string, facts: JournalFacts): void {
    const seen = this.#seen.get(kind)
    if (seen !== undefined) {
      seen.count++
      return
    }
    if (this.#seen.size >= mostKinds) this.flush()
    this.#seen.set(kind, { event, facts, count: 0 })
    this.#journal.note(event, facts)
  }

  /** Writes the counts. What was not seen since the last time is forgotten, and everything where there is too much. */
  flush(): void {
    const full = this.#seen.size >= mostKinds
    for (const [kind, { event, facts, count }] of [...this.#seen]) {
      if (count > 0) this.#journal.note(`${event}_count`, { ...facts, count })
      if (count === 0 || full) this.#seen.delete(kind)
      else this.#seen.set(kind, { event, facts, count: 0 })
    }
  }
}
