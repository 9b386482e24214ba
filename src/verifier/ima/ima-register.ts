import { toLatin1 } from '../../base/bytes.ts'
import { digestText, type HashName, hashAlgorithms } from '../../evidence/tpm/algorithms.ts'

export type BankForm = 'native' | 'sha1-padded'

/**
 * The register that IMA extends, in one bank, as a log leads to it. Digests are text of one character a byte, see
 * `digestText`: a log may have a million records.
 */
export class ImaRegister {
  readonly bank: HashName
  readonly form: BankForm
  /** Hash of a template, before padding. */
  readonly templateHash: HashName
  #quoted: string
  #value: string
  /** What the next extension hashes: the value, then the template hash, padded with zeros to the same length. */
  #both: Buffer
  #size: number

  constructor(bank: HashName, form: BankForm, quoted: Uint8Array) {
    this.bank = bank
    this.form = form
    this.templateHash = form === 'native' ? bank : 'sha1'
    this.#size = hashAlgorithms[bank].size
    this.#quoted = toLatin1(quoted)
    this.#both = Buffer.alloc(2 * this.#size)
    this.#value = toLatin1(this.#both.subarray(0, this.#size))
  }

  /** True where the records so far lead to the quoted value. */
  get isReached(): boolean {
    return this.#value === this.#quoted
  }

  /** `digest`: of the template by `templateHash`. */
  extend(digest: string): void {
    this.#both.write(digest, this.#size, 'latin1')
    this.#value = digestText(this.bank, this.#both)
    this.#both.write(this.#value, 0, 'latin1')
  }

  /** IMA-05: the kernel extended FF in place of a hash. */
  extendViolation(): void {
    this.extend('\xff'.repeat(hashAlgorithms[this.templateHash].size))
  }
}
