import type { HashName } from '../../evidence/tpm/algorithms.ts'
import type { ImaLogPart } from '../../evidence/tpm/evidence.ts'
import type { ImaProgress } from './ima-progress.ts'
import { ImaRegisters } from './ima-registers.ts'
import { ImaRun } from './ima-run.ts'
import { type ImaLogInputs, progressOf } from './judge-ima-log.ts'
import { ContentJudge } from './judge-records.ts'
import { PendingComparison } from './pending-records.ts'

export type StagedImaLog = ImaProgress

export interface ImaStagingInputs extends Pick<ImaLogInputs, 'basis' | 'before' | 'pending'> {
  /** Banks in which the quote will be. */
  readonly banks: readonly HashName[]
}

/**
 * Goes over a part of a log that no quote covers yet, as `judgeImaLog` does: null where that would find the log itself
 * bad, which no later part mends. Records of other registers than that of IMA are left to whole logs: whether they will
 * be quoted is not known. Throws `MalformedError`.
 */
export function stageImaLog(part: ImaLogPart, inputs: ImaStagingInputs): StagedImaLog | null {
  const { data, column, from } = part
  const { basis, banks, before } = inputs
  const { pcr, acceptSha1Padded, references, signedFilesAllowed } = basis
  const running = before?.running ?? null
  const registers = new ImaRegisters({ quoted: new Map(), pcr, banks, acceptSha1Padded, running })
  const judge = new ContentJudge({ log: data, references, signedFilesAllowed, before })
  const pending = inputs.pending === null ? null : new PendingComparison(inputs.pending, inputs.pending.first)
  const run = new ImaRun({ data, column, from, registers, judge, pending })
  run.reach()
  const { firstProblem, templateProblem, bufferProblem, counts } = judge
  const problem = firstProblem ?? templateProblem ?? bufferProblem ?? pending?.problem() ?? null
  const isBad = problem !== null || run.wrongColumn !== null
  const hasOthers = counts.unquoted > (before?.counts.unquoted ?? 0)
  return isBad || hasOthers ? null : progressOf(basis, run.records, registers, judge)
}
