import { createHmac } from 'node:crypto'
import { concatBytes } from '../../base/bytes.ts'
import { encodeTranscriptField } from '../binding.ts'

/** What an agent sends to have its attestation key enrolled (ENR-01): the keys of one TPM, unverified. */
export interface EnrolmentRequest {
  readonly ek: {
    /** TPM2B_PUBLIC. */
    readonly publicArea: Uint8Array
    /** DER as in NV, filling included; null where the TPM has none. */
    readonly certificate: Uint8Array | null
    /** DER, intermediates only. */
    readonly chain: readonly Uint8Array[]
  }
  readonly ak: {
    /** TPM2B_PUBLIC. */
    readonly publicArea: Uint8Array
  }
  /** Cloud instance id as the guest knows it; it must be the one that its EK is bound to. */
  readonly instanceId: string | null
  /** The sender says that its TPM is a simulator; it can only lower the trust. */
  readonly simulated: boolean
}

/** What only the TPM with both keys can answer (ENR-02); the credential without the size fields of its TPM2Bs. */
export interface EnrolmentChallenge {
  /** 16 random bytes. */
  readonly id: Uint8Array
  readonly idObject: Uint8Array
  readonly encryptedSecret: Uint8Array
}

/**
 * The answer to a challenge, 32 bytes (ENR-05): HMAC-SHA-256 with the released secret over domain, challenge id and
 * Name of the attestation key. The secret itself never travels back, and an answer is good for one challenge only.
 */
export function proveActivation(secret: Uint8Array, challengeId: Uint8Array, akName: Uint8Array): Uint8Array {
  const transcript = concatBytes(
    encodeTranscriptField('domain', 'attestd/enrol/1'),
    encodeTranscriptField('id', challengeId),
    encodeTranscriptField('ak', akName),
  )
  return new Uint8Array(createHmac('sha256', secret).update(transcript).digest())
}
