import { createHash } from 'node:crypto'
import { AttestdError } from '../../base/errors.ts'
import { canonicalJson, type JsonObject, parseJsonObject } from '../../base/json.ts'

/** What an entry says beside its place in the chain: hashes and names, never a token, a nonce or a key (BRK-121). */
export interface JournalFacts {
  readonly [name: string]: string | number | boolean | null | JournalFacts
}

export interface JournalEntry {
  /** `issue`, `serve`, `deny` and the like. */
  readonly event: string
  /** Milliseconds since the Unix epoch. */
  readonly wall: number
  /** Milliseconds since boot, suspend included. */
  readonly bootMs: number
  readonly facts: JournalFacts
}

/** The last record of a journal: what the next one follows. */
export interface JournalHead {
  readonly seq: number
  /** 64 hexadecimal digits. */
  readonly hash: string
}

/** What the very first record follows. */
export const beginning: JournalHead = { seq: 0, hash: '0'.repeat(64) }

/** Bytes of one record, its line feed not counted. */
const longestRecord = 16_384

const limits = { maxDepth: 4, maxItems: 64, maxValues: 256, integersOnly: true }

function hashOf(record: Readonly<Record<string, unknown>>): string {
  return createHash('sha256').update(canonicalJson(record)).digest('hex')
}

/** Writes the record that follows `head` as one line (BRK-120): `hash` is of its canonical JSON without `hash`. */
export function encodeRecord(
  head: JournalHead,
  bootId: string,
  { event, wall, bootMs, facts }: JournalEntry,
): { readonly line: Uint8Array; readonly head: JournalHead } {
  const place = { seq: head.seq + 1, boot_id: bootId, wall, boot_ms: bootMs, event, prev: head.hash }
  const record = { ...facts, ...place }
  const hash = hashOf(record)
  const line = new TextEncoder().encode(`${canonicalJson({ ...record, hash })}\n`)
  if (line.length > longestRecord + 1) throw new TypeError(`a record of the journal has ${line.length} bytes`)
  return { line, head: { seq: place.seq, hash } }
}

/** An earlier record whose hash was put into a register, as the record `seq` tells (BRK-123). */
export interface AnchoredHead {
  readonly seq: number
  readonly register: string
  readonly headSeq: number
  readonly headHash: string
}

/** One line of a journal as far as it can be judged by itself. */
export type ReadRecord =
  | { readonly ok: true; readonly head: JournalHead; readonly prev: string; readonly anchored: AnchoredHead | null }
  | { readonly ok: false; readonly says: string }

/** Reads one line, without its line feed: whatever is not exactly what was written is broken. Never throws. */
export function readRecord(line: Uint8Array): ReadRecord {
  if (line.length > longestRecord) return { ok: false, says: `has ${line.length} bytes` }
  const record = parsed(line)
  if (record === null) return { ok: false, says: 'is not a JSON object' }
  if (Buffer.compare(Buffer.from(canonicalJson(record)), line) !== 0) return { ok: false, says: 'is not canonical' }
  const { hash, ...rest } = record
  const { seq, prev } = rest
  if (hash !== hashOf(rest)) return { ok: false, says: 'does not have the hash that it states' }
  if (typeof seq !== 'number' || seq < 1 || typeof prev !== 'string') return { ok: false, says: 'has no place' }
  return { ok: true, head: { seq, hash }, prev, anchored: anchoredIn(seq, rest) }
}

/** What an entry of this name says that is not one of ours is no anchor. */
function anchoredIn(seq: number, { event, register, head_seq, head_hash }: JsonObject): AnchoredHead | null {
  if (event !== 'anchor' || typeof register !== 'string') return null
  if (typeof head_seq !== 'number' || typeof head_hash !== 'string') return null
  return { seq, register, headSeq: head_seq, headHash: head_hash }
}

function parsed(line: Uint8Array): JsonObject | null {
  try {
    return parseJsonObject(line, 'record', limits)
  } catch (error) {
    if (error instanceof AttestdError) return null
    throw error
  }
}
