import { toLatin1 } from '../base/bytes.ts'
import { digestText, type HashName, hashAlgorithms } from '../evidence/tpm/algorithms.ts'

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
    if (typeof digest === 'string') this.#both.write(digest, this.#size, 'latin1')
    else this.#both.set(digest, this.#size)
    this.#text = digestText(this.bank, this.#both)
    this.#both.write(this.#text, 0, 'latin1')
  }
}
