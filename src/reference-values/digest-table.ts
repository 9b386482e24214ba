import { type DigestSet, type ReferenceAlgorithm, referenceAlgorithmNames, referenceAlgorithms } from './digest-set.ts'
import { keyedHash } from './keyed-hash.ts'
import type { MeasuredName } from './reference-values.ts'

/**
 * Paths and the digests that the file at each of them may have, in shared memory: plain data that goes to another
 * thread without a copy. A table of a million files takes little more memory than their names and digests.
 */
export interface DigestTable {
  /** Key of the hash of paths. Names in a log are chosen by the guest, which must not know in which slots they end. */
  readonly seed: readonly [number, number]
  /** Paths, counted as often as they were given. */
  readonly entries: number
  /** Open addressing with linear probing: hash of the path, place of the entry plus 1; both zero where a slot is free. */
  readonly slots: Int32Array
  /** Entries behind each other: u32 length of the path, u32 length of the digests, path, digests; little endian. */
  readonly arena: Uint8Array
}

/** `changed`: the path is known, and has not this digest. */
export type DigestVerdict = 'allowed' | 'changed' | 'unknown'

type Entries = Iterable<readonly [MeasuredName, DigestSet]>

const entryHeader = 8
const maximumArena = 2 ** 31 - 2
const minimumSlots = 16

/** No name of a file in Linux is longer than `PATH_MAX`; what is longer is never found. */
const maximumPath = 0xffff

const codes: ReadonlyMap<string, number> = new Map(referenceAlgorithmNames.map((name, code) => [name, code]))

/** The code of an algorithm in digest sets and tables; -1 for one that no reference value can have. */
export function digestCode(algorithm: string): number {
  return codes.get(algorithm) ?? -1
}

/** Digest sizes in bytes, by code. */
const sizes: readonly number[] = referenceAlgorithmNames.map((name) => referenceAlgorithms[name])

/** At most half of the slots are taken, so that every search ends soon. */
function slotsFor(entries: number): number {
  let slots = minimumSlots
  while (slots < 2 * entries) slots *= 2
  return slots
}

interface Extent {
  entries: number
  bytes: number
}

function measure(entries: Entries): Extent {
  const extent: Extent = { entries: 0, bytes: 0 }
  for (const [path, digests] of entries) {
    if (path.length > maximumPath) throw new RangeError(`a path of ${path.length} bytes is above ${maximumPath}`)
    extent.entries += 1
    extent.bytes += entryHeader + path.length + digests.length
  }
  if (extent.bytes > maximumArena) throw new RangeError(`reference values of ${extent.bytes} bytes do not fit a table`)
  return extent
}

function place(slots: Int32Array, hash: number, at: number): void {
  const mask = slots.length / 2 - 1
  let slot = hash & mask
  while (slots[2 * slot + 1] !== 0) slot = (slot + 1) & mask
  slots[2 * slot] = hash
  slots[2 * slot + 1] = at + 1
}

/**
 * Builds a table. `entries` is gone through twice, so that all memory is taken once and in its final size: give a map
 * or an array, not a generator. A path that comes more than once has the digests of all its entries. `seed`: two random
 * integers below 2³². Takes linear time, and a second for a million files.
 */
export function buildDigestTable(entries: Entries, seed: readonly [number, number]): DigestTable {
  const extent = measure(entries)
  const slots = new Int32Array(new SharedArrayBuffer(8 * slotsFor(extent.entries)))
  const arena = Buffer.from(new SharedArrayBuffer(extent.bytes))
  const view = new DataView(arena.buffer)
  let at = 0
  for (const [path, digests] of entries) {
    view.setUint32(at, path.length, true)
    view.setUint32(at + 4, digests.length, true)
    const start = at + entryHeader
    arena.write(path, start, 'latin1')
    arena.write(digests, start + path.length, 'latin1')
    place(slots, keyedHash(view, start, start + path.length, seed), at)
    at = start + path.length + digests.length
  }
  if (at !== extent.bytes) throw new TypeError('the entries of a digest table changed while it was built')
  return { seed, entries: extent.entries, slots, arena: new Uint8Array(arena.buffer) }
}

/** Looks up names and digests where they stand in a log, without making an object for each; for one thread. */
export class DigestLookup {
  #slots: Int32Array
  #arena: Uint8Array
  #view: DataView
  #mask: number
  #seed: readonly [number, number]
  #log: Uint8Array
  #logView: DataView

  constructor({ slots, arena, seed }: DigestTable, log: Uint8Array) {
    this.#slots = slots
    this.#arena = arena
    this.#view = new DataView(arena.buffer, arena.byteOffset, arena.byteLength)
    this.#mask = slots.length / 2 - 1
    this.#seed = seed
    this.#log = log
    this.#logView = new DataView(log.buffer, log.byteOffset, log.byteLength)
  }

  /**
   * `start` to `end` of the log is the path, without its NUL; the digest begins at `digest` and has the size of its
   * algorithm, whose code is that of `digestCode`; -1 is in no entry.
   */
  find(start: number, end: number, code: number, digest: number): DigestVerdict {
    if (end - start > maximumPath) return 'unknown'
    const hash = keyedHash(this.#logView, start, end, this.#seed)
    const slots = this.#slots
    const mask = this.#mask
    let verdict: DigestVerdict = 'unknown'
    for (let slot = hash & mask; ; slot = (slot + 1) & mask) {
      const entry = slots[2 * slot + 1] ?? 0
      if (entry === 0) return verdict
      if (slots[2 * slot] !== hash || !this.#isPath(entry - 1, start, end)) continue
      if (this.#hasDigest(entry - 1, code, digest)) return 'allowed'
      verdict = 'changed'
    }
  }

  #isPath(entry: number, start: number, end: number): boolean {
    const length = this.#view.getInt32(entry, true)
    return length === end - start && this.#equals(entry + entryHeader, start, length)
  }

  #hasDigest(entry: number, code: number, digest: number): boolean {
    let at = entry + entryHeader + this.#view.getInt32(entry, true)
    const end = at + this.#view.getInt32(entry + 4, true)
    while (at < end) {
      const own = this.#arena[at] ?? 0
      const size = sizes[own] ?? end
      if (own === code && this.#equals(at + 1, digest, size)) return true
      at += 1 + size
    }
    return false
  }

  #equals(own: number, start: number, length: number): boolean {
    const view = this.#view
    const logView = this.#logView
    const last = length - 4
    if (last < 0) return this.#equalsShort(own, start, length)
    for (let at = 0; at < last; at += 4) {
      if (view.getInt32(own + at, true) !== logView.getInt32(start + at, true)) return false
    }
    return view.getInt32(own + last, true) === logView.getInt32(start + last, true)
  }

  #equalsShort(own: number, start: number, length: number): boolean {
    for (let at = 0; at < length; at++) if (this.#arena[own + at] !== this.#log[start + at]) return false
    return true
  }
}

/** Looks up one file. For many files of one log, `DigestLookup` takes a fraction of the time. */
export function lookupDigest(
  table: DigestTable,
  path: Uint8Array,
  algorithm: ReferenceAlgorithm,
  digest: Uint8Array,
): DigestVerdict {
  if (digest.length !== referenceAlgorithms[algorithm]) return lookupPath(table, path)
  const log = new Uint8Array(path.length + digest.length)
  log.set(path)
  log.set(digest, path.length)
  return new DigestLookup(table, log).find(0, path.length, digestCode(algorithm), path.length)
}

/** A digest that is none of its algorithm's is in no entry. */
function lookupPath(table: DigestTable, path: Uint8Array): DigestVerdict {
  return new DigestLookup(table, path).find(0, path.length, -1, 0)
}
