import { MalformedError } from '../../base/errors.ts'
import type { Certificate } from '../../base/pki/certificate.ts'
import { commonNameOf } from '../../base/pki/distinguished-name.ts'
import { parseSgxExtension, type SgxExtension, sgxExtensionId } from './sgx-extension.ts'

/** Which of Intel's two kinds of CA issued a PCK certificate; it names the CRL to ask for (TDX-207). */
export type PckCaKind = 'platform' | 'processor'

/** A PCK certificate as its bytes say. Nothing is verified. */
export interface PckCertificate {
  readonly certificate: Certificate
  readonly sgx: SgxExtension
  /** By the common name of the issuer; null for any other name (TDX-115). */
  readonly caKind: PckCaKind | null
}

/** Common names of Intel's provisioning PKI, exact (TDX-115). */
export const intelCommonNames = {
  root: 'Intel SGX Root CA',
  platform: 'Intel SGX PCK Platform CA',
  processor: 'Intel SGX PCK Processor CA',
  pck: 'Intel SGX PCK Certificate',
  tcbSigner: 'Intel SGX TCB Signing',
} as const

/** The kind of PCK CA that has this common name. */
export function pckCaKindOf(commonName: string | null): PckCaKind | null {
  if (commonName === intelCommonNames.platform) return 'platform'
  return commonName === intelCommonNames.processor ? 'processor' : null
}

/** Reads what is particular to a PCK certificate. Throws `MalformedError` where the SGX extension is missing or not exact. */
export function readPckCertificate(certificate: Certificate, path = 'pckCertificate'): PckCertificate {
  const extension = certificate.extensions.get(sgxExtensionId)
  if (!extension) throw new MalformedError({ path }, 'has no SGX extension')
  return {
    certificate,
    sgx: parseSgxExtension(extension.value, `${path}.sgxExtension`),
    caKind: pckCaKindOf(commonNameOf(certificate.issuer)),
  }
}
