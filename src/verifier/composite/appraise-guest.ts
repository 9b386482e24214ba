import { equalBytes } from '../../base/bytes.ts'
import { MalformedError } from '../../base/errors.ts'
import { deriveReportData, deriveTpmQualifyingData, digestDevices } from '../../evidence/binding.ts'
import { devicesOf, type GuestEvidence } from '../../evidence/composite.ts'
import { parseQuote, reportDataOf } from '../../evidence/tdx/quote.ts'
import type { BindingEdge, Tee } from '../../results/acr.ts'
import type { Appraisal, Finding } from '../../results/appraisal.ts'
import { Checklist } from '../../results/checklist.ts'
import { appraiseTdx, type TdxAppraisal } from '../tdx/appraise-tdx.ts'
import type { TdxInputs } from '../tdx/inputs.ts'
import { appraiseTpm, type TpmAppraisal } from '../tpm/appraise-tpm.ts'
import type { TpmInputs } from '../tpm/inputs.ts'
import { compositeChecks } from './checks.ts'

/** Kinds of evidence that this verifier puts together. */
export type GuestPart = 'tdx' | 'tpm'

/** What the appraisal of a guest depends on besides its evidence. */
export interface GuestInputs {
  /** Milliseconds since the epoch. */
  readonly now: number
  /** The 48 bytes of BRK-91, recomputed by the verifier from the transcript; never taken from the message (BRK-93). */
  readonly seed: Uint8Array
  /** Evidence without one of these is refused. At least one. */
  readonly required: readonly GuestPart[]
  /** Null: TPM evidence is not appraised here, and none may come. */
  readonly tpm: (Omit<TpmInputs, 'now' | 'expected'> & Pick<TpmInputs['expected'], 'selection'>) | null
  /** Null: TD quotes are not appraised here, and none may come. */
  readonly tdx: Omit<TdxInputs, 'now' | 'reportData'> | null
}

/** The members beside those of `Appraisal` are null where the evidence is not affirmed. */
export interface GuestAppraisal extends Appraisal {
  /** What the guest is attested as: a TD where there is one. */
  readonly tee: Tee | null
  /** Which kinds were shown to belong to one guest (TOK-18). */
  readonly binding: readonly BindingEdge[]
  /** True if any part is simulated: every token about the guest must say so (TOK-04). */
  readonly simulated: boolean | null
  readonly tpm: TpmAppraisal | null
  readonly tdx: TdxAppraisal | null
}

interface Parts {
  readonly tpm: TpmAppraisal | null
  readonly tdx: TdxAppraisal | null
}

function appraiseParts({ tdx, tpm }: GuestEvidence, inputs: GuestInputs, reportData: Uint8Array): Parts {
  const { now, seed } = inputs
  const expected = { qualifyingData: deriveTpmQualifyingData(seed), selection: inputs.tpm?.selection ?? 'any' }
  return {
    tdx: tdx === null || inputs.tdx === null ? null : appraiseTdx(tdx, { ...inputs.tdx, now, reportData }),
    tpm: tpm === null || inputs.tpm === null ? null : appraiseTpm(tpm.evidence, { ...inputs.tpm, now, expected }),
  }
}

/** Evidence of a kind that nobody judges would stand beside an affirmed appraisal as if it had been judged. */
function judgeComplete(checklist: Checklist<keyof typeof compositeChecks>, parts: Parts, inputs: GuestInputs): void {
  const missing = inputs.required.filter((kind) => parts[kind] === null)
  checklist.judge('composite.complete', missing.length === 0, () => `missing: ${missing.join(', ')}`)
}

const passed = (appraisal: Appraisal | null, id: string) =>
  appraisal?.findings.some((finding) => finding.id === id && finding.outcome === 'passed') === true

/** A quote over the right challenge, and no or other TPM evidence: says which half of the binding is broken. */
function quotedReportData(quote: Uint8Array): Uint8Array | null {
  try {
    return reportDataOf(parseQuote(quote))
  } catch (error) {
    if (error instanceof MalformedError) return null
    throw error
  }
}

function judgeBinding(
  checklist: Checklist<keyof typeof compositeChecks>,
  evidence: GuestEvidence,
  parts: Parts,
  seed: Uint8Array,
): void {
  // Evidence whose bytes were never fixed is no device to `devicesOf`, and a quote over no device would pass for it.
  const isFixed = evidence.tpm === null || evidence.tpm.container !== null
  const covered = isFixed && passed(parts.tdx, 'tdx.reportData')
  const quoted = evidence.tdx === null ? null : quotedReportData(evidence.tdx.quote)
  const alone = quoted !== null && equalBytes(quoted, deriveReportData(seed, new Uint8Array()))
  const unbound = [
    ...(covered || alone ? [] : ['the TD quote is over other report data']),
    ...(passed(parts.tpm, 'tpm.quote.nonce') ? [] : ['the TPM quote is over other qualifying data']),
  ]
  checklist.judge('composite.nonce', unbound.length === 0, () => unbound.join('; '))
  const why = alone ? 'the TD quote covers no device' : 'the TD quote covers other evidence, or none'
  checklist.judge('composite.devices', covered, () => why)
}

interface Judged {
  readonly findings: readonly Finding[]
  readonly affirmed: boolean
  readonly binding: readonly BindingEdge[]
}

function judgeTogether(evidence: GuestEvidence, parts: Parts, inputs: GuestInputs): Judged {
  const checklist = new Checklist(compositeChecks)
  judgeComplete(checklist, parts, inputs)
  judgeBinding(checklist, evidence, parts, inputs.seed)
  const bound = checklist.passed('composite.nonce', 'composite.devices')
  return {
    findings: checklist.findings(),
    affirmed: checklist.affirmed(),
    binding: [{ edge: 'tdx+tpm', outcome: bound ? 'passed' : 'failed' }],
  }
}

const alone: Judged = { findings: [], affirmed: true, binding: [] }

/**
 * Appraises what one guest says: its TD quote, its TPM quote, and that both belong to one guest and one challenge. Every
 * part is appraised by the checks of its kind against values derived from `seed` (BRK-90 to BRK-93); a part that fails
 * fails the whole, whatever is required. Where only one kind is required and there, no more is asked than its own checks.
 *
 * Pure and synchronous; never throws for bad evidence.
 */
export function appraiseGuest(evidence: GuestEvidence, inputs: GuestInputs): GuestAppraisal {
  const reportData = deriveReportData(inputs.seed, digestDevices(devicesOf(evidence)))
  const parts = appraiseParts(evidence, inputs, reportData)
  const isAlone = inputs.required.length === 1 && (evidence.tdx === null) !== (evidence.tpm === null)
  const isRequired = inputs.required.every((kind) => parts[kind] !== null)
  const together = isAlone && isRequired ? alone : judgeTogether(evidence, parts, inputs)
  const judged = [parts.tdx, parts.tpm].filter((part) => part !== null)
  const findings = [...judged.flatMap((part): readonly Finding[] => part.findings), ...together.findings]
  const affirmed = judged.length > 0 && judged.every((part) => part.affirmed) && together.affirmed
  if (!affirmed) return { affirmed, findings, claims: {}, tee: null, binding: [], simulated: null, ...parts }
  const claims = { ...parts.tdx?.claims, ...parts.tpm?.claims }
  const simulated = judged.some((part) => part.simulated !== false)
  const tee = parts.tdx === null ? 'tpm' : 'tdx'
  return { affirmed, findings, claims, tee, binding: together.binding, simulated, ...parts }
}
