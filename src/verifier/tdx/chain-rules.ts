import { samePublicBytes } from '../../base/bytes.ts'
import type { Certificate } from '../../base/pki/certificate.ts'
import { commonNameOf, describeName } from '../../base/pki/distinguished-name.ts'
import { extensionIds } from '../../base/pki/extensions.ts'
import type { TrustAnchor } from '../../base/pki/trust-anchor.ts'
import { secondOf } from '../../base/pki/whole-second.ts'
import type { ChainWork } from './chain-work.ts'

/** Rules that hold in every chain of the provisioning PKI. Each gives a sentence on what is wrong, or null. */

const knownCritical: readonly string[] = [extensionIds.basicConstraints, extensionIds.keyUsage]

/** TDX-111 besides what the parser demands: ECDSA with SHA-256, a key on P-256, no unknown critical extension. */
export function profileProblem(certificate: Certificate, work: ChainWork): string | null {
  return work.profile(certificate, (one) => problemOfProfile(one, work))
}

function problemOfProfile(certificate: Certificate, work: ChainWork): string | null {
  const { signatureAlgorithm: algorithm, extensions, subject } = certificate
  const who = () => describeName(subject)
  if (algorithm.kind !== 'ecdsa' || algorithm.hash !== 'sha256') return `${who()}: is not signed by ECDSA with SHA-256`
  const reading = work.key(certificate)
  if (!reading.usable) return `${who()}: the key ${reading.problem}`
  if (reading.publicKey.type !== 'ec' || reading.publicKey.curve !== 'P-256') return `${who()}: the key is not on P-256`
  for (const [id, { critical }] of extensions) {
    if (critical && !knownCritical.includes(id)) return `${who()}: the critical extension ${id} is not known`
  }
  return null
}

/**
 * TDX-113: the anchor that `root` is, by key, subject and fingerprint together. The key alone would let anybody who can
 * have it sign one certificate write another root; the name alone proves nothing.
 */
export function anchorOfRoot(root: Certificate, anchors: readonly TrustAnchor[]): TrustAnchor | null {
  const found = anchors.find(
    ({ authority, fingerprints }) =>
      fingerprints.includes(root.fingerprint) &&
      samePublicBytes(authority.publicKey, root.publicKey) &&
      samePublicBytes(authority.subject.der, root.subject.der),
  )
  return found ?? null
}

export function nameProblem(certificate: Certificate, expected: readonly string[]): string | null {
  const name = commonNameOf(certificate.subject)
  if (name !== null && expected.includes(name)) return null
  return `${describeName(certificate.subject)} is not ${expected.join(' or ')}`
}

/** TDX-116: for an authority; `below` is the number of authorities between it and the leaf. */
export function authorityProblem(certificate: Certificate, below: number): string | null {
  const { basicConstraints, keyUsage, subject } = certificate
  const who = () => describeName(subject)
  if (!basicConstraints?.ca) return `${who()} is not a certificate authority`
  if (!keyUsage?.has('keyCertSign')) return `${who()} may not sign certificates`
  const { pathLength } = basicConstraints
  return pathLength !== null && pathLength < below ? `${who()} allows ${pathLength} authorities below itself` : null
}

export function leafProblem({ basicConstraints, subject }: Certificate): string | null {
  return basicConstraints?.ca ? `${describeName(subject)} is a certificate authority and may not be` : null
}

/** TDX-114: `certificate` names `issuer` (DER equality) and is signed by its key. */
export function linkProblem(certificate: Certificate, issuer: Certificate, work: ChainWork): string | null {
  const who = () => describeName(certificate.subject)
  if (!samePublicBytes(certificate.issuer.der, issuer.subject.der)) return `${who()} names another issuer`
  return work.isSigned(certificate, issuer) ? null : `${who()} is not signed by the key of its issuer`
}

/**
 * TDX-114: a root issued itself. Where it is an anchor its fingerprint pins every byte of it, the signature included, and
 * verifying that again would say nothing more.
 */
export function rootProblem(root: Certificate, work: ChainWork, isAnchored: boolean): string | null {
  if (!isAnchored) return linkProblem(root, root, work)
  const isSelfIssued = samePublicBytes(root.issuer.der, root.subject.der)
  return isSelfIssued ? null : `${describeName(root.subject)} names another issuer`
}

/** TDX-118: both bounds belong to the validity, and the clock is cut to whole seconds. */
export function validityProblem(certificates: readonly Certificate[], now: number): string | null {
  const second = secondOf(now)
  for (const { notBefore, notAfter, subject } of certificates) {
    if (second < notBefore) return `${describeName(subject)} is valid from ${new Date(notBefore).toISOString()} on`
    if (second > notAfter) return `${describeName(subject)} was valid until ${new Date(notAfter).toISOString()}`
  }
  return null
}

/** The first problem of all, in order. */
export function firstProblem<T>(items: readonly T[], problemOf: (item: T) => string | null): string | null {
  for (const item of items) {
    const problem = problemOf(item)
    if (problem !== null) return problem
  }
  return null
}
