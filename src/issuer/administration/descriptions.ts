import { createHash } from 'node:crypto'
import { toHex } from '../../base/bytes.ts'
import { MalformedError } from '../../base/errors.ts'
import type { JsonObject, JsonValue } from '../../base/json.ts'
import { type Certificate, parseCertificate } from '../../base/pki/certificate.ts'
import { describeName } from '../../base/pki/distinguished-name.ts'
import { certificateThumbprint, type PolicyDiagnostic, type PolicySigner } from '../../policies/index.ts'
import { boundedDiagnostics } from '../../policies/language/bounded-diagnostics.ts'
import type { AdministeredAct, AdministeredActivation, AdministeredSigner, AdministeredVersion } from './ports.ts'

const seconds = (milliseconds: number): number => Math.floor(milliseconds / 1000)

const describeAct = ({ at, by }: AdministeredAct): JsonObject => ({ at: seconds(at), by })

/** Diagnostics as POL-801 has them, of bounded number and length. */
export function describeDiagnostics(diagnostics: readonly PolicyDiagnostic[]): JsonValue[] {
  return boundedDiagnostics(diagnostics).map(({ expected, ...rest }) => ({ ...rest, expected: [...expected] }))
}

/** A version in a list: how many diagnostics it has, of each severity. Times in seconds since the epoch. */
export function describeInList(version: AdministeredVersion): JsonObject {
  const { number, form, uploadSha256, policyHash, policyTokenHash, digest, signerKeySha256, previousDigest } = version
  const count = (severity: PolicyDiagnostic['severity']) =>
    version.diagnostics.filter((diagnostic) => diagnostic.severity === severity).length
  return {
    ...{ number, ...describeAct(version), form, uploadSha256, policyHash, policyTokenHash, digest },
    ...{ signerKeySha256, previousDigest },
    lints: { error: count('error'), warning: count('warning'), info: count('info') },
  }
}

/** One version by itself, with its diagnostics. */
export function describeVersion(version: AdministeredVersion): JsonObject {
  return { ...describeInList(version), diagnostics: describeDiagnostics(version.diagnostics) }
}

export function describeActivation({ action, number, previous, ...act }: AdministeredActivation): JsonObject {
  return { ...describeAct(act), action, number, previous }
}

/** By which signers are named. */
export function keySha256({ publicKey }: Pick<Certificate, 'publicKey'>): string {
  return toHex(createHash('sha256').update(publicKey).digest())
}

/** Who signed a policy; the subject is null where the JWS shows a bare key. */
export function describePolicySigner(signer: PolicySigner | null): JsonObject | null {
  if (signer === null) return null
  const [own] = signer.certificates
  return { keySha256: keySha256(signer), subject: own === undefined ? null : describeName(own.subject) }
}

export function describeCertificateFacts(certificate: Certificate): JsonObject {
  return {
    subject: describeName(certificate.subject),
    notBefore: seconds(certificate.notBefore),
    notAfter: seconds(certificate.notAfter),
    sha256: certificate.fingerprint,
    thumbprint: certificateThumbprint(certificate),
  }
}

/** Null for what does not parse: a damaged record is shown as one, and hides no other. */
export function certificateIn({ certificate }: Pick<AdministeredSigner, 'certificate'>): Certificate | null {
  try {
    return parseCertificate(certificate)
  } catch (error) {
    if (error instanceof MalformedError) return null
    throw error
  }
}

export function describeSignerRecord(record: AdministeredSigner): JsonObject {
  const certificate = certificateIn(record)
  return {
    keySha256: record.keySha256,
    added: describeAct(record.added),
    removed: record.removed === null ? null : describeAct(record.removed),
    certificate: certificate === null ? null : describeCertificateFacts(certificate),
  }
}
