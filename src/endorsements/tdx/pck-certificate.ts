import type { Certificate } from '../../base/pki/certificate.ts'
import type { SgxExtension } from './sgx-extension.ts'

/** Which of Intel's two kinds of CA issued a PCK certificate; it names the CRL to ask for (TDX-207). */
export type PckCaKind = 'platform' | 'processor'

/** A PCK certificate as its bytes say. Nothing is verified. */
export interface PckCertificate {
  readonly certificate: Certificate
  readonly sgx: SgxExtension
  /** By the common name of the issuer; null for any other name (TDX-115). */
  readonly caKind: PckCaKind | null
}
