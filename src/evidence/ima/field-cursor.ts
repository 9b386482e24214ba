import { toLatin1 } from '../../base/bytes.ts'
import type { ImaCursor } from './ima-cursor.ts'
import { type ImaFieldId, type ImaFields, imaFieldIds, parseImaTemplate } from './ima-template.ts'
import { type KernelHash, kernelHashOf } from './kernel-hashes.ts'

/** Fields that are read without an object; all others by `parseImaTemplate`. */
const plainFields: ReadonlySet<ImaFieldId> = new Set(['d-ng', 'd-ngv2', 'n-ng', 'sig', 'buf'] as const)

const longestPrefix = 40
const kinds = ['ima', 'verity'] as const

/** What stands before a digest, and what follows from it. */
interface DigestPrefix {
  readonly text: string
  readonly typed: boolean
  readonly algorithm: KernelHash
  readonly size: number
}

/** `alg:` NUL, or with a kind before it. */
function parsePrefix(text: string, typed: boolean): DigestPrefix | null {
  const kind = kinds.find((name) => text.startsWith(`${name}:`))
  if (typed && kind === undefined) return null
  const name = text.slice(typed && kind !== undefined ? kind.length + 1 : 0, -2)
  const algorithm = text.endsWith(':\0') ? kernelHashOf(name) : undefined
  return algorithm === undefined ? null : { text, typed, algorithm: algorithm.name, size: algorithm.size }
}

/** Of no field: a size is never negative. */
const noPrefix: DigestPrefix = { text: '\0', typed: false, algorithm: 'md4', size: -1 }

/** True if one of the bytes is zero. Four at a time: a word with a zero byte borrows in a place where it has no bit. */
function hasNul(view: DataView, start: number, end: number): boolean {
  let at = start
  for (; at + 4 <= end; at += 4) {
    const word = view.getInt32(at)
    if (((word - 0x01010101) & ~word & 0x80808080) !== 0) return true
  }
  for (; at < end; at++) if (view.getUint8(at) === 0) return true
  return false
}

/**
 * Where the fields of a record are, as offsets in the log: the fields that most records have, for loops over a million of
 * them. It reads what `parseImaTemplate` reads, and refuses what that refuses. -1: the record has no such field.
 */
export class FieldCursor {
  digestAt = -1
  /** Of the digest; its length is that of the algorithm. */
  algorithm: KernelHash = 'md4'
  /** The name, without its NUL. */
  nameAt = -1
  nameEnd = -1
  signatureAt = -1
  signatureEnd = -1
  bufferAt = -1
  #template = ''
  #layout: readonly ImaFieldId[] | null = null
  #prefix = noPrefix

  /**
   * Reads the fields of a record that is no violation, to the last byte of its template data (IMA-07). Gives null, or why
   * they cannot be read: the template is not known. Data without the form of its template throws `MalformedError`.
   */
  read(cursor: ImaCursor): string | null {
    return this.#readPlain(cursor) ? null : this.#readAny(cursor)
  }

  /** All fields of the record, as objects; for the few that need them. */
  fieldsOf(cursor: ImaCursor, violation = false): ImaFields | null {
    return this.#parse(cursor, violation).fields
  }

  #parse(cursor: ImaCursor, violation: boolean) {
    const { template, bytes, dataAt, end, index } = cursor
    const record = { template, data: bytes.subarray(dataAt, end) }
    return parseImaTemplate(record, { violation, path: `ima.records.${index}` })
  }

  #reset(): void {
    this.digestAt = -1
    this.nameAt = -1
    this.nameEnd = -1
    this.signatureAt = -1
    this.signatureEnd = -1
    this.bufferAt = -1
  }

  #readAny(cursor: ImaCursor): string | null {
    this.#reset()
    const { fields, problem } = this.#parse(cursor, false)
    if (fields === null) return problem
    const { digest, name, signature, buffer } = fields
    const { byteOffset } = cursor.bytes
    const at = (field: Uint8Array | null) => (field === null ? -1 : field.byteOffset - byteOffset)
    if (digest !== null) this.algorithm = digest.algorithm
    this.digestAt = at(digest?.digest ?? null)
    this.nameAt = at(name)
    this.nameEnd = this.nameAt + (name?.length ?? 0)
    this.signatureAt = at(signature)
    this.signatureEnd = this.signatureAt + (signature?.length ?? 0)
    this.bufferAt = at(buffer)
    return null
  }

  #readPlain({ template, view, bytes, dataAt, end }: ImaCursor): boolean {
    if (template !== this.#template) this.#adopt(template)
    const layout = this.#layout
    if (layout === null) return false
    this.#reset()
    let at = dataAt
    for (const id of layout) {
      if (end - at < 4) return false
      const size = view.getUint32(at, true)
      at += 4
      if (size > end - at || !this.#readField(id, bytes, view, at, at + size)) return false
      at += size
    }
    return at === end
  }

  #adopt(template: string): void {
    const ids = template === 'ima' ? null : imaFieldIds(template)
    this.#template = template
    this.#layout = ids?.every((id) => plainFields.has(id)) ? ids : null
  }

  #readField(id: ImaFieldId, bytes: Uint8Array, view: DataView, at: number, end: number): boolean {
    if (id === 'd-ng') return this.#readDigest(false, bytes, at, end)
    if (id === 'n-ng') return this.#readName(view, at, end)
    if (id === 'd-ngv2') return this.#readDigest(true, bytes, at, end)
    if (id === 'sig') {
      this.signatureAt = at
      this.signatureEnd = end
    } else this.bufferAt = at
    return true
  }

  #readName(view: DataView, at: number, end: number): boolean {
    if (end === at || view.getUint8(end - 1) !== 0 || hasNul(view, at, end - 1)) return false
    this.nameAt = at
    this.nameEnd = end - 1
    return true
  }

  #readDigest(typed: boolean, bytes: Uint8Array, at: number, end: number): boolean {
    if (!this.#hasPrefix(typed, bytes, at) && !this.#learnPrefix(typed, bytes, at, end)) return false
    this.digestAt = at + this.#prefix.text.length
    this.algorithm = this.#prefix.algorithm
    return end - this.digestAt === this.#prefix.size
  }

  /** The prefix is nearly always that of the record before. Its NUL ends the comparison at the end of the field too. */
  #hasPrefix(typed: boolean, bytes: Uint8Array, at: number): boolean {
    const { text } = this.#prefix
    if (typed !== this.#prefix.typed) return false
    for (let i = 0; i < text.length; i++) if (bytes[at + i] !== text.charCodeAt(i)) return false
    return true
  }

  #learnPrefix(typed: boolean, bytes: Uint8Array, at: number, end: number): boolean {
    const start = toLatin1(bytes.subarray(at, Math.min(end, at + longestPrefix)))
    const prefix = parsePrefix(start.slice(0, start.indexOf('\0') + 1), typed)
    if (prefix !== null) this.#prefix = prefix
    return prefix !== null
  }
}
