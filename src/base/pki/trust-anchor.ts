import type { Certificate } from './certificate.ts'
import { type Extensions, extensionIds } from './extensions.ts'

/** What a chain needs to know of an issuer; a certificate has it, and so has a table of facts. */
export type Authority = Pick<
  Certificate,
  | 'subject'
  | 'issuer'
  | 'serial'
  | 'notBefore'
  | 'notAfter'
  | 'publicKey'
  | 'subjectKeyId'
  | 'basicConstraints'
  | 'keyUsage'
> & {
  /** Identifiers of its critical extensions. */
  readonly criticalExtensions: readonly string[]
  readonly constrainsNames: boolean
}

/**
 * An issuer that is trusted by configuration: a root, or an intermediate. It is not checked for revocation,
 * because whoever could revoke it is above it and not trusted.
 */
export interface TrustAnchor {
  /** Profile name, or the fingerprint: what claims and findings call it. */
  readonly name: string
  /** SHA-256 of the certificates that may carry this key (TDX-113: a root may be re-encoded), lower-case hex. */
  readonly fingerprints: readonly string[]
  readonly authority: Authority
}

export function criticalIdsOf(extensions: Extensions): string[] {
  const ids: string[] = []
  for (const [id, { critical }] of extensions) if (critical) ids.push(id)
  return ids
}

export function authorityOf(certificate: Certificate): Authority {
  const { subject, issuer, serial, notBefore, notAfter, publicKey, subjectKeyId, basicConstraints, keyUsage } =
    certificate
  return {
    ...{ subject, issuer, serial, notBefore, notAfter, publicKey, subjectKeyId, basicConstraints, keyUsage },
    criticalExtensions: criticalIdsOf(certificate.extensions),
    constrainsNames: certificate.extensions.has(extensionIds.nameConstraints),
  }
}

/** Makes a configured certificate an anchor, pinned by its SHA-256. Whether it may issue is judged in each chain. */
export function anchorOf(certificate: Certificate, name = certificate.fingerprint): TrustAnchor {
  return { name, fingerprints: [certificate.fingerprint], authority: authorityOf(certificate) }
}
