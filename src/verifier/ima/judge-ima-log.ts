import { MalformedError } from '../../base/errors.ts'
import type { HashName } from '../../evidence/tpm/algorithms.ts'
import type { ImaLogPart } from '../../evidence/tpm/evidence.ts'
import type { ImaReferences } from '../../reference-values/tpm-references.ts'
import type { ImaPending } from './checkpoint.ts'
import type { ImaBootAggregate, ImaProgress } from './ima-progress.ts'
import { ImaRegisters, type QuotedValues } from './ima-registers.ts'
import { ImaRun } from './ima-run.ts'
import { ContentJudge } from './judge-records.ts'
import { PendingComparison, PendingDigest } from './pending-records.ts'

/** By what the content of records is judged. */
export interface ImaBasis {
  readonly pcr: number
  /** Names what follows and whatever else decides what is counted: another name is another judgement. */
  readonly judgedBy: string
  /** Null: nothing is compared. */
  readonly references: ImaReferences | null
  /** A valid signature stands for an entry of the allow-list (IMA-18). */
  readonly signedFilesAllowed: boolean
  readonly acceptSha1Padded: boolean
}

export interface ImaLogInputs {
  readonly basis: ImaBasis
  readonly quoted: QuotedValues
  /** What the records before this part left behind, with a value for every quoted bank; null: this is the whole log. */
  readonly before: ImaProgress | null
  /** What was pending after `first` records, in this boot. */
  readonly pending: (ImaPending & { readonly first: number }) | null
}

/** Each `problem` is one sentence, and null where there is none. */
export interface ImaLogVerdict {
  /** Of the whole log since the boot, as far as it was sent. */
  readonly records: number
  /** Records that the quote covers; null: no prefix leads to the quoted values (IMA-08). */
  readonly covered: number | null
  /** A bank is reached only by padded SHA-1 values (IMA-06); where that is not accepted, nothing else was judged. */
  readonly isSha1Padded: boolean
  /** IMA-04. */
  readonly wrongColumn: number | null
  /** IMA-12. */
  readonly firstProblem: string | null
  /** The digest of the first record of the boot, covered or not; null where it is no boot_aggregate. */
  readonly bootAggregate: ImaBootAggregate | null
  /** IMA-07. */
  readonly templateProblem: string | null
  /** IMA-09. */
  readonly pendingProblem: string | null
  /** IMA-17. */
  readonly bufferProblem: string | null
  /** IMA-19. */
  readonly registerProblem: string | null
  readonly judgesFiles: boolean
  /** All that the covered records leave behind; null where none are covered. */
  readonly progress: ImaProgress | null
  /** Of the records behind them. */
  readonly pending: ImaPending | null
}

/** Banks in which the register of IMA is quoted. */
export function imaBanks(quoted: QuotedValues, pcr: number): HashName[] {
  return [...quoted].flatMap(([bank, values]) => (values.has(pcr) ? [bank] : []))
}

/** What is left behind by the records so far. */
export function progressOf(
  { judgedBy, pcr }: ImaBasis,
  records: number,
  registers: ImaRegisters,
  { counts, named, ring, bootAggregate }: ContentJudge,
): ImaProgress {
  const left = { counts: { ...counts }, named: named.list(), keys: ring.learned, bootAggregate }
  return { judgedBy, pcr, records, running: registers.running(), ...left }
}

/** Goes over the records that no quote covers: they are only hashed. */
function readPending(run: ImaRun): ImaPending | null {
  const digest = new PendingDigest()
  while (run.next()) digest.add(run.cursor, run.isViolation)
  return digest.finish()
}

function registerProblem(registers: ImaRegisters): string | null {
  const stray = registers.strayRegister
  return stray === null ? null : `the records of PCR ${stray.pcr} do not lead to its quoted value in ${stray.bank}`
}

function registersFor({ basis, quoted, before }: ImaLogInputs, acceptSha1Padded: boolean): ImaRegisters {
  const { pcr } = basis
  const running = before?.running ?? null
  return new ImaRegisters({ quoted, pcr, banks: imaBanks(quoted, pcr), acceptSha1Padded, running })
}

/** How many records lead to the quoted values if padded SHA-1 values are taken; null: none do. */
function paddedPrefix({ data, column }: ImaLogPart, inputs: ImaLogInputs): number | null {
  if (inputs.basis.acceptSha1Padded || inputs.before !== null) return null
  const registers = registersFor(inputs, true)
  const run = new ImaRun({ data, column, from: 0, registers, judge: null, pending: null })
  return run.reach() ? run.records : null
}

/**
 * Judges an IMA log, or the part of it behind what was judged before, against the values of a quote (IMA-02 to IMA-22).
 * The log may be ahead of the quote, never behind. What comes behind the covered records is pending: it is parsed and
 * hashed and nothing is concluded from it, but that a wrong column in it is told too (IMA-04). Pure. Throws
 * `MalformedError` for a log that does not parse (IMA-01).
 */
export function judgeImaLog(part: ImaLogPart, inputs: ImaLogInputs): ImaLogVerdict {
  const { data, column, from } = part
  const { basis, before } = inputs
  const registers = registersFor(inputs, basis.acceptSha1Padded)
  const { references, signedFilesAllowed } = basis
  const judge = new ContentJudge({ log: data, references, signedFilesAllowed, before })
  const comparison = inputs.pending === null ? null : new PendingComparison(inputs.pending, inputs.pending.first)
  const run = new ImaRun({ data, column, from, registers, judge, pending: comparison })
  // Where nothing came since the last quote, its values are there before the first record.
  const isReached = (before !== null && registers.isReached) || run.reach()
  if (isReached) run.reachOthers()
  const covered = isReached ? run.records : paddedPrefix(part, inputs)
  const progress = isReached ? progressOf(basis, run.records, registers, judge) : null
  const pending = isReached ? readPending(run) : null
  return {
    records: run.records,
    covered,
    isSha1Padded: covered !== null && (!isReached || [...registers.forms.values()].includes('sha1-padded')),
    wrongColumn: run.wrongColumn,
    firstProblem: judge.firstProblem,
    bootAggregate: judge.bootAggregate,
    templateProblem: judge.templateProblem,
    pendingProblem: comparison?.problem() ?? null,
    bufferProblem: judge.bufferProblem,
    registerProblem: isReached ? registerProblem(registers) : null,
    judgesFiles: judge.judgesFiles,
    progress,
    pending,
  }
}

/** Why a log cannot be judged, or its verdict. */
export function attemptImaLog(part: ImaLogPart, inputs: ImaLogInputs): ImaLogVerdict | string {
  try {
    return judgeImaLog(part, inputs)
  } catch (error) {
    if (error instanceof MalformedError) return error.message
    throw error
  }
}
