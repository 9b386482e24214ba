import { toBase64url } from '../../base/bytes.ts'
import type { TdxEvidence } from '../../evidence/tdx/evidence.ts'
import { encodeTdxEvidence } from '../../evidence/tdx/evidence-json.ts'

export interface AttestationRequest {
  readonly evidence: TdxEvidence
  /** The 64 bytes that the quote covers. */
  readonly reportData: Uint8Array
  readonly policyIds: readonly string[]
  /** The published clients of the service send no event log (SVC-20). */
  readonly sendEventLog: boolean
}

/**
 * The body of `POST /v1/attestation` in dialect `alibaba`: exactly `tee`, `evidence`, `policy_ids`, `runtime_data.raw`
 * (SVC-17). The evidence is base64url without padding of JSON with exactly two members, whose binary values are standard
 * base64 with padding (SVC-20, TDX-040); the runtime data is base64url without padding (SVC-24). UTF-8.
 */
export function encodeAttestationRequest(request: AttestationRequest): Uint8Array {
  const { evidence, reportData, policyIds, sendEventLog } = request
  const ccEventLog = sendEventLog ? evidence.ccEventLog : null
  const inner = JSON.stringify(encodeTdxEvidence({ ...evidence, ccEventLog }, { hints: false }))
  const body = {
    tee: 'tdx',
    evidence: toBase64url(Buffer.from(inner)),
    policy_ids: policyIds,
    runtime_data: { raw: toBase64url(reportData) },
  }
  return new Uint8Array(Buffer.from(JSON.stringify(body)))
}
