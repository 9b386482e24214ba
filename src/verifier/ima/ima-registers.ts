import type { HashName } from '../../evidence/tpm/algorithms.ts'
import type { BankForm, ImaRunningValue } from './ima-progress.ts'
import { ImaRegister } from './ima-register.ts'

/** Bank → PCR → value. */
export type QuotedValues = ReadonlyMap<HashName, ReadonlyMap<number, Uint8Array>>

export interface ImaRegistersInputs {
  readonly quoted: QuotedValues
  /** The register that IMA extends; 10 unless the kernel was built otherwise. */
  readonly pcr: number
  readonly banks: readonly HashName[]
  readonly acceptSha1Padded: boolean
  /** Values to go on from, in the one form of each bank; null at the start of a boot. */
  readonly running: readonly ImaRunningValue[] | null
}

/**
 * The registers that the records of a log extend: that of IMA, and those that a rule of the IMA policy names beside it
 * (IMA-19), each in all banks and in every form that a bank may have.
 */
export class ImaRegisters {
  readonly pcr: number
  /** Registers by PCR. */
  #registers = new Map<number, readonly ImaRegister[]>()
  #own: readonly ImaRegister[]
  #inputs: ImaRegistersInputs
  #forms: readonly (readonly [HashName, BankForm])[]
  #reached: ReadonlyMap<HashName, BankForm> | null = null

  constructor(inputs: ImaRegistersInputs) {
    this.pcr = inputs.pcr
    this.#inputs = inputs
    this.#forms = inputs.banks.flatMap((bank) => this.#formsOf(bank).map((form) => [bank, form] as const))
    this.#own = this.#made(inputs.pcr)
    for (const { pcr } of inputs.running ?? []) if (!this.#registers.has(pcr)) this.#made(pcr)
  }

  /** Hashes of templates that the registers need. */
  get templateHashes(): HashName[] {
    return [...new Set(this.#own.map(({ templateHash }) => templateHash))]
  }

  /** Of the register that a record is of; in the order of `templateHashes` where only one form is possible. */
  of(pcr: number): readonly ImaRegister[] {
    return pcr === this.pcr ? this.#own : (this.#registers.get(pcr) ?? this.#made(pcr))
  }

  /**
   * True where every quoted bank equals the register of IMA after the records so far (IMA-08). From then on each bank
   * has one form.
   */
  get isReached(): boolean {
    let reached = false
    for (const register of this.#own) if (register.isReached) reached = true
    return reached && this.#settle()
  }

  /** How each bank was extended; empty before the register is reached. */
  get forms(): ReadonlyMap<HashName, BankForm> {
    return this.#reached ?? new Map()
  }

  /** The first quoted register beside that of IMA to which the records do not lead; null: they lead to all. */
  get strayRegister(): ImaRegister | null {
    for (const [pcr, registers] of this.#registers) {
      if (pcr === this.pcr) continue
      for (const register of registers) {
        if (register.isQuoted && this.#isCounted(register) && !register.isReached) return register
      }
    }
    return null
  }

  /** True for a register of this PCR that is quoted in a bank, and so covered. */
  isQuoted(pcr: number): boolean {
    return pcr === this.pcr || this.of(pcr).some((register) => register.isQuoted)
  }

  running(): ImaRunningValue[] {
    const counted = [...this.#registers.values()].flat().filter((register) => this.#isCounted(register))
    return counted.map((register) => register.running())
  }

  #isCounted({ bank, form }: ImaRegister): boolean {
    return this.#reached === null || this.#reached.get(bank) === form
  }

  /** The native form comes first, and stands where both are reached. */
  #settle(): boolean {
    const reached = this.#own.filter(({ isReached }) => isReached)
    const forms = new Map(reached.toReversed().map(({ bank, form }) => [bank, form]))
    if (forms.size < this.#inputs.banks.length) return false
    this.#reached = forms
    return true
  }

  #formsOf(bank: HashName): readonly BankForm[] {
    const { running, pcr, acceptSha1Padded } = this.#inputs
    if (running !== null) return running.filter((one) => one.bank === bank && one.pcr === pcr).map(({ form }) => form)
    return acceptSha1Padded && bank !== 'sha1' ? ['native', 'sha1-padded'] : ['native']
  }

  #made(pcr: number): readonly ImaRegister[] {
    const { quoted, running } = this.#inputs
    const made = this.#forms.map(([bank, form]) => {
      const before = running?.find((one) => one.bank === bank && one.pcr === pcr && one.form === form)
      return new ImaRegister({ bank, pcr, form, quoted: quoted.get(bank)?.get(pcr) ?? null, start: before?.value })
    })
    this.#registers.set(pcr, made)
    return made
  }
}
