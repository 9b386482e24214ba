import type { Appraiser } from './appraiser.ts'
import { type GuestTpm, type TpmPlan, tpmInputsOf } from './guest.ts'
import { type ImaStages, type ImaStart, imaPartBytes } from './ima-parts.ts'

/** Of the TPM what its log is read and judged with. */
type StagedTpm = Pick<GuestTpm, 'requirements' | 'references' | 'simulator'> & {
  readonly attester: Pick<GuestTpm['attester'], 'readIma'>
}

export interface StagingParts {
  readonly tpm: StagedTpm
  readonly plan: TpmPlan
  readonly appraiser: Pick<Appraiser, 'stageImaPart'>
  readonly stages: ImaStages
}

/**
 * Judges all parts of the IMA log but the last one, each of `imaPartBytes`, and keeps what they led to (IMA-24). It means
 * nothing until a quote matches that is taken afterwards: so it covers these parts, and of what came behind them as much
 * as was extended by then. The thread holds one part at a time. Gives where the last part begins; a part that cannot be
 * staged is left for the appraisal to say why.
 */
export async function stageImaParts(
  { tpm, plan, appraiser, stages }: StagingParts,
  first: ImaStart,
  signal: AbortSignal,
): Promise<ImaStart> {
  for (let start = first; ; ) {
    const part = await tpm.attester.readIma(start.from, imaPartBytes, signal)
    if (part === null || !part.continues) return start
    const { from, column, data } = part
    const stage = from === start.from ? start.stage : null
    const staged = await appraiser.stageImaPart({ from, column, data }, tpmInputsOf(tpm, plan, stage))
    // Anything but progress would read the log for ever.
    if (staged === null || staged.from <= start.from) return { from, stage }
    start = staged
    stages.keep(plan.enrolment.akName, start)
    signal.throwIfAborted()
  }
}
