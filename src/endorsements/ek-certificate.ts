import { type Certificate, parsePaddedCertificate } from '../base/pki/certificate.ts'
import { attributeTexts, commonNameOf } from '../base/pki/distinguished-name.ts'
import { extensionIds } from '../base/pki/extensions.ts'
import { requireSize } from '../base/pki/signed-object.ts'

/** Key purposes of the TCG (TCG EK Credential Profile, section 3.5). */
export const tcgPurposes = { endorsementKey: '2.23.133.8.1', attestationKey: '2.23.133.8.3' } as const

const tcgAttributes = { manufacturer: '2.23.133.2.1', model: '2.23.133.2.2', version: '2.23.133.2.3' } as const

/** Bytes: of the certificate (EVD-05), and of the NV index that it fills. */
const limits = { certificate: 4096, index: 65_536 }

/** The TPM that a certificate names in its subjectAltName, as its maker wrote it: `id:414C4942`, `vTPM`, `id:00010000`. */
export interface TpmDescription {
  readonly manufacturer: string
  readonly model: string
  readonly version: string
}

/** A certificate for a key in a TPM: an EK, or an AK that its provider certified. Nothing is verified. */
export interface TpmCertificate {
  readonly certificate: Certificate
  /** The only common name of the subject; Alibaba Cloud and swtpm write the instance id there (EKC-09). */
  readonly commonName: string | null
  readonly tpm: TpmDescription | null
}

/**
 * Parses the content of an NV index or of the evidence: DER, cut at the outer length, followed by zeros or FF only
 * (EKC-02). At most 4096 bytes, and 64 KiB with the filling. Throws only `MalformedError`; `path` begins its field path.
 */
export function parseTpmCertificate(content: Uint8Array, path = 'ek.certificate'): TpmCertificate {
  requireSize(content, path, limits.index)
  const certificate = parsePaddedCertificate(content, path, { maximum: limits.certificate })
  return { certificate, commonName: commonNameOf(certificate.subject), tpm: describeTpm(certificate) }
}

/** An instance of Alibaba Cloud ECS as EK certificates name it (tpm.md section 9). */
export interface EcsInstance {
  /** `i-…`. */
  readonly instanceId: string
  /** Number of the enclave inside of the instance; null: the vTPM is the instance's own. */
  readonly enclave: string | null
}

/**
 * Reads a common name of the form `i-…` or `i-…-enclave-<n>`; null for any other. Only a name is read: who issued the
 * certificate decides whether it says anything. An enclave is another machine than its instance, so that policies
 * compare the whole common name (EKC-09) and never the id that is read here.
 */
export function parseEcsInstance(commonName: string): EcsInstance | null {
  const match = /^(i-[0-9a-z]{6,32})(?:-enclave-(0|[1-9][0-9]{0,8}))?$/.exec(commonName)
  const [, instanceId, enclave] = match ?? []
  return instanceId === undefined ? null : { instanceId, enclave: enclave ?? null }
}

function describeTpm({ subjectDirectoryNames }: Certificate): TpmDescription | null {
  for (const name of subjectDirectoryNames) {
    const [manufacturer, model, version] = [tcgAttributes.manufacturer, tcgAttributes.model, tcgAttributes.version].map(
      (type) => attributeTexts(name, type)[0],
    )
    if (manufacturer && model && version) return { manufacturer, model, version }
  }
  return null
}

/**
 * Why a critical subjectAltName was not understood, or null: to accept one means to have processed it, and what is
 * processed here is the description of the TPM (EKC-04).
 */
export function alternativeNameProblem({ certificate, tpm }: TpmCertificate): string | null {
  const isCritical = certificate.extensions.get(extensionIds.subjectAltName)?.critical ?? false
  return isCritical && tpm === null ? 'its critical subjectAltName does not describe a TPM' : null
}

/** What a key must be certified for. */
export type CertifiedUse = 'endorsement' | 'attestation'

/**
 * Why the certificate is not one for this use, or null (EKC-07, EKC-10). An EK must decrypt: a certificate for
 * digital signatures alone belongs to a signing EK, which cannot answer a credential challenge.
 */
export function usageProblem(
  { keyUsage, extendedKeyUsage }: Certificate,
  use: CertifiedUse,
  keyType: 'rsa' | 'ecc',
): string | null {
  const purpose = use === 'endorsement' ? tcgPurposes.endorsementKey : tcgPurposes.attestationKey
  if (extendedKeyUsage && !extendedKeyUsage.includes(purpose))
    return `its extended key usage does not contain ${purpose}`
  const needed = use === 'attestation' ? 'digitalSignature' : keyType === 'rsa' ? 'keyEncipherment' : 'keyAgreement'
  if (keyUsage?.has(needed)) return null
  if (use === 'endorsement' && keyUsage?.has('digitalSignature')) return 'it is for a signing key, which cannot decrypt'
  return `its key usage does not contain ${needed}`
}
