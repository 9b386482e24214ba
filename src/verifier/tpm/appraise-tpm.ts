import { secondOf } from '../../base/pki/whole-second.ts'
import type { TpmEvidence, TpmQuote } from '../../evidence/tpm/evidence.ts'
import { tpmEvidenceLimits } from '../../evidence/tpm/evidence-json.ts'
import type { Appraisal, Finding } from '../../results/appraisal.ts'
import { Checklist } from '../../results/checklist.ts'
import { type AttestationKey, judgeAttestationKey, unenrolled, unknownParent } from './attestation-key.ts'
import { type TpmCheckId, tpmChecks } from './checks.ts'
import { tpmClaims } from './claims.ts'
import { countersOf, isNewBoot } from './counters.ts'
import { judgeProblem, type TpmChecklist } from './each-quote.ts'
import type { ImaReport } from './ima-report.ts'
import type { TpmCounters, TpmInputs } from './inputs.ts'
import type { ProvedQuotes } from './judge-ima.ts'
import { type LogReplays, logReplays } from './log-replay.ts'
import { judgeLogs, type LogFacts } from './logs.ts'
import { judgePcrReferences } from './pcr-references.ts'
import type { PcrValues } from './pcr-values.ts'
import { type JudgedQuotes, judgeQuotes } from './quotes.ts'

/**
 * The members beside those of `Appraisal` are null unless the evidence is affirmed: a refusal changes no state. `ima` and
 * `imaLogWanted` are not of that kind: they tell what to mend.
 */
export interface TpmAppraisal extends Appraisal {
  readonly findings: readonly Finding<TpmCheckId>[]
  /** Name of the attestation key, recomputed from the evidence: u16 hash algorithm, digest. */
  readonly akName: Uint8Array | null
  /** To be kept for the key, by compare-and-set against those of the inputs (ENR-12). */
  readonly counters: TpmCounters | null
  /**
   * True if the machine was reset since the counters of the inputs; what was kept of its boot is void (TPM-27). Null also
   * where `requirements.withoutMemory` says that there is nothing to compare with.
   */
  readonly newBoot: boolean | null
  /** The evidence or the enrolment says that the TPM is a simulator: every token about it must say so (TOK-04). */
  readonly simulated: boolean | null
  /** To be kept with the counters in place of what was kept before (IMA-10); null voids it (IMA-11). */
  readonly imaCheckpoint: Uint8Array | null
  /**
   * What the covered records of the IMA log say, with the names of what is not as it should be; null where no quote covers
   * a record. In a refused appraisal, and where the log does not hold, it is only to be shown.
   */
  readonly ima: ImaReport | null
  /**
   * Number of the record, since the boot, from which the IMA log is wanted, because this one could not be judged: 0 is the
   * whole log (IMA-10). Null: the log began where it had to.
   */
  readonly imaLogWanted: number | null
  /** The signed values of all quotes, bank → PCR → value, each of its bank's length. */
  readonly pcrs: PcrValues | null
}

function judgeCount(checklist: TpmChecklist, quotes: readonly TpmQuote[]): readonly TpmQuote[] {
  const { length } = quotes
  const sound = length >= 1 && length <= tpmEvidenceLimits.quotes
  checklist.judge('tpm.quotes.count', sound, () => `there are ${length} quotes`)
  return sound ? quotes : []
}

/** ENR-10, at appraisal; the daily check of the registry may come too late. */
function judgeEkCurrent(checklist: TpmChecklist, { enrolment, requirements, now }: TpmInputs): void {
  const id = 'tpm.ek.current'
  if (enrolment?.akParent.under === 'unknown') checklist.waive(id, unknownParent)
  else if (enrolment !== null) {
    const end = enrolment.ekNotAfter
    const problem = end !== null && secondOf(now) > end ? 'the certificate has expired' : null
    judgeProblem(checklist, id, problem, end === null ? 'there is no certificate' : undefined)
  } else if (requirements.allowUnenrolled === true) checklist.waive(id, unenrolled)
}

/** TPM-30: the hint of the evidence is unsigned, so that it can lower the trust and never raise it. */
function isSimulated({ simulated }: TpmEvidence, { enrolment }: TpmInputs): boolean {
  return simulated || enrolment?.simulated === true
}

function judgeHardware(checklist: TpmChecklist, simulated: boolean, { simulator }: TpmInputs): void {
  if (!simulated) checklist.pass('tpm.hardware')
  else if (simulator) checklist.waive('tpm.hardware', 'the verifier runs in simulator mode')
  else checklist.fail('tpm.hardware', 'the TPM is simulated')
}

function affirmed(
  checklist: TpmChecklist,
  evidence: TpmEvidence,
  inputs: TpmInputs,
  { key, quotes, image, logs }: { key: AttestationKey; quotes: JudgedQuotes; image: string | null; logs: LogFacts },
): Omit<TpmAppraisal, 'findings' | 'affirmed' | 'ima' | 'imaLogWanted'> | null {
  const last = quotes.attests.at(-1)
  if (last === undefined || quotes.values === null) return null
  const { enrolment, requirements, now } = inputs
  const counters = countersOf(last)
  const before = enrolment?.counters ?? null
  const newBoot = before === null && requirements.withoutMemory === true ? null : isNewBoot(before, counters)
  const { values } = quotes
  const claims = tpmClaims(checklist, { key, enrolment, attest: last, values, image, newBoot, evidence, now, logs })
  const simulated = isSimulated(evidence, inputs)
  return { claims, akName: key.name, counters, newBoot, simulated, imaCheckpoint: logs.ima.checkpoint, pcrs: values }
}

/** What the logs are judged beside; null while the values are not proved. */
function provedQuotes(key: AttestationKey | null, quotes: JudgedQuotes | null): ProvedQuotes | null {
  const last = quotes?.attests.at(-1)
  const values = quotes?.values ?? null
  if (key === null || last === undefined || values === null) return null
  const { resetCount, restartCount } = last
  return { values, akName: key.name, resetCount, restartCount }
}

const refused = {
  claims: {},
  akName: null,
  counters: null,
  newBoot: null,
  simulated: null,
  imaCheckpoint: null,
  pcrs: null,
}

/**
 * Appraises TPM evidence (tpm.md sections 4 and 5, EVD-04): the attestation key, every quote, the PCR values and the
 * counters, then the event log and the IMA log against the quoted values. All checks that can be judged are judged.
 *
 * Not verified here: the EK certificate and the enrolment, which `inputs.enrolment` stands for, and that
 * `inputs.expected.qualifyingData` is fresh and used once. The content of the IMA log is compared with
 * `inputs.references`; without them files, keys and buffers are only counted.
 *
 * Pure and synchronous. Never throws for bad evidence. `replays` is the engine of the IMA log.
 */
export function appraiseTpm(evidence: TpmEvidence, inputs: TpmInputs, replays: LogReplays = logReplays): TpmAppraisal {
  const checklist = new Checklist(tpmChecks)
  const given = judgeCount(checklist, evidence.quotes)
  const key = judgeAttestationKey(checklist, evidence.ak.publicArea, inputs)
  judgeEkCurrent(checklist, inputs)
  judgeHardware(checklist, isSimulated(evidence, inputs), inputs)
  const quotes = judgeQuotes(checklist, given, key, inputs)
  const image = judgePcrReferences(checklist, quotes?.values ?? null, inputs.references ?? null)
  const logs = judgeLogs(checklist, evidence, inputs, { quotes: provedQuotes(key, quotes), replays })
  const findings = checklist.findings()
  const result =
    checklist.affirmed() && key !== null && quotes !== null
      ? affirmed(checklist, evidence, inputs, { key, quotes, image, logs })
      : null
  const { shown: ima, wanted: imaLogWanted } = logs.ima
  return { affirmed: result !== null, findings, ...(result ?? refused), ima, imaLogWanted }
}
