import { equalBytes } from '../../base/bytes.ts'
import { MalformedError } from '../../base/errors.ts'
import type { HashName } from '../../evidence/tpm/algorithms.ts'
import { type ImaCheckpoint, type ImaPending, type ImaStage, parseImaCheckpoint, parseImaStage } from './checkpoint.ts'
import type { ImaProgress } from './ima-progress.ts'
import type { ImaBasis } from './judge-ima-log.ts'

/** What of this appraisal has to agree with what was kept. */
export interface ImaPresent {
  readonly akName: Uint8Array
  /** Null before a quote tells it: parts of a log go before their quote. */
  readonly resetCount: number | null
  /** Banks in which the register of IMA is quoted. */
  readonly banks: readonly HashName[]
  readonly basis: ImaBasis
}

/** Where a log goes on. `problem` is null where it can be judged from `before` on. */
export interface ImaContinuation {
  readonly before: ImaProgress | null
  readonly pending: (ImaPending & { readonly first: number }) | null
  readonly problem: string | null
  /** What was judged earlier in this boot of a log that comes whole again; for saying what is wrong with it. */
  readonly known: ImaProgress | null
  /** The boot in which `before` began, by its reset count; null where that is the one that is judged. */
  readonly base: number | null
  /** Number of the record from which the log is wanted: 0 is the whole log. */
  readonly wanted: number
}

/** What was kept, or why it cannot be used: after an upgrade it may have another version. */
function attempt<T>(parse: () => T): { readonly value: T | null; readonly problem: string } {
  try {
    return { value: parse(), problem: '' }
  } catch (error) {
    if (error instanceof MalformedError)
      return { value: null, problem: `what was kept does not parse: ${error.message}` }
    throw error
  }
}

function progressProblem({ judgedBy, pcr, running }: ImaProgress, { banks, basis }: ImaPresent): string | null {
  if (judgedBy !== basis.judgedBy) return 'the log was judged by other reference values or another policy'
  if (pcr !== basis.pcr) return `the log was judged beside PCR ${pcr}`
  const own = running.filter((one) => one.pcr === pcr)
  const missing = banks.find((bank) => !own.some((one) => one.bank === bank))
  if (missing !== undefined) return `no value of bank ${missing} was kept`
  const padded = own.find(({ form }) => form === 'sha1-padded')
  return padded !== undefined && !basis.acceptSha1Padded ? `bank ${padded.bank} has padded SHA-1 values` : null
}

/** IMA-11. */
function bootProblem(kept: ImaStage | ImaCheckpoint, { akName, resetCount }: ImaPresent): string | null {
  if (!equalBytes(kept.akName, akName)) return 'the log was judged for another key'
  // What began with the boot has no count: its values lead to those of the quote, or they do not.
  const isSame = resetCount === null || kept.resetCount === null || kept.resetCount === resetCount
  return isSame ? null : 'the machine was started again'
}

const fromStart: ImaContinuation = {
  ...{ before: null, pending: null, problem: null },
  ...{ known: null, base: null, wanted: 0 },
}

const refuse = (wanted: number, problem: string): ImaContinuation => ({ ...fromStart, problem, wanted })

/** Records are numbered since the boot, and those that were pending are as they were (IMA-09). */
function pendingOf(checkpoint: ImaCheckpoint): ImaContinuation['pending'] {
  return checkpoint.pending === null ? null : { ...checkpoint.pending, first: checkpoint.records }
}

function fromCheckpoint(from: number, checkpoint: ImaCheckpoint, present: ImaPresent): ImaContinuation {
  const otherBoot = bootProblem(checkpoint, present)
  const pending = otherBoot === null ? pendingOf(checkpoint) : null
  if (from === 0) return { ...fromStart, pending, known: otherBoot === null ? checkpoint : null }
  const problem = otherBoot ?? progressProblem(checkpoint, present)
  if (problem !== null) return refuse(0, problem)
  const { records } = checkpoint
  if (from !== records) return refuse(records, `begins at record ${from}, not at record ${records}`)
  return { ...fromStart, before: checkpoint, pending, base: checkpoint.resetCount, wanted: records }
}

/** IMA-24. The parts before were judged as this one is, and the quote now covers all of them or none. */
function fromStage(from: number, stage: ImaStage, present: ImaPresent): ImaContinuation {
  const problem = bootProblem(stage, present) ?? progressProblem(stage, present)
  if (problem !== null) return refuse(0, problem)
  if (from !== stage.records) return refuse(stage.records, `begins at record ${from}, not at record ${stage.records}`)
  return { ...fromStart, before: stage, base: stage.resetCount, wanted: stage.records }
}

/**
 * Decides from where a log is judged (IMA-10, IMA-11, IMA-24). A log from record 0 needs nothing. A log from a later
 * record goes on from `stage`, where parts of it were sent before, or from `checkpoint`; it has to begin where that
 * ended, in the same boot of the same machine, judged by the same reference values, with a value for every quoted bank.
 * That it does not is no fault of the machine: `wanted` says what to send.
 */
export function continueImaLog(
  from: number,
  kept: { readonly checkpoint: Uint8Array | null; readonly stage: Uint8Array | null },
  present: ImaPresent,
): ImaContinuation {
  const { checkpoint, stage } = kept
  if (from > 0 && stage !== null) {
    const { value, problem } = attempt(() => parseImaStage(stage))
    return value === null ? refuse(0, problem) : fromStage(from, value, present)
  }
  if (checkpoint === null) return from === 0 ? fromStart : refuse(0, `begins at record ${from}, and nothing was kept`)
  const { value, problem } = attempt(() => parseImaCheckpoint(checkpoint))
  if (value === null) return from === 0 ? fromStart : refuse(0, problem)
  return fromCheckpoint(from, value, present)
}
