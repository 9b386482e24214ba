import { hash } from 'node:crypto'
import { type DigestSet, referenceAlgorithmNames, referenceAlgorithms } from './digest-set.ts'
import type { MeasuredName } from './reference-values.ts'

/**
 * SHA-256 template hashes of the records that reference values allow, in shared memory, by the template that such a
 * record names: no digest covers that name, and the same data under another name is another record. Each is open
 * addressing with linear probing; a slot has the eight words of a hash as they lie in memory, and is free where the
 * first of them is zero.
 *
 * Hashes are kept whole: where they agree, so do the path, the digest and the form of the data. Where a search begins
 * follows from the first word without a key. A guest can choose that word, and cannot make a search long by it: only
 * documents of operators put anything in.
 */
export interface TemplateTable {
  readonly 'ima-ng': Int32Array
  /** Of files without a signature. */
  readonly 'ima-sig': Int32Array
}

type Entries = Iterable<readonly [MeasuredName, DigestSet]>

const wordsOfHash = 8

/** Its length, and nothing. */
const emptyField = 4

/** Records of each template in one table, at 48 bytes each: beyond, memory is worth more than time. */
const maximumRecords = 2_000_000

/** Two of three are taken, and never all, so that every search ends soon. */
const slotsFor = (records: number) => Math.ceil(1.5 * records) + 1

/** No such record is judged as a file alone (IMA-12, IMA-20). */
const bootAggregate = 'boot_aggregate'

/** `PATH_MAX` of Linux; a longer name would be no reason for a larger buffer. */
const longestPath = 4096

/** A record of another name is not judged by its hash, or not well formed: a name ends in its only NUL (IMA-07). */
const isPlain = (path: MeasuredName) => path !== bootAggregate && path.length <= longestPath && !path.includes('\0')

/** By code: what stands before a digest in a record, and the size of the digest in bytes. */
const algorithms = referenceAlgorithmNames.map((name) => ({ prefix: `${name}:\0`, size: referenceAlgorithms[name] }))

function countDigests(digests: DigestSet): number {
  let count = 0
  for (let at = 0; at < digests.length; count++) at = endOfDigest(digests, at)
  return count
}

function endOfDigest(digests: DigestSet, at: number): number {
  const algorithm = algorithms[digests.charCodeAt(at)]
  if (algorithm === undefined) throw new TypeError('a digest set begins with the code of an algorithm')
  return at + 1 + algorithm.size
}

function countRecords(entries: Entries): number {
  let records = 0
  for (const [path, digests] of entries) if (isPlain(path)) records += countDigests(digests)
  return Math.min(records, maximumRecords)
}

/** Place of the first word of the slot where a search begins. */
const startOf = (first: number, slots: number) => wordsOfHash * Math.floor(((first >>> 0) / 2 ** 32) * slots)

/** Hashes that go into a table together. */
const together = 64

/**
 * Puts hashes into a table. Each goes to a place that is in no cache, and the machine can only wait for several of them
 * at once if nothing else is between: many together take a third of the time.
 */
class TemplateInserter {
  readonly table: Int32Array
  readonly #slots: number
  readonly #waiting = new Int32Array(wordsOfHash * together)
  readonly #bytes = new Uint8Array(this.#waiting.buffer)
  #count = 0

  constructor(records: number) {
    this.#slots = slotsFor(records)
    this.table = new Int32Array(new SharedArrayBuffer(4 * wordsOfHash * this.#slots))
  }

  /** `digest`: one character a byte. */
  add(digest: string): void {
    const at = 4 * wordsOfHash * this.#count
    for (let index = 0; index < digest.length; index++) this.#bytes[at + index] = digest.charCodeAt(index)
    this.#count++
    if (this.#count === together) this.finish()
  }

  finish(): void {
    for (let at = 0; at < wordsOfHash * this.#count; at += wordsOfHash) this.#insert(at)
    this.#count = 0
  }

  #insert(at: number): void {
    const { table } = this
    const first = this.#waiting[at] ?? 0
    // One hash of four thousand million looks like a free slot: its record is read field by field.
    if (first === 0) return
    let slot = startOf(first, this.#slots)
    while (table[slot] !== 0) slot = slot + wordsOfHash === table.length ? 0 : slot + wordsOfHash
    for (let word = 0; word < wordsOfHash; word++) table[slot + word] = this.#waiting[at + word] ?? 0
  }
}

/** Hashes records as the kernel does: over fields with their lengths, little endian. */
class TemplateHasher {
  readonly #data = Buffer.alloc(longestPath + 256)

  /** Writes `d-ng`, `n-ng` and an empty field; gives the end of the second. */
  write(path: MeasuredName, digests: DigestSet, at: number): number {
    const data = this.#data
    const { prefix = '', size = 0 } = algorithms[digests.charCodeAt(at)] ?? {}
    let end = data.writeUInt32LE(prefix.length + size, 0)
    for (let index = 0; index < prefix.length; index++) data[end++] = prefix.charCodeAt(index)
    for (let index = 1; index <= size; index++) data[end++] = digests.charCodeAt(at + index)
    end = data.writeUInt32LE(path.length + 1, end)
    end += data.write(path, end, 'latin1')
    end = data.writeUInt8(0, end)
    data.writeUInt32LE(0, end)
    return end
  }

  hash(end: number): string {
    return hash('sha256', this.#data.subarray(0, end), 'binary')
  }
}

/**
 * Builds the table of the files that `buildDigestTable` takes; `entries` is gone through twice. Files beyond the most
 * that it holds, 2 000 000 digests, are left out. Takes linear time, and two seconds for a million files.
 */
export function buildTemplateTable(entries: Entries): TemplateTable {
  let left = countRecords(entries)
  const [plain, signed] = [new TemplateInserter(left), new TemplateInserter(left)]
  const hasher = new TemplateHasher()
  for (const [path, digests] of entries) {
    if (!isPlain(path)) continue
    for (let at = 0; at < digests.length && left > 0; left--) {
      const end = hasher.write(path, digests, at)
      plain.add(hasher.hash(end))
      signed.add(hasher.hash(end + emptyField))
      at = endOfDigest(digests, at)
    }
  }
  plain.finish()
  signed.finish()
  return { 'ima-ng': plain.table, 'ima-sig': signed.table }
}

const isTemplate = (name: string): name is keyof TemplateTable => name === 'ima-ng' || name === 'ima-sig'

/** Looks up records of one log. */
export class TemplateLookup {
  #table: TemplateTable
  #template = ''
  #slots: Int32Array | null = null

  constructor(table: TemplateTable) {
    this.#table = table
  }

  /**
   * True: the record is well formed (IMA-07), of a file with an allowed digest (IMA-15) and without a signature, and no
   * boot aggregate. False says nothing. `template`: the name in the record; `words`: SHA-256 of its data, eight words as
   * they lie in memory.
   */
  has(template: string, words: Int32Array): boolean {
    // Nearly always the name of the record before, and the same text.
    if (template !== this.#template) this.#adopt(template)
    const slots = this.#slots
    const first = words[0] ?? 0
    if (slots === null || first === 0) return false
    let slot = startOf(first, slots.length / wordsOfHash)
    for (let word = slots[slot]; word !== 0; word = slots[slot]) {
      if (word === first && isAt(slots, slot, words)) return true
      slot = slot + wordsOfHash === slots.length ? 0 : slot + wordsOfHash
    }
    return false
  }

  #adopt(template: string): void {
    this.#template = template
    this.#slots = isTemplate(template) ? this.#table[template] : null
  }
}

function isAt(slots: Int32Array, slot: number, words: Int32Array): boolean {
  for (let word = 1; word < wordsOfHash; word++) if (slots[slot + word] !== words[word]) return false
  return true
}
