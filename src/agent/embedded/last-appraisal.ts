import type { Finding } from '../../results/appraisal.ts'
import type { PolicyReport } from './policy-outcome.ts'

export interface AppraisalRecord {
  readonly affirmed: boolean
  /** Seconds since the epoch. */
  readonly at: number
  readonly findings: readonly Finding[]
  /**
   * What appraisal policies said of it, and compiled ones of it or of evidence before it; absent where none are configured.
   */
  readonly policies?: readonly PolicyReport[]
}

/** Policies of all configurations that there were since the start: no more than one has. */
const mostReports = 32

/** In place of what was said under the same ids. */
function withReports(before: readonly PolicyReport[], newer: readonly PolicyReport[]): readonly PolicyReport[] {
  const ids = new Set(newer.map(({ id }) => id))
  return [...before.filter(({ id }) => !ids.has(id)), ...newer].slice(-mostReports)
}

/** The newest appraisals, for `status`: what operators look at when a token is refused. */
export class LastAppraisals {
  #enrolment: AppraisalRecord | null = null
  #evidence: AppraisalRecord | null = null

  keepEnrolment(record: AppraisalRecord): void {
    this.#enrolment = record
  }

  /** What bundles said last stays until they say something of newer evidence: a slow one would never be seen. */
  keepEvidence(record: AppraisalRecord): void {
    const before = this.#evidence?.policies?.filter(({ opposed }) => opposed !== undefined) ?? []
    const { affirmed, policies } = record
    this.#evidence = affirmed && policies ? { ...record, policies: withReports(before, policies) } : record
  }

  /** What a bundle says comes when the evidence was recorded already, and other evidence perhaps too. */
  addReport(report: PolicyReport): void {
    const record = this.#evidence
    if (record?.affirmed) this.#evidence = { ...record, policies: withReports(record.policies ?? [], [report]) }
  }

  snapshot(): { enrolment: AppraisalRecord | null; evidence: AppraisalRecord | null } {
    return { enrolment: this.#enrolment, evidence: this.#evidence }
  }
}

/** `tpm.nonce, tpm.quote.signature`: failed checks first, for one line of a log. */
export function failedIds(findings: readonly Finding[]): string {
  const failed = findings.filter(({ outcome }) => outcome === 'failed')
  const against = failed.length > 0 ? failed : findings.filter(({ outcome }) => outcome === 'unreached')
  return against.map(({ id }) => id).join(', ')
}
