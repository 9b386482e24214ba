import type { HashName } from '../../evidence/tpm/algorithms.ts'
import type { BankForm } from './ima-progress.ts'
import { ImaRegisters } from './ima-registers.ts'
import { ImaRun } from './ima-run.ts'

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

/**
 * Replays a binary IMA log of a whole boot against quoted registers (IMA-02 to IMA-09); the content of records is not
 * judged. Hashes run over the raw bytes as sent. The log may be ahead of the quote, never behind. Throws
 * `MalformedError` for a log that does not parse.
 */
export function replayImaLog(bytes: Uint8Array, inputs: ImaReplayInputs): ImaReplay {
  const { column, pcr, acceptSha1Padded } = inputs
  const quoted = new Map([...inputs.quoted].map(([bank, value]) => [bank, new Map([[pcr, value]])] as const))
  const registers = new ImaRegisters({ quoted, pcr, banks: [...quoted.keys()], acceptSha1Padded, running: null })
  const run = new ImaRun({ data: bytes, column, from: 0, registers, judge: null, pending: null })
  const matched = run.reach() ? run.records : null
  while (run.next());
  const { records, violations, wrongColumn } = run
  const pending = records - (matched ?? records)
  return { matched, pending, records, violations, wrongColumn, forms: registers.forms }
}
