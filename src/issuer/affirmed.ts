import type { Appraisal } from '../results/appraisal.ts'
import { issuerErrors } from './errors.ts'

/** TOK-03. Throws `APPRAISAL_NOT_AFFIRMED`; an appraisal that contradicts itself is a bug, not a refusal. */
export function requireAffirmed({ affirmed, findings }: Appraisal): void {
  const against = findings.filter(({ outcome }) => outcome === 'failed' || outcome === 'unreached')
  if (!affirmed) {
    const facts = { findings: against.map(({ id }) => id).join(' ') }
    throw issuerErrors.error('APPRAISAL_NOT_AFFIRMED', 'the appraisal did not affirm the evidence', { facts })
  }
  if (against.length > 0 || findings.length === 0)
    throw new TypeError('an affirmed appraisal without the findings for it')
}
