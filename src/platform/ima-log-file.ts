import type { FileHandle } from 'node:fs/promises'
import { MalformedError } from '../base/errors.ts'
import { type HashName, hashAlgorithms } from '../evidence/tpm/algorithms.ts'
import type { ImaLogPart } from '../evidence/tpm/evidence.ts'
import { wholeRecords } from './ima-log-records.ts'
import { openLog, tooLong, unreadable } from './open-log.ts'

const usualPath = '/sys/kernel/security/ima/binary_runtime_measurements'

/** In bytes; IMA writes about 150 a record. */
const usualLimit = 512 << 20

export interface ImaLogOptions {
  readonly path?: string
  /** Digest of the template-hash column in this file: `_sha256` and the like have another than SHA-1. */
  readonly column?: HashName
  readonly limit?: number
}

/** Consecutive records. `data` is nobody else's: its buffer may be given to another thread. */
export interface ImaLogSection extends ImaLogPart {
  /** How many there are. */
  readonly records: number
  /** True where the log goes on behind them; it is cut at the length that was asked for. */
  readonly continues: boolean
}

/** The boundary between two records. */
interface Mark {
  /** In front of it, counted since boot. */
  readonly records: number
  /** In front of it, in the file. */
  readonly bytes: number
}

const bootMark: Mark = { records: 0, bytes: 0 }

/** Bytes between boundaries that are remembered for long: to go back costs reading as much at most. */
const markSpacing = 1 << 20
const recentMarks = 4

/** What is remembered of a log in place of its bytes: where some of its records begin. */
class Marks {
  #spaced: Mark[] = [bootMark]
  #recent: Mark[] = []

  note(mark: Mark): void {
    this.#recent = [...this.#recent.slice(1 - recentMarks), mark]
    const last = this.#spaced.at(-1) ?? bootMark
    if (mark.bytes >= last.bytes + markSpacing) this.#spaced.push(mark)
  }

  /** The last one that is not behind record `records`. */
  before(records: number): Mark {
    const known = [...this.#spaced, ...this.#recent].filter((mark) => mark.records <= records)
    return known.reduce((best, mark) => (mark.records > best.records ? mark : best), bootMark)
  }
}

interface Most {
  readonly bytes: number
  readonly records: number
}

interface Chunk {
  readonly bytes: Uint8Array
  /** False: the file ended, as it is now. */
  readonly more: boolean
}

const firstRoom = 65_536

/**
 * The measurement list of the kernel, through one descriptor that stays open. For every page that is read the kernel
 * walks its list from the beginning, so that nothing is read twice where that can be helped: a later read goes on where
 * the last one ended (TPM-09). Bytes are not kept, only where some records begin.
 */
export class ImaLogFile implements AsyncDisposable {
  #path: string
  #column: HashName
  #limit: number
  #file: FileHandle | null = null
  #marks = new Marks()
  /** The beginning of a record that was read and not given, and its place in the file. */
  #left: { readonly bytes: Uint8Array; readonly at: number } = { bytes: new Uint8Array(), at: 0 }
  #turn: Promise<unknown> = Promise.resolve()

  constructor({ path = usualPath, column = 'sha1', limit = usualLimit }: ImaLogOptions = {}) {
    this.#path = path
    this.#column = column
    this.#limit = limit
  }

  /**
   * Records from number `from` on (counted since boot), as many as `most` bytes hold, but at least one. They begin with
   * record 0 where there are fewer, or where what was known of the log does not fit it: then the counting was about
   * another boot. Null where the kernel keeps no log. Throws `ima_unreadable`, or `MalformedError` for what is not a
   * measurement list.
   */
  readFrom(from: number, most = this.#limit): Promise<ImaLogSection | null> {
    const section = this.#turn.then(() => this.#readFrom(from, most))
    this.#turn = section.catch(() => undefined)
    return section
  }

  async close(): Promise<void> {
    await this.#turn
    await this.#forget()
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  async #readFrom(from: number, most: number): Promise<ImaLogSection | null> {
    try {
      // What is wanted from the beginning may be another log than the one that is open.
      if (from === 0) await this.#forget()
      this.#file ??= await openLog(this.#path, 'ima_unreadable')
      if (this.#file === null) return null
      return (await this.#sectionFrom(this.#file, from, most)) ?? (await this.#readFrom(0, most))
    } catch (error) {
      // What was read has not been given to anybody: the next read begins again.
      await this.#forget()
      throw unreadable('ima_unreadable', this.#path, error)
    }
  }

  /** Null where this log has no such records. */
  async #sectionFrom(file: FileHandle, from: number, most: number): Promise<ImaLogSection | null> {
    try {
      const start = await this.#seek(file, from)
      return start === null ? null : await this.#section(file, start, { bytes: most, records: Infinity })
    } catch (error) {
      if (from > 0 && error instanceof MalformedError) return null
      throw error
    }
  }

  /** The boundary in front of record `from`: one that is known, or one found by reading over what lies before it. */
  async #seek(file: FileHandle, from: number): Promise<Mark | null> {
    let mark = this.#marks.before(from)
    while (mark.records < from) {
      const { records, data } = await this.#section(file, mark, { bytes: markSpacing, records: from - mark.records })
      if (records === 0) return null
      mark = { records: mark.records + records, bytes: mark.bytes + data.length }
    }
    return mark
  }

  /** As many records behind `start` as `most` says, but at least one where there is one. */
  async #section(file: FileHandle, start: Mark, most: Most): Promise<ImaLogSection> {
    const { bytes, more } = await this.#readAt(file, start.bytes, most.bytes)
    const within = bytes.subarray(0, most.bytes)
    const shape = { columnSize: hashAlgorithms[this.#column].size, from: start.records }
    const { end, records } = wholeRecords(within, shape, most.records)
    if (more && records === 0) return this.#section(file, start, { bytes: 2 * most.bytes, records: 1 })
    if (!more && end < bytes.length && records < most.records) {
      throw new MalformedError({ path: `ima.records.${start.records + records}` }, 'the log ends in the middle of it')
    }
    const behind = { records: start.records + records, bytes: start.bytes + end }
    this.#left = { bytes: bytes.slice(end), at: behind.bytes }
    this.#marks.note(behind)
    const data = bytes.subarray(0, end)
    return { from: start.records, column: this.#column, data, records, continues: end < bytes.length }
  }

  /** Bytes from `at` on, to the end of the file or one more than `most`, so that it is known whether there are more. */
  async #readAt(file: FileHandle, at: number, most: number): Promise<Chunk> {
    const left = this.#left.at === at ? this.#left.bytes : new Uint8Array()
    let room = new Uint8Array(Math.max(firstRoom, 2 * left.length))
    room.set(left)
    for (let size = left.length; ; ) {
      if (at + size > this.#limit) throw tooLong('ima_unreadable', this.#path, this.#limit)
      if (size > most) return { bytes: room.subarray(0, size), more: true }
      if (size === room.length) room = grown(room, most + firstRoom)
      const { bytesRead } = await file.read(room, size, room.length - size, at + size)
      if (bytesRead === 0) return { bytes: room.subarray(0, size), more: false }
      size += bytesRead
    }
  }

  async #forget(): Promise<void> {
    const file = this.#file
    this.#file = null
    this.#marks = new Marks()
    this.#left = { bytes: new Uint8Array(), at: 0 }
    await file?.close()
  }
}

function grown(room: Uint8Array<ArrayBuffer>, most: number): Uint8Array<ArrayBuffer> {
  const larger = new Uint8Array(Math.max(room.length + firstRoom, Math.min(2 * room.length, most)))
  larger.set(room)
  return larger
}
