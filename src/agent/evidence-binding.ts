import { concatBytes, equalBytes } from '../base/bytes.ts'
import { deriveReportData, deriveSeed, deriveTpmQualifyingData, digestDevices } from '../evidence/binding.ts'
import { devicesOf, type GuestEvidence } from '../evidence/composite.ts'
import { agentErrors } from './errors.ts'

/**
 * What a nonce means in evidence that somebody asks for by a nonce alone, with `attestd evidence` and `attestd appraise`:
 * a TPM alone signs it as qualifying data, a TD alone quotes it as report data padded with zeros (TDX-041), and a TD
 * beside a TPM quotes what follows from `nonceSeed`, so that both quotes are shown to belong together.
 */

const reportDataSize = 64
/** What sets report data of our transcripts apart from data of a caller's choice (BRK-93, API-66). */
const reserved = { at: 48, text: new TextEncoder().encode('attestd') }

/**
 * The seed, 48 bytes, under which TD and TPM of one guest answer a nonce of 8 to 64 bytes (BRK-91): of purpose `evidence`,
 * for the verifier that is named, if one is, without a key. No request is bound: its tree has no leaf, and no tree of requests has that size,
 * so that such evidence never stands for that of a token.
 */
export function nonceSeed(nonce: Uint8Array, verifier = ''): Uint8Array {
  const root = new Uint8Array(32)
  return deriveSeed({ purpose: 'evidence', verifier, challenge: nonce, root, size: 0, agentKey: null })
}

/** Qualifying data of the TPM: the nonce itself, or with a TD beside it 32 bytes of the seed. */
export function qualifyingDataFor(nonce: Uint8Array, { withTd }: { readonly withTd: boolean }): Uint8Array {
  return withTd ? deriveTpmQualifyingData(nonceSeed(nonce)) : nonce
}

function refuse(says: string): never {
  throw agentErrors.error('USAGE', says, { remedy: 'draw a fresh nonce of 32 random bytes' })
}

/**
 * The 64 bytes for a TD alone. Throws `USAGE` for what must not be quoted: one repeated byte (BRK-96), and what could be
 * taken for a transcript of ours (API-66).
 */
function nonceReportData(nonce: Uint8Array): Uint8Array {
  const padded = concatBytes(nonce, new Uint8Array(reportDataSize - nonce.length))
  if (padded.every((byte) => byte === padded[0])) refuse('--nonce repeats one byte: such report data proves nothing')
  const tail = padded.subarray(reserved.at, reserved.at + reserved.text.length)
  if (equalBytes(tail, reserved.text)) refuse('--nonce has the form that is reserved for evidence of tokens')
  return padded
}

/** How a machine was asked. */
export interface AskedNonce {
  readonly nonce: Uint8Array
  /**
   * For whom the evidence was made, '' for nobody in particular, where the nonce is the challenge of a transcript (BRK-91);
   * null where a TPM or a TD alone signed the nonce as it is.
   */
  readonly verifier: string | null
}

/** What a TPM alone has signed if it answered this nonce, and no other and for nobody else (BRK-94). */
export function qualifyingDataOfTpmAlone({ nonce, verifier }: AskedNonce): Uint8Array {
  return verifier === null ? nonce : deriveTpmQualifyingData(nonceSeed(nonce, verifier))
}

/** The same for a TD alone: its report data covers no device. */
export function reportDataOfTdAlone({ nonce, verifier }: AskedNonce): Uint8Array {
  return verifier === null ? nonce : deriveReportData(nonceSeed(nonce, verifier), new Uint8Array())
}

/** Report data of the TD: the nonce, or with devices beside it what covers the nonce and their evidence (BRK-92). */
export function reportDataFor(nonce: Uint8Array, tpm: GuestEvidence['tpm']): Uint8Array {
  if (tpm === null) return nonceReportData(nonce)
  return deriveReportData(nonceSeed(nonce), digestDevices(devicesOf({ tdx: null, tpm })))
}
