import type { LogAlgorithm } from './spec-id.ts'

/** One entry of an event log. Digests and data are views of the log's bytes, made when they are asked for. */
export interface LoggedEvent {
  /** Position in the log, the header event not counted. */
  readonly index: number
  /** Byte offset of the entry in the log. */
  readonly offset: number
  /** PCR index; for confidential-computing logs the measurement register index. */
  readonly pcr: number
  readonly type: number
  /** TPM_ALG_ID → digest: what firmware says it extended. */
  readonly digests: ReadonlyMap<number, Uint8Array>
  readonly data: Uint8Array
  /** The digest of one TPM_ALG_ID, without making a map of all of them. */
  digest(algorithm: number): Uint8Array | undefined
}

/** The bytes of a log, and how its entries are laid out; one for all entries. */
export interface LogBytes {
  readonly bytes: Uint8Array
  /** TPM_ALG_ID → bytes of a digest. */
  readonly sizes: ReadonlyMap<number, number>
  /** Entries of the TCG 1.2 form have one digest of 20 bytes and no count. */
  readonly format: 'crypto-agile' | 'legacy'
}

export function logBytesOf(
  bytes: Uint8Array,
  algorithms: readonly LogAlgorithm[],
  format: LogBytes['format'],
): LogBytes {
  return { bytes, format, sizes: new Map(algorithms.map(({ id, size }) => [id, size])) }
}

const legacyDigest = { id: 0x0004, start: 8, end: 28 }
const agileStart = 12

/**
 * An entry that a parser has read to its end: where it lies, and nothing else. A log of two mebibytes may have a hundred
 * thousand entries; a map and three views for each would take thirty times the bytes of the log.
 */
export class LogEntry implements LoggedEvent {
  readonly index: number
  readonly offset: number
  readonly pcr: number
  readonly type: number
  #log: LogBytes

  constructor(log: LogBytes, { index, offset, pcr, type }: Pick<LoggedEvent, 'index' | 'offset' | 'pcr' | 'type'>) {
    this.#log = log
    this.index = index
    this.offset = offset
    this.pcr = pcr
    this.type = type
  }

  get digests(): ReadonlyMap<number, Uint8Array> {
    const digests = new Map<number, Uint8Array>()
    this.#walk((id, start, end) => {
      digests.set(id, this.#log.bytes.subarray(start, end))
      return false
    })
    return digests
  }

  get data(): Uint8Array {
    const at = this.#walk(() => false)
    return this.#log.bytes.subarray(at + 4, at + 4 + this.#u32(at))
  }

  digest(algorithm: number): Uint8Array | undefined {
    let found: Uint8Array | undefined
    this.#walk((id, start, end) => {
      if (id === algorithm) found = this.#log.bytes.subarray(start, end)
      return id === algorithm
    })
    return found
  }

  /** Visits the digests until one is what was looked for; gives the offset behind the last one visited. */
  #walk(visit: (id: number, start: number, end: number) => boolean): number {
    const { bytes, sizes, format } = this.#log
    if (format === 'legacy') {
      const end = this.offset + legacyDigest.end
      visit(legacyDigest.id, this.offset + legacyDigest.start, end)
      return end
    }
    let at = this.offset + agileStart
    for (let left = this.#u32(at - 4); left > 0; left--) {
      const id = (bytes[at] ?? 0) + 256 * (bytes[at + 1] ?? 0)
      const end = at + 2 + (sizes.get(id) ?? 0)
      if (visit(id, at + 2, end)) return end
      at = end
    }
    return at
  }

  #u32(at: number): number {
    const { bytes } = this.#log
    return (
      (bytes[at] ?? 0) +
      0x100 * (bytes[at + 1] ?? 0) +
      0x1_0000 * (bytes[at + 2] ?? 0) +
      0x100_0000 * (bytes[at + 3] ?? 0)
    )
  }
}
