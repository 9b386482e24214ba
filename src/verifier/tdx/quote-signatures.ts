import { hash, type KeyObject, verify } from 'node:crypto'
import { concatBytes, isFilledWith, toHex } from '../../base/bytes.ts'
import { readP256Point } from '../../base/pki/public-key.ts'
import type { Quote } from '../../evidence/tdx/quote.ts'
import type { QuoteChecklist } from './quote-form.ts'

/** Verifies raw r‖s over SHA-256; both forms of s are valid (tdx.md 3.8.17). */
function verifyRaw(key: KeyObject, data: Uint8Array, signature: Uint8Array): boolean {
  return verify('sha256', data, { key, dsaEncoding: 'ieee-p1363' }, signature)
}

function judgeBinding(checklist: QuoteChecklist, { attestationKey, qe }: Quote): void {
  const { reportData } = qe.report
  const digest = hash('sha256', concatBytes(attestationKey, qe.authData), 'hex')
  const binds = toHex(reportData.subarray(0, 32)) === digest
  checklist.judge('tdx.qe.binding', binds, () => 'the report data of the quoting enclave is of another key')
  const rest = isFilledWith(reportData.subarray(32), 0)
  checklist.judge('tdx.qe.reportData', rest, () => 'bytes 32 to 63 of the report data are not zero')
}

/**
 * Section 3.2 of tdx.md: the platform signed the report of the quoting enclave, that report binds the attestation key,
 * and the attestation key signed the quote. `pckKey` is that of an authentic PCK chain, null while there is none: nothing
 * is then said of the signature by it.
 */
export function judgeQuoteSignatures(checklist: QuoteChecklist, quote: Quote, pckKey: KeyObject | null): void {
  if (pckKey !== null) {
    const signed = verifyRaw(pckKey, quote.qe.reportBytes, quote.qe.signature)
    checklist.judge('tdx.qe.signature', signed, () => 'the signature is not by the key of the PCK certificate')
  }
  judgeBinding(checklist, quote)
  const reading = readP256Point(quote.attestationKey)
  checklist.judge('tdx.quote.key', reading.usable, () => 'the key is not a point on P-256')
  if (!reading.usable) return
  const signed = verifyRaw(reading.publicKey.key, quote.signedBytes, quote.signature)
  checklist.judge('tdx.quote.signature', signed, () => 'the signature is not by the attestation key')
}
