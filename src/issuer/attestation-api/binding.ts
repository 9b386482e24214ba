import { equalBytes } from '../../base/bytes.ts'
import { MalformedError } from '../../base/errors.ts'
import { isInitDataDigest } from '../../evidence/tdx/init-data.ts'
import { parseQuote, type Quote, reportDataOf } from '../../evidence/tdx/quote.ts'
import { appraiseQuote, type TdxCheckId } from '../../verifier/index.ts'
import type { AttestationRequest } from './attestation-request.ts'
import { EvidenceRefusal, refusalOf } from './evidence-refusal.ts'

function quoteOf(bytes: Uint8Array, field: string): Quote {
  try {
    return parseQuote(bytes)
  } catch (error) {
    if (!(error instanceof MalformedError)) throw error
    // The appraisal of what does not parse ends with its form, and names the check; collateral was not asked for.
    const { findings } = appraiseQuote(bytes, { collateral: null, now: 0 })
    throw refusalOf({ findings: findings.filter(({ id }) => id.startsWith('tdx.quote.')) }, field)
  }
}

function mismatch(id: TdxCheckId, detail: string, field: string, remedy: string): EvidenceRefusal {
  const findings = [{ id, outcome: 'failed', detail }] as const
  return new EvidenceRefusal('AS.EVIDENCE.BINDING_MISMATCH', detail, findings, { facts: { field }, remedy })
}

/**
 * Requires that the quote carries what the request binds (SVC-25, SVC-26, SVC-28), before anything is verified: a wrong
 * binding must not cost a fetch of collateral (SVC-44). It proves nothing yet: the signature of the quote is the
 * verifier's matter. Throws `AS.EVIDENCE.INVALID_QUOTE` and `AS.EVIDENCE.BINDING_MISMATCH`.
 */
export function requireBinding({ evidence, runtimeData, initData, place }: AttestationRequest): void {
  const field = `${place}evidence.quote`
  const quote = quoteOf(evidence.quote, field)
  if (quote.body.kind === 'sgx') {
    const findings = [{ id: 'tdx.evidence.kind', outcome: 'failed' }] as const
    const says = 'the quote is about an SGX enclave, not about a TD'
    throw new EvidenceRefusal('AS.EVIDENCE.INVALID_QUOTE', says, findings, { facts: { field } })
  }
  if (runtimeData !== null && !equalBytes(reportDataOf(quote), runtimeData.reportData)) {
    const remedy = 'collect the quote with the report data of this very request'
    throw mismatch('tdx.reportData', 'REPORTDATA is not the value that runtime_data binds', field, remedy)
  }
  if (initData !== null && !isInitDataDigest(quote.body.report.mrConfigId, initData.digest)) {
    const remedy = 'send the init data with which the TD was started'
    throw mismatch('tdx.references', 'MRCONFIGID is not the digest of init_data', field, remedy)
  }
}
