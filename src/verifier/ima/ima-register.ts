import { toLatin1 } from '../../base/bytes.ts'
import { type HashName, hashAlgorithms } from '../../evidence/tpm/algorithms.ts'
import { ExtendedRegister } from '../extended-register.ts'
import type { BankForm, ImaRunningValue } from './ima-progress.ts'

export interface ImaRegisterInputs {
  readonly bank: HashName
  readonly pcr: number
  readonly form: BankForm
  /** Null where the register is not quoted, or not yet. */
  readonly quoted: Uint8Array | null
  /** Value to go on from; left out: that of a boot, zeros. */
  readonly start?: Uint8Array | undefined
}

/** A register that IMA extends, in one bank, beside the value that is quoted of it. Digests as in `digestText`. */
export class ImaRegister {
  readonly bank: HashName
  readonly pcr: number
  readonly form: BankForm
  /** Hash of a template, before padding. */
  readonly templateHash: HashName
  readonly isQuoted: boolean
  #register: ExtendedRegister
  #quoted: string
  #violation: string

  constructor({ bank, pcr, form, quoted, start }: ImaRegisterInputs) {
    this.bank = bank
    this.pcr = pcr
    this.form = form
    this.templateHash = form === 'native' ? bank : 'sha1'
    this.isQuoted = quoted !== null
    this.#register = new ExtendedRegister(bank, start)
    this.#quoted = quoted === null ? '' : toLatin1(quoted)
    this.#violation = '\xff'.repeat(hashAlgorithms[this.templateHash].size)
  }

  /** True where the records so far lead to the quoted value. */
  get isReached(): boolean {
    return this.#register.text === this.#quoted
  }

  /** `digest`: of the template by `templateHash`. */
  extend(digest: Uint8Array | string): void {
    this.#register.extend(digest)
  }

  /** IMA-05: the kernel extended FF in place of a hash. */
  extendViolation(): void {
    this.#register.extend(this.#violation)
  }

  running(): ImaRunningValue {
    const { bank, pcr, form } = this
    return { bank, pcr, form, value: this.#register.value }
  }
}
