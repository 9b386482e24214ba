import { equalsLatin1, isFilledWith } from '../../base/bytes.ts'
import { readImaLog } from '../../evidence/ima/ima-log.ts'
import { digestText, type HashName } from '../../evidence/tpm/algorithms.ts'
import { type BankForm, ImaRegister } from './ima-register.ts'

export interface ImaReplayInputs {
  /** Bank → quoted value of the register that IMA extends. */
  readonly quoted: ReadonlyMap<HashName, Uint8Array>
  /** 10 unless the kernel was built otherwise. */
  readonly pcr: number
  readonly column: HashName
  /**
   * Takes banks in which an old kernel extended the SHA-1 template hash padded with zeros. Such a bank has the
   * strength of SHA-1 whatever its name says (IMA-06).
   */
  readonly acceptSha1Padded: boolean
}

export interface ImaReplay {
  /** Smallest number of records after which every quoted bank equals the register (IMA-08); null if there is none. */
  readonly matched: number | null
  /** Records behind the match: no evidence, no claim (IMA-09). */
  readonly pending: number
  readonly records: number
  readonly violations: number
  /** Index of the first record whose column is not the hash of its data (IMA-04); null if all are right. */
  readonly wrongColumn: number | null
  /** How each bank was extended; empty without a match. */
  readonly forms: ReadonlyMap<HashName, BankForm>
}

/** IMA-05: a violation shows as an all-zero column. */
const isViolation = (column: Uint8Array) => column[0] === 0 && isFilledWith(column, 0)

function registersOf({ quoted, acceptSha1Padded }: ImaReplayInputs): ImaRegister[] {
  return [...quoted].flatMap(([bank, value]) => {
    const native = new ImaRegister(bank, 'native', value)
    return acceptSha1Padded && bank !== 'sha1' ? [native, new ImaRegister(bank, 'sha1-padded', value)] : [native]
  })
}

/** The forms in which every quoted bank equals its register now; null if one does not. */
function matchingForms(registers: readonly ImaRegister[], banks: number): ReadonlyMap<HashName, BankForm> | null {
  const reached = registers.filter(({ isReached }) => isReached)
  // The native form comes first, and stands where both are reached.
  const forms = new Map(reached.toReversed().map(({ bank, form }) => [bank, form]))
  return banks > 0 && forms.size === banks ? forms : null
}

/**
 * Replays a binary IMA log against quoted registers (IMA-02 to IMA-09). Hashes run over the raw bytes as sent.
 * The log may be ahead of the quote, never behind. Throws `MalformedError` for a log that does not parse.
 */
export function replayImaLog(bytes: Uint8Array, inputs: ImaReplayInputs): ImaReplay {
  const { column, quoted } = inputs
  const registers = registersOf(inputs)
  let forms: ReadonlyMap<HashName, BankForm> | null = null
  let matched: number | null = null
  let wrongColumn: number | null = null
  let records = 0
  let violations = 0
  for (const { index, pcr, hashed, column: stated } of readImaLog(bytes, column)) {
    records++
    const digest = isViolation(stated) ? null : digestText(column, hashed)
    if (digest === null) violations++
    else if (!equalsLatin1(stated, digest)) wrongColumn ??= index
    if (pcr !== inputs.pcr || matched !== null) continue
    for (const register of registers) {
      if (digest === null) register.extendViolation()
      else register.extend(register.templateHash === column ? digest : digestText(register.templateHash, hashed))
    }
    if (registers.some(({ isReached }) => isReached)) forms = matchingForms(registers, quoted.size)
    if (forms !== null) matched = records
  }
  return {
    matched,
    pending: records - (matched ?? records),
    records,
    violations,
    wrongColumn,
    forms: forms ?? new Map(),
  }
}
