import { AttestdError, type ErrorOptions } from '../../base/errors.ts'
import type { Finding, Outcome } from '../../results/appraisal.ts'
import { tdxChecks } from '../../verifier/index.ts'
import { attestationErrors } from './errors.ts'
import type { TdOutcome } from './ports.ts'

/** A finding as a problem document shows it. */
export interface ReportedFinding {
  readonly id: string
  readonly rule: string
  readonly outcome: Outcome
  readonly detail?: string
}

type EvidenceCode = Extract<keyof typeof attestationErrors.declared, `AS.EVIDENCE.${string}`>

/** A refusal of evidence, with what was found of it: whoever asks may know that of its own machine (ERR-02). */
export class EvidenceRefusal extends AttestdError {
  readonly findings: readonly ReportedFinding[]

  constructor(code: EvidenceCode, detail: string, findings: readonly Finding[], options: ErrorOptions = {}) {
    super(code, attestationErrors.declared[code], detail, options)
    this.findings = findings.filter(isAgainst).slice(0, mostFindings).map(reported)
  }
}

const mostFindings = 128
const longestDetail = 256
/** Report data, and the log against the registers; what else is wrong with a log is no matter of a binding. */
const bindingChecks: ReadonlySet<string> = new Set(['tdx.reportData', 'tdx.eventlog.replay'])
/** What the appraisal of references says where MRCONFIGID is among the fields that differ. */
const initDataProblem = /(?:^|; )mrConfigId is /

function isAgainst({ outcome }: Finding): boolean {
  return outcome === 'failed' || outcome === 'unreached'
}

function reported({ id, outcome, detail }: Finding): ReportedFinding {
  const declared: Readonly<Record<string, { readonly rule: string }>> = tdxChecks
  const rule = Object.hasOwn(declared, id) ? (declared[id]?.rule ?? '') : ''
  return { id, rule, outcome, ...(detail === undefined ? {} : { detail: shortened(detail) }) }
}

function shortened(text: string): string {
  return text.length <= longestDetail ? text : `${text.slice(0, longestDetail)}…`
}

function codeOf({ id, detail = '' }: Finding): EvidenceCode {
  if (id.startsWith('tdx.quote.') && !/[.](?:key|signature)$/.test(id)) return 'AS.EVIDENCE.INVALID_QUOTE'
  if (id === 'tdx.evidence.kind') return 'AS.EVIDENCE.INVALID_QUOTE'
  if (bindingChecks.has(id)) return 'AS.EVIDENCE.BINDING_MISMATCH'
  if (id === 'tdx.references' && initDataProblem.test(detail)) return 'AS.EVIDENCE.BINDING_MISMATCH'
  return 'AS.EVIDENCE.VERIFICATION_FAILED'
}

/**
 * The refusal for an appraisal that is not affirmed: the first failed check in the order of the appraisal decides the
 * code (ERR-03); without a failed one it is the first that was not reached. `field`: path of the quote in the request.
 */
export function refusalOf({ findings }: Pick<TdOutcome['appraisal'], 'findings'>, field: string): EvidenceRefusal {
  const against = findings.filter(isAgainst)
  const first = against.find(({ outcome }) => outcome === 'failed') ?? against[0]
  if (first === undefined) throw new TypeError('an appraisal that is not affirmed has nothing against it')
  const says = first.outcome === 'failed' ? 'failed' : 'was not reached'
  return new EvidenceRefusal(codeOf(first), `the check ${first.id} ${says}`, findings, { facts: { field } })
}
