import { createHash, type KeyObject, verify } from 'node:crypto'
import { equalBytes, isFilledWith } from '../../base/bytes.ts'
import { type KeyReading, readP256Point, readPublicKey } from '../../base/pki/public-key.ts'
import type { Quote } from '../../evidence/tdx/quote.ts'
import type { QuoteChecklist } from './quote-form.ts'

/** Verifies raw r‖s over SHA-256; both forms of s are valid (tdx.md 3.8.17). */
function verifyRaw(key: KeyObject, data: Uint8Array, signature: Uint8Array): boolean {
  return verify('sha256', data, { key, dsaEncoding: 'ieee-p1363' }, signature)
}

function judgeBinding(checklist: QuoteChecklist, { attestationKey, qe }: Quote): void {
  const { reportData } = qe.report
  const digest = createHash('sha256').update(attestationKey).update(qe.authData).digest()
  const binds = equalBytes(reportData.subarray(0, 32), digest)
  checklist.judge('tdx.qe.binding', binds, () => 'the report data of the quoting enclave is of another key')
  const rest = isFilledWith(reportData.subarray(32), 0)
  checklist.judge('tdx.qe.reportData', rest, () => 'bytes 32 to 63 of the report data are not zero')
}

const keyOf = (reading: KeyReading) => (reading.usable ? reading.publicKey.key : null)

/**
 * Section 3.2 of tdx.md: the platform signed the report of the quoting enclave, that report binds the attestation key,
 * and the attestation key signed the quote. `pckKey` is the DER key of an authentic PCK chain, null while there is none:
 * nothing is then said of the signature by it.
 */
export function judgeQuoteSignatures(checklist: QuoteChecklist, quote: Quote, pckKey: Uint8Array | null): void {
  if (pckKey !== null) {
    const key = keyOf(readPublicKey(pckKey))
    const signed = key !== null && verifyRaw(key, quote.qe.reportBytes, quote.qe.signature)
    checklist.judge('tdx.qe.signature', signed, () => 'the signature is not by the key of the PCK certificate')
  }
  judgeBinding(checklist, quote)
  const key = keyOf(readP256Point(quote.attestationKey))
  if (!checklist.judge('tdx.quote.key', key !== null, () => 'the key is not a point on P-256') || key === null) return
  const signed = verifyRaw(key, quote.signedBytes, quote.signature)
  checklist.judge('tdx.quote.signature', signed, () => 'the signature is not by the attestation key')
}
