import type { HashName } from '../../evidence/tpm/algorithms.ts'
import type { LearnedKey } from './ima-key-ring.ts'
import type { ImaNamedRecord } from './named-records.ts'

/**
 * How a kernel extends a bank (IMA-06): by a template hash of the bank's own algorithm, or by that of SHA-1, padded with
 * zeros.
 */
export type BankForm = 'native' | 'sha1-padded'

/** Value of a register after the records so far. */
export interface ImaRunningValue {
  readonly bank: HashName
  readonly pcr: number
  readonly form: BankForm
  /** Of the length of the bank. */
  readonly value: Uint8Array
}

/** Digest of the first record of a boot, as it was logged. */
export interface ImaBootAggregate {
  /** As Linux names it. */
  readonly algorithm: string
  readonly digest: Uint8Array
}

/**
 * What is counted over the covered records of a boot.
 *
 * `unlisted`: files at a path that no reference value is about; `changed`: at a known path, with another digest;
 * `unjudged`: without a path or digest to compare. The three of them are not allowed. All three stay 0 without reference
 * values of files.
 *
 * `unquoted`: records of other registers than the one of IMA, which no quote covers.
 */
export const imaCountNames = [
  'violations',
  'unlisted',
  'changed',
  'unjudged',
  'excluded',
  'kexec',
  'unknownTemplates',
  'signatureValid',
  'signatureInvalid',
  'signatureUnknownKey',
  'signatureNotVerifiable',
  'buffers',
  'buffersNotAllowed',
  'buffersUnlisted',
  'unquoted',
] as const

export type ImaCountName = (typeof imaCountNames)[number]
export type ImaCounts = Readonly<Record<ImaCountName, number>>

/** Everything that the records up to one of them leave behind; plain data. */
export interface ImaProgress {
  /** What the records were judged by: a result under other reference values or another policy does not go on from here. */
  readonly judgedBy: string
  /** The register that IMA extends. */
  readonly pcr: number
  /** Records since the boot, of all registers. */
  readonly records: number
  readonly running: readonly ImaRunningValue[]
  /** Null where the first record is none. */
  readonly bootAggregate: ImaBootAggregate | null
  readonly counts: ImaCounts
  readonly named: readonly ImaNamedRecord[]
  readonly keys: readonly LearnedKey[]
}
