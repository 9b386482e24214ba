import { firstSeqOf, isFileName, type JournalFiles, longestFile } from './journal-files.ts'
import { type AnchoredHead, beginning, type JournalHead, readRecord } from './record.ts'

/** The first record that is not what was written, or does not follow the one before. */
export interface BrokenRecord {
  readonly file: string
  /** Counted from 1. */
  readonly line: number
  readonly says: string
}

export interface JournalVerdict {
  /** Good records before the first broken one. */
  readonly records: number
  /** Number of the first record at hand; older ones were removed with their files. */
  readonly first: number | null
  /** The last good record. */
  readonly head: JournalHead | null
  readonly broken: BrokenRecord | null
  /** Good records that tell of an anchor of a record at hand, which has that hash, and the last of them (BRK-123). */
  readonly anchors: number
  readonly anchored: AnchoredHead | null
  /** Bytes behind the last line of the last file: the agent was killed while it wrote, or writes now. */
  readonly tornBytes: number
}

const lineFeed = 0x0a

/** Records from one that was anchored to the one that tells of it: far more than are written while a register is extended. */
const anchorReach = 65_536

/** Hashes of the newest records: what an anchor says of one is compared with what that one has. */
class RecentHashes {
  #hashes = new Map<number, string>()

  add({ seq, hash }: JournalHead): void {
    this.#hashes.set(seq, hash)
    this.#hashes.delete(seq - anchorReach)
  }

  has(seq: number): boolean {
    return this.#hashes.has(seq)
  }

  /**
   * What is wrong with an anchor; null: nothing, or its record is not at hand. A chain that was written anew around the hash
   * that a register holds would otherwise pass for the one that was anchored.
   */
  contradiction({ seq, headSeq, headHash }: AnchoredHead): string | null {
    if (headSeq >= seq) return `tells of an anchor of record ${headSeq}, which does not stand before it`
    const hash = this.#hashes.get(headSeq)
    if (hash === undefined || hash === headHash) return null
    return `tells of an anchor of record ${headSeq} with another hash than that has`
  }
}

/**
 * Follows the chain of a journal, file by file in the order of their names, up to the first record that is broken
 * (BRK-122). Records that were cut off at the end leave no trace in it, and who writes the whole chain anew is not found
 * out: compare the head with one that was noted elsewhere, or the last anchor with the log of a register (BRK-123). Never
 * throws for bad files.
 */
export class JournalVerifier {
  #records = 0
  #anchors = 0
  #anchored: AnchoredHead | null = null
  #recent = new RecentHashes()
  #first: number | null = null
  #head: JournalHead | null = null
  #broken: BrokenRecord | null = null
  #tornBytes = 0
  #tornFile: string | null = null

  take(file: string, bytes: Uint8Array): void {
    if (this.#broken !== null) return
    if (this.#tornFile !== null) this.#break(this.#tornFile, 0, 'is cut off, and another file follows')
    else if (!isFileName(file)) this.#break(file, 1, 'is in a file that is not one of the journal')
    else this.#follow(file, bytes)
  }

  get verdict(): JournalVerdict {
    const tornBytes = this.#broken === null ? this.#tornBytes : 0
    const anchors = { anchors: this.#anchors, anchored: this.#anchored }
    return { records: this.#records, first: this.#first, head: this.#head, broken: this.#broken, ...anchors, tornBytes }
  }

  #follow(file: string, bytes: Uint8Array): void {
    let start = 0
    for (let line = 1; this.#broken === null; line++) {
      const end = bytes.indexOf(lineFeed, start)
      if (end === -1) break
      const says = this.#judge(file, line, bytes.subarray(start, end))
      if (says !== null) this.#break(file, line, says)
      start = end + 1
    }
    this.#tornBytes = bytes.length - start
    // An empty file behind the last one: the agent was killed before its first record.
    if (this.#broken === null && (this.#tornBytes > 0 || bytes.length === 0)) this.#tornFile = file
  }

  /** What is wrong with the line; null: it is the next record. */
  #judge(file: string, line: number, bytes: Uint8Array): string | null {
    const read = readRecord(bytes)
    if (!read.ok) return read.says
    const { seq } = read.head
    const misplaced = this.#misplaced(seq, read.prev)
    if (misplaced !== null) return misplaced
    if (line === 1 && firstSeqOf(file) !== seq) return 'is in another file than its number says'
    const contradiction = read.anchored && this.#recent.contradiction(read.anchored)
    if (contradiction !== null) return contradiction
    this.#accept(read.head, read.anchored)
    return null
  }

  #accept(head: JournalHead, anchored: AnchoredHead | null): void {
    this.#first ??= head.seq
    this.#head = head
    this.#records++
    this.#recent.add(head)
    if (anchored === null || !this.#recent.has(anchored.headSeq)) return
    this.#anchors++
    this.#anchored = anchored
  }

  /** The first record at hand follows one that was removed with its file, unless it is the very first. */
  #misplaced(seq: number, prev: string): string | null {
    const before = this.#head ?? (seq === 1 ? beginning : null)
    if (before === null) return null
    if (seq !== before.seq + 1) return `has the number ${seq} behind ${before.seq}`
    return prev === before.hash ? null : 'does not follow the record before it'
  }

  #break(file: string, line: number, says: string): void {
    this.#broken ??= { file, line, says }
  }
}

/** So often is the oldest file removed under a reader at most; then one that vanishes counts as an empty one. */
const mostLooks = 5

/** The verdict on one look at the files; null: one of them was removed meanwhile. */
async function verdictOnce(files: JournalFiles, absent: Uint8Array | null): Promise<JournalVerdict | null> {
  const verifier = new JournalVerifier()
  for (const name of await files.list()) {
    const bytes = (await files.read(name, longestFile)) ?? absent
    if (bytes === null) return null
    verifier.take(name, bytes)
  }
  return verifier.verdict
}

/**
 * Follows the chain through all files, also while the agent writes: where it removed the oldest file between the look at the
 * folder and the reading, the look is taken again. Rejects as `files` do.
 */
export async function verifyJournal(files: JournalFiles): Promise<JournalVerdict> {
  for (let look = 1; ; look++) {
    const verdict = await verdictOnce(files, look < mostLooks ? null : new Uint8Array())
    if (verdict !== null) return verdict
  }
}
