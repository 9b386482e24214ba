import { concatBytes } from '../../base/bytes.ts'
import type { Clock } from '../../base/clock.ts'
import { AttestdError } from '../../base/errors.ts'
import { Alarm } from '../alarm.ts'
import { fileNameOf, type JournalFiles, rotationBytes } from './journal-files.ts'
import { findTail, type JournalTail } from './journal-tail.ts'
import { encodeRecord, type JournalEntry, type JournalFacts, type JournalHead } from './record.ts'

export interface JournalOptions {
  readonly files: JournalFiles
  readonly clock: Clock
  /** That of this boot, as the kernel gives it. */
  readonly bootId: string
  /** Files that are kept, the one that is written to included. */
  readonly keep: number
  /** Default: 16 MiB (BRK-122). */
  readonly rotateAt?: number
  /** Hears when writing begins to fail, with the code, and with null when it works again. */
  readonly report?: (failing: string | null) => void
  /** Hears of the newest record after every write. */
  readonly written?: (head: JournalHead) => void
  /** Hears of every write that failed and of every entry that found no room. */
  readonly failed?: () => void
}

export interface JournalState {
  readonly seq: number
  readonly hash: string
  /** Why the last write failed; null: it did not. */
  readonly failing: string | null
  /** Writes that failed since the start. */
  readonly errors: number
  /** Entries that found no room while writing failed. They are counted in the journal as soon as it can be written. */
  readonly lost: number
}

/** Entries that wait for the disk. */
const longestQueue = 4096
const largestBatch = 256
const retryMs = 5_000
const idleMs = 60_000

/**
 * The journal (BRK-120 to BRK-124): records in a chain of hashes, appended in batches. Whoever notes an event never waits for
 * the disk; what cannot be written waits, is counted when there is too much of it, and holds nobody up.
 */
export class Journal {
  #options: JournalOptions
  #alarm: Alarm
  #head: JournalHead
  #file: JournalTail['file']
  #queue: JournalEntry[] = []
  #failing: string | null = null
  #errors = 0
  #lost = 0

  private constructor(options: JournalOptions, tail: JournalTail) {
    this.#options = options
    this.#alarm = new Alarm(options.clock)
    this.#head = tail.head
    this.#file = tail.file
    const { tornBytes, broken } = tail
    if (tornBytes > 0 || broken) this.note('recovered', { torn_bytes: tornBytes, broken })
  }

  /** Finds the end of the journal; a torn last line is cut off, and said, by the next write (BRK-122). */
  static async open(options: JournalOptions): Promise<Journal> {
    return new Journal(options, await findTail(options.files))
  }

  get state(): JournalState {
    return { ...this.#head, failing: this.#failing, errors: this.#errors, lost: this.#lost }
  }

  note(event: string, facts: JournalFacts): void {
    if (this.#queue.length >= longestQueue) {
      this.#lost++
      this.#options.failed?.()
      return
    }
    this.#queue.push(this.#entry(event, facts))
    this.#alarm.ring()
  }

  /** Writes what is noted until the signal aborts. */
  async keepWriting(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      await this.flush()
      await this.#rest(signal).catch((reason: unknown) => {
        if (!signal.aborted) throw reason
      })
    }
  }

  /** Writes what is noted now; resolves also where that fails. Not while `keepWriting` runs. */
  async flush(): Promise<void> {
    while (this.#queue.length > 0) {
      try {
        await this.#writeBatch()
        this.#tell(null)
        this.#options.written?.(this.#head)
      } catch (error) {
        if (!(error instanceof AttestdError)) throw error
        this.#errors++
        this.#options.failed?.()
        this.#tell(error.code)
        return
      }
    }
  }

  #entry(event: string, facts: JournalFacts): JournalEntry {
    const { clock } = this.#options
    return { event, facts, wall: Math.floor(clock.now()), bootMs: Math.floor(clock.boottime()) }
  }

  async #rest(signal: AbortSignal): Promise<void> {
    if (this.#failing !== null) await this.#options.clock.sleep(retryMs, signal)
    else if (this.#queue.length === 0) await this.#alarm.sleep(idleMs, signal)
  }

  #tell(failing: string | null): void {
    const changed = (failing === null) !== (this.#failing === null)
    this.#failing = failing
    if (changed) this.#options.report?.(failing)
  }

  async #writeBatch(): Promise<void> {
    const { files, bootId, rotateAt = rotationBytes } = this.#options
    const taken = this.#queue.slice(0, largestBatch)
    // What was lost came behind everything that waits.
    const lost = this.#queue.length > taken.length ? 0 : this.#lost
    let head = this.#head
    const lines = [...taken, ...(lost > 0 ? [this.#entry('lost', { count: lost })] : [])].map((entry) => {
      const encoded = encodeRecord(head, bootId, entry)
      head = encoded.head
      return encoded.line
    })
    const bytes = concatBytes(...lines)
    const full = this.#file !== null && this.#file.size > 0 && this.#file.size + bytes.length > rotateAt
    const file = this.#file === null || full ? { name: fileNameOf(this.#head.seq + 1), size: 0 } : this.#file
    // Also if this fails: a file that was begun and left behind would break the chain of file names.
    this.#file = file
    await files.writeAt(file.name, file.size, bytes)
    this.#file = { name: file.name, size: file.size + bytes.length }
    this.#head = head
    this.#lost -= lost
    this.#queue.splice(0, taken.length)
    if (file.size === 0) await this.#removeOldest()
  }

  async #removeOldest(): Promise<void> {
    const { files, keep } = this.#options
    const names = await files.list()
    for (const name of names.slice(0, Math.max(0, names.length - keep))) await files.remove(name)
  }
}
