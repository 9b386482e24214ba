import { MalformedError } from '../../base/errors.ts'
import { parseTpmAttest, type TpmAttest } from '../../evidence/tpm/attest.ts'
import type { TpmEvidence } from '../../evidence/tpm/evidence.ts'
import type { AppraisalOutcome } from '../../registry/appraisal-history.ts'
import type { Appraisal } from '../../results/appraisal.ts'
import { firmwareText } from '../../verifier/tpm/claims.ts'
import { countersOf } from '../../verifier/tpm/counters.ts'

function lastQuote(evidence: TpmEvidence | null): TpmAttest | null {
  const quote = evidence?.quotes.at(-1)
  if (quote === undefined) return null
  try {
    return parseTpmAttest(quote.attest)
  } catch (error) {
    if (error instanceof MalformedError) return null
    throw error
  }
}

/**
 * What the history of a key keeps of an appraisal at `at`, milliseconds since the epoch: which checks stand against it, and
 * what the last quote says of counters and firmware. In a refused appraisal nothing vouches for what the quote says.
 */
export function outcomeOf(
  { affirmed, findings }: Pick<Appraisal, 'affirmed' | 'findings'>,
  evidence: TpmEvidence | null,
  at: number,
): AppraisalOutcome {
  const attest = lastQuote(evidence)
  const against = findings.filter(({ outcome }) => outcome === 'failed' || outcome === 'unreached')
  return {
    at,
    affirmed,
    failed: against.map(({ id }) => id),
    counters: attest && countersOf(attest),
    firmwareVersion: attest && firmwareText(attest),
    evidenceSha256: null,
  }
}
