import type { ImaLogPart } from '../../evidence/tpm/evidence.ts'
import { matchBootAggregate } from '../ima/boot-aggregate.ts'
import { encodeImaCheckpoint } from '../ima/checkpoint.ts'
import { continueImaLog, type ImaContinuation } from '../ima/continued-log.ts'
import { explainMismatch } from '../ima/explain-mismatch.ts'
import { type ImaLogVerdict, imaBanks } from '../ima/judge-ima-log.ts'
import { imaCheckIds, type TpmImaCheckId } from './ima-checks.ts'
import { type ImaPolicy, imaBasisOf, imaPolicyOf } from './ima-policy.ts'
import { type ImaReport, imaReportOf } from './ima-report.ts'
import { contentVerdicts, type ImaVerdicts, structureVerdicts } from './ima-verdicts.ts'
import type { TpmInputs } from './inputs.ts'
import type { LogChecks } from './log-checks.ts'
import type { LogReplays } from './log-replay.ts'
import type { PcrValues } from './pcr-values.ts'

/** What proved quotes say beside the logs. */
export interface ProvedQuotes {
  readonly values: PcrValues
  readonly akName: Uint8Array
  readonly resetCount: number
  readonly restartCount: number
}

/** What the IMA log leaves behind. */
export interface ImaFacts {
  /** What the covered records say; null where the log does not hold, and then nothing is claimed of it. */
  readonly report: ImaReport | null
  /** What the covered records say, whether the log holds or not. */
  readonly shown: ImaReport | null
  /** To be kept for the next log; null where this one does not hold. */
  readonly checkpoint: Uint8Array | null
  /** The record from which a log is wanted instead of this one; null: none is. */
  readonly wanted: number | null
}

const nothing: ImaFacts = { report: null, shown: null, checkpoint: null, wanted: null }

/** A check that failed or was left out has no place among the passed ones. */
function recordAll(checks: LogChecks, verdicts: ImaVerdicts): boolean {
  let holds = true
  for (const [id, verdict] of verdicts) {
    if ('waived' in verdict) checks.waive(id, verdict.waived)
    else {
      checks.record(id, verdict)
      holds &&= verdict.ok
    }
  }
  return holds
}

function skipOthers(checks: LogChecks, judged: readonly TpmImaCheckId[]): void {
  checks.skip(...imaCheckIds.filter((id) => !judged.includes(id)))
}

function checkpointOf({ progress, pending }: ImaLogVerdict, { akName, resetCount, restartCount }: ProvedQuotes) {
  if (progress === null) return null
  return encodeImaCheckpoint({ ...progress, akName, resetCount, restartCount, pending })
}

/** Judges a log that parses. */
function judgeVerdict(
  checks: LogChecks,
  verdict: ImaLogVerdict,
  quotes: ProvedQuotes,
  { policy, mismatch }: { readonly policy: ImaPolicy; readonly mismatch: string | null },
): Pick<ImaFacts, 'report' | 'shown' | 'checkpoint'> & { readonly judged: readonly TpmImaCheckId[] } {
  const first = verdict.progress?.bootAggregate ?? verdict.bootAggregate
  const bootAggregate = first === null ? null : matchBootAggregate(first, quotes.values)
  const shown = imaReportOf(verdict, bootAggregate)
  const structure = structureVerdicts(verdict, bootAggregate, policy, mismatch)
  const content = shown === null ? [] : contentVerdicts(shown, policy)
  const holds = recordAll(checks, structure) && shown !== null
  recordAll(checks, content)
  const judged = [...structure, ...content].map(([id]) => id)
  const kept = holds ? { report: shown, checkpoint: checkpointOf(verdict, quotes) } : { report: null, checkpoint: null }
  return { ...kept, shown, judged }
}

interface ImaInputs {
  readonly inputs: TpmInputs
  readonly replays: LogReplays
}

/** Judges a log that begins where it has to. */
function judgeLog(
  checks: LogChecks,
  ima: ImaLogPart,
  quotes: ProvedQuotes,
  { inputs, replays, from }: ImaInputs & { readonly from: ImaContinuation },
): ImaFacts {
  const { before, pending } = from
  const verdict = replays.judgeImaLog(ima, { basis: imaBasisOf(inputs), quoted: quotes.values, before, pending })
  const known: readonly TpmImaCheckId[] = ['tpm.ima.present', 'tpm.ima.offset', 'tpm.ima.wellFormed']
  if (typeof verdict === 'string') {
    checks.record('tpm.ima.wellFormed', { ok: false, detail: verdict })
    skipOthers(checks, known)
    return nothing
  }
  checks.record('tpm.ima.wellFormed', { ok: true, detail: `${verdict.records - ima.from} records` })
  const mismatch = verdict.covered === null ? explainMismatch(ima, verdict.records, from.known) : null
  const { judged, ...facts } = judgeVerdict(checks, verdict, quotes, { policy: imaPolicyOf(inputs), mismatch })
  skipOthers(checks, [...known, ...judged])
  return { ...facts, wanted: null }
}

/** IMA-00: SHA-1 alone does not carry a log any more than it carries a quote (TPM-24). */
function judgePresence(checks: LogChecks, ima: ImaLogPart, { values }: ProvedQuotes, imaPcr: number): boolean {
  const carried = imaBanks(values, imaPcr).some((bank) => bank !== 'sha1')
  const lack = `PCR ${imaPcr} is not quoted in a bank stronger than SHA-1`
  checks.record('tpm.ima.present', { ok: carried, detail: carried ? `${ima.data.length} bytes` : lack })
  return carried
}

/**
 * Judges the IMA log beside the quoted values; null while those are not proved, and the log is then not read. Where it
 * does not begin at record 0 it has to go on from what `inputs` kept of the same boot (IMA-10).
 */
export function judgeIma(
  checks: LogChecks,
  ima: ImaLogPart | null,
  quotes: ProvedQuotes | null,
  { inputs, replays }: ImaInputs,
): ImaFacts {
  if (ima === null) {
    checks.record('tpm.ima.present', { ok: false, detail: 'there is no IMA log' })
    skipOthers(checks, ['tpm.ima.present'])
    return nothing
  }
  if (quotes === null) return nothing
  const { imaPcr } = inputs.requirements
  if (!judgePresence(checks, ima, quotes, imaPcr)) {
    skipOthers(checks, ['tpm.ima.present'])
    return nothing
  }
  const kept = { checkpoint: inputs.enrolment?.imaCheckpoint ?? null, stage: inputs.imaStage ?? null }
  const banks = imaBanks(quotes.values, imaPcr)
  const from = continueImaLog(ima.from, kept, { ...quotes, banks, basis: imaBasisOf(inputs) })
  const detail = from.problem ?? `begins at record ${ima.from}`
  checks.record('tpm.ima.offset', { ok: from.problem === null, detail })
  if (from.problem === null) return judgeLog(checks, ima, quotes, { inputs, replays, from })
  skipOthers(checks, ['tpm.ima.present', 'tpm.ima.offset'])
  return { ...nothing, wanted: from.wanted }
}
