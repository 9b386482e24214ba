import { toLatin1 } from '../base/bytes.ts'
import { digestText, type HashName, hashAlgorithms } from '../evidence/tpm/algorithms.ts'

/** Writes text of one character a byte. For texts as short as a digest a loop is faster than `Buffer.write`. */
export function writeLatin1(bytes: Uint8Array, text: string, at: number): void {
  for (let index = 0; index < text.length; index++) bytes[at + index] = text.charCodeAt(index)
}

/**
 * A register of one bank as a log leads to it: it begins with zeros or a given value, and every extension replaces it
 * by H(value ‖ digest). A log may have a million entries, so digests may come as text of one character a byte, as
 * `digestText` gives it, and no bytes are made on the way.
 */
export class ExtendedRegister {
  readonly bank: HashName
  /** What the next extension hashes: the value, then the digest. Bytes that no digest fills stay zero. */
  #both: Buffer
  #size: number
  #text: string

  constructor(bank: HashName, start: Uint8Array = new Uint8Array()) {
    this.bank = bank
    this.#size = hashAlgorithms[bank].size
    this.#both = Buffer.alloc(2 * this.#size)
    this.#both.set(start)
    this.#text = toLatin1(this.#both.subarray(0, this.#size))
  }

  /** The value as text of one character a byte. */
  get text(): string {
    return this.#text
  }

  get value(): Uint8Array {
    return new Uint8Array(this.#both.subarray(0, this.#size))
  }

  /** `digest` has the size of the bank, or in every extension of this register the same smaller one, and is padded. */
  extend(digest: Uint8Array | string): void {
    if (typeof digest === 'string') writeLatin1(this.#both, digest, this.#size)
    else this.#both.set(digest, this.#size)
    this.#text = digestText(this.bank, this.#both)
    writeLatin1(this.#both, this.#text, 0)
  }
}
