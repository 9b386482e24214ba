import { toLatin1 } from '../../base/bytes.ts'
import { shownName } from '../../evidence/ima/escaped-name.ts'

/** Why a record is listed by its name; its name is untrusted where it is of a violation (IMA-05). */
export const imaNamedKinds = [
  'violation',
  'unlisted',
  'changed',
  'unjudged',
  'unknown-template',
  'signature-invalid',
  'signature-unknown-key',
  'buffer-not-allowed',
  'buffer-unlisted',
] as const

export type ImaNamedKind = (typeof imaNamedKinds)[number]

/** Records of one name, of one kind. */
export interface ImaNamedRecord {
  readonly kind: ImaNamedKind
  /** Escaped, cut after 256 bytes (IMA-22). */
  readonly name: string
  readonly count: number
}

/** Names of each kind; and characters of all kinds together, so that a checkpoint stays small. */
const maximumNames = 100
const maximumCharacters = 24_576
const maximumBytes = 256

/** The first names of each kind, with how often each came. What is not listed is counted elsewhere. */
export class NamedRecords {
  #lists = new Map<ImaNamedKind, Map<string, number>>()
  /** Shown names of what was seen, so that a name that comes a million times is escaped once. */
  #shown = new Map<string, string>()
  #characters = 0

  constructor(named: readonly ImaNamedRecord[] = []) {
    for (const { kind, name, count } of named) {
      this.#listOf(kind).set(name, count)
      this.#characters += name.length
    }
  }

  add(kind: ImaNamedKind, log: Uint8Array, start: number, end: number): void {
    const list = this.#listOf(kind)
    const name = this.#shownOf(log.subarray(start, end))
    const count = list.get(name)
    if (count !== undefined) list.set(name, count + 1)
    else if (list.size < maximumNames && this.#characters + name.length <= maximumCharacters) {
      list.set(name, 1)
      this.#characters += name.length
    }
  }

  /** In the order of the kinds, then as the names came. */
  list(): ImaNamedRecord[] {
    return imaNamedKinds.flatMap((kind) =>
      Array.from(this.#lists.get(kind) ?? [], ([name, count]) => ({ kind, name, count })),
    )
  }

  #listOf(kind: ImaNamedKind): Map<string, number> {
    const known = this.#lists.get(kind)
    if (known !== undefined) return known
    const list = new Map<string, number>()
    this.#lists.set(kind, list)
    return list
  }

  #shownOf(bytes: Uint8Array): string {
    const key = bytes.length > maximumBytes ? null : toLatin1(bytes)
    const known = key === null ? undefined : this.#shown.get(key)
    if (known !== undefined) return known
    const shown = shownName(bytes, maximumBytes)
    if (key !== null && this.#shown.size < maximumNames) this.#shown.set(key, shown)
    return shown
  }
}
