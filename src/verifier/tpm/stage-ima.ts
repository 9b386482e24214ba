import { MalformedError } from '../../base/errors.ts'
import type { HashName } from '../../evidence/tpm/algorithms.ts'
import type { ImaLogPart } from '../../evidence/tpm/evidence.ts'
import { encodeImaStage } from '../ima/checkpoint.ts'
import { continueImaLog, type ImaPresent } from '../ima/continued-log.ts'
import { type StagedImaLog, stageImaLog } from '../ima/stage-ima-log.ts'
import { imaBasisOf } from './ima-policy.ts'
import type { PcrBankSelection, TpmInputs } from './inputs.ts'

/** What the appraisal that ends the log will be given, as far as parts before it depend on it. */
export interface ImaStageInputs
  extends Pick<TpmInputs, 'enrolment' | 'requirements' | 'references' | 'imaStage' | 'simulator'> {
  /** What the quote will be asked for; `any`: a value is kept for every bank that the requirements name. */
  readonly selection: readonly PcrBankSelection[] | 'any'
}

/** What the parts so far lead to. */
export interface ImaStaged {
  /** Records since the boot: where the next part begins. */
  readonly from: number
  /** For `TpmInputs.imaStage`. */
  readonly stage: Uint8Array
}

function banksOf({ selection, requirements }: ImaStageInputs): readonly HashName[] {
  if (selection === 'any') return requirements.banks
  return selection.filter(({ pcrs }) => pcrs.includes(requirements.imaPcr)).map(({ hash }) => hash)
}

function attempt(part: ImaLogPart, inputs: Parameters<typeof stageImaLog>[1]): StagedImaLog | null {
  try {
    return stageImaLog(part, inputs)
  } catch (error) {
    if (error instanceof MalformedError) return null
    throw error
  }
}

/**
 * Takes a part of an IMA log for which there is no quote yet (IMA-24): logs above the limit of a message (SVC-40) are
 * sent as consecutive parts, the last of them with the quote. Gives what the parts lead to, without any verdict: it means
 * nothing until the appraisal of the last part, which it is given to, proves that the quote covers all of them. Null for
 * a part that does not parse, does not begin where the one before ended, or would fail every appraisal; the log from
 * there on can still be sent in one piece, for an appraisal to say why. Keep a stage in memory, one for each key, for ten
 * minutes at most. Pure.
 */
export function stageImaPart(part: ImaLogPart, inputs: ImaStageInputs): ImaStaged | null {
  const { enrolment, imaStage = null } = inputs
  if (enrolment === null) return null
  const basis = imaBasisOf(inputs)
  const banks = banksOf(inputs)
  const present: ImaPresent = { akName: enrolment.akName, resetCount: null, banks, basis }
  const kept = { checkpoint: enrolment.imaCheckpoint, stage: part.from === 0 ? null : imaStage }
  const { before, pending, problem, base } = continueImaLog(part.from, kept, present)
  if (problem !== null || banks.length === 0) return null
  const staged = attempt(part, { basis, banks, before, pending: part.from === 0 ? null : pending })
  if (staged === null) return null
  const stage = encodeImaStage({ ...staged, akName: enrolment.akName, resetCount: base })
  return stage === null ? null : { from: staged.records, stage }
}
