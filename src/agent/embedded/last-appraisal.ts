import type { Finding } from '../../results/appraisal.ts'
import type { PolicyReport } from './policy-outcome.ts'

export interface AppraisalRecord {
  readonly affirmed: boolean
  /** Seconds since the epoch. */
  readonly at: number
  readonly findings: readonly Finding[]
  /** What appraisal policies said of it; absent where none are configured. */
  readonly policies?: readonly PolicyReport[]
}

/** The newest appraisals, for `status`: what operators look at when a token is refused. */
export class LastAppraisals {
  #enrolment: AppraisalRecord | null = null
  #evidence: AppraisalRecord | null = null

  keepEnrolment(record: AppraisalRecord): void {
    this.#enrolment = record
  }

  keepEvidence(record: AppraisalRecord): void {
    this.#evidence = record
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
