import { parseText, toBase64url } from '../base/bytes.ts'
import { type JsonObject, parseJsonObject } from '../base/json.ts'
import type { TpmEvidence } from '../evidence/tpm/evidence.ts'
import { encodeTpmEvidence, parseTpmEvidence, tpmEvidenceLimits } from '../evidence/tpm/evidence-json.ts'
import { agentErrors } from './errors.ts'

/**
 * Writes the body of `POST /v1/attestation` (attestation-service.md 1.1): the container in base64url, and the bytes that
 * the TPM signed over as raw runtime data (SVC-25). One line of JSON. Throws `EVIDENCE_TOO_LARGE` for evidence that no
 * verifier would read.
 */
export function encodeEvidenceDocument(evidence: TpmEvidence, qualifyingData: Uint8Array): string {
  const container = new TextEncoder().encode(JSON.stringify(encodeTpmEvidence(evidence)))
  const { document, eventLog, ima } = tpmEvidenceLimits
  const largest = [
    { what: 'the container', size: container.length, limit: document },
    { what: 'the event log', size: evidence.eventLog?.length ?? 0, limit: eventLog },
    { what: 'the IMA log', size: evidence.ima?.data.length ?? 0, limit: ima },
  ].find(({ size, limit }) => size > limit)
  if (largest) {
    const { what, size, limit } = largest
    throw agentErrors.error('EVIDENCE_TOO_LARGE', `${what} has ${size} bytes, and may have ${limit}`)
  }
  const runtimeData = { raw: toBase64url(qualifyingData) }
  return JSON.stringify({ tee: 'tpm', evidence: toBase64url(container), runtime_data: runtimeData })
}

/**
 * Reads an evidence document, or a bare container (SVC-23). `runtime_data` and whatever else stands beside the evidence
 * is not looked at: what a message says of itself proves nothing about it. Throws `EVIDENCE_UNSUPPORTED` for another kind
 * of evidence, and `MalformedError`.
 */
export function parseEvidenceDocument(bytes: Uint8Array): TpmEvidence {
  const document = parseJsonObject(bytes, 'document')
  return parseTpmEvidence(isContainer(document) ? document : containerOf(document))
}

const isContainer = (document: JsonObject) => document['tee'] === undefined && document['evidence'] === undefined

function containerOf({ tee, evidence }: JsonObject): Uint8Array {
  if (tee !== 'tpm') {
    const kind = typeof tee === 'string' ? tee.slice(0, 32) : 'none'
    throw agentErrors.error('EVIDENCE_UNSUPPORTED', `the document names the kind ${JSON.stringify(kind)}`)
  }
  return parseText(typeof evidence === 'string' ? evidence : '', 'base64url', 'document.evidence')
}
