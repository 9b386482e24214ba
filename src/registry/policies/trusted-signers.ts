import { createHash } from 'node:crypto'
import { toHex } from '../../base/bytes.ts'
import { MalformedError } from '../../base/errors.ts'
import { type Certificate, parseCertificate } from '../../base/pki/certificate.ts'
import type { TrustedSigners } from '../../policies/index.ts'
import { storeErrors } from '../store-errors.ts'
import type { SignerRecord } from './policy-store.ts'

/** By which signers are named: lower-case hexadecimal SHA-256 of the SubjectPublicKeyInfo. */
export function keySha256(publicKey: Uint8Array): string {
  return toHex(createHash('sha256').update(publicKey).digest())
}

/** The certificate of a signer out of the store. Throws `registry_corrupt` if it is not the one that was put there. */
export function certificateOf(record: SignerRecord): Certificate {
  try {
    const certificate = parseCertificate(record.certificate)
    if (keySha256(certificate.publicKey) === record.keySha256) return certificate
  } catch (error) {
    if (!(error instanceof MalformedError)) throw error
  }
  throw storeErrors.error('registry_corrupt', 'the certificate of a trusted signer is not the one that was added')
}

/** The keys that `acceptPolicy` takes. */
export function trustedKeys(signers: readonly SignerRecord[]): TrustedSigners {
  return signers.map(certificateOf)
}
