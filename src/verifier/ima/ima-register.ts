import { toLatin1 } from '../../base/bytes.ts'
import { type HashName, hashAlgorithms } from '../../evidence/tpm/algorithms.ts'
import { ExtendedRegister } from '../extended-register.ts'

export type BankForm = 'native' | 'sha1-padded'

/** The register that IMA extends, in one bank, beside the value that is quoted of it. Digests as in `digestText`. */
export class ImaRegister {
  readonly bank: HashName
  readonly form: BankForm
  /** Hash of a template, before padding. */
  readonly templateHash: HashName
  #register: ExtendedRegister
  #quoted: string

  constructor(bank: HashName, form: BankForm, quoted: Uint8Array) {
    this.bank = bank
    this.form = form
    this.templateHash = form === 'native' ? bank : 'sha1'
    this.#register = new ExtendedRegister(bank)
    this.#quoted = toLatin1(quoted)
  }

  /** True where the records so far lead to the quoted value. */
  get isReached(): boolean {
    return this.#register.text === this.#quoted
  }

  /** `digest`: of the template by `templateHash`. */
  extend(digest: string): void {
    this.#register.extend(digest)
  }

  /** IMA-05: the kernel extended FF in place of a hash. */
  extendViolation(): void {
    this.extend('\xff'.repeat(hashAlgorithms[this.templateHash].size))
  }
}
