import { equalBytes, isFilledWith } from '../../base/bytes.ts'
import { MalformedError } from '../../base/errors.ts'
import type { Certificate } from '../../base/pki/certificate.ts'
import { checkChain } from '../../base/pki/chain.ts'
import { parseEcsInstance, parseTpmCertificate, type TpmCertificate } from '../../endorsements/ek-certificate.ts'
import {
  type VendorAnchorName,
  vendorAnchor,
  vendorAnchorFacts,
  vendorAnchorNames,
} from '../../endorsements/trust-anchors.ts'
import { heading, type InspectedField } from './inspection.ts'

/** Purposes that certificates of TPMs and of attestation services have. */
const purposeNames = new Map([
  ['1.3.6.1.5.5.7.3.1', 'serverAuth'],
  ['1.3.6.1.5.5.7.3.2', 'clientAuth'],
  ['2.23.133.8.1', 'tcg-kp-EKCertificate'],
  ['2.23.133.8.2', 'tcg-kp-PlatformAttributeCertificate'],
  ['2.23.133.8.3', 'tcg-kp-AIKCertificate'],
  ['2.5.29.37.0', 'anyExtendedKeyUsage'],
])

/** `2.23.133.8.1 (tcg-kp-EKCertificate)`; without a name where none is known. */
export function describePurpose(id: string): string {
  const name = purposeNames.get(id)
  return name === undefined ? id : `${id} (${name})`
}

/** What fills an NV index behind its certificate; none for a certificate that ends where its file ends. */
export function paddingField(content: Uint8Array, { der }: Certificate): InspectedField[] {
  const size = content.length - der.length
  if (size === 0) return []
  const filling = isFilledWith(content.subarray(der.length), 0) ? '00' : 'ff'
  return [{ ...heading('(NV padding)', 0, `${size} bytes ${filling}`, der.length), size }]
}

function anchorLine(name: VendorAnchorName, certificate: Certificate): string | null {
  const { summary, certificateSha256, authority } = vendorAnchorFacts[name]
  if (certificate.fingerprint === certificateSha256) return `is ${name} (${summary})`
  if (authority === null) return null
  if (equalBytes(certificate.publicKey, authority.publicKey))
    return `has the key of ${name}, and is not its certificate`
  if (!equalBytes(certificate.issuer.der, authority.subject)) return null
  const { problems } = checkChain({
    leaf: certificate,
    pool: [],
    anchors: [vendorAnchor(name)],
    crls: [],
    revocation: 'off',
    now: certificate.notBefore,
  })
  const forged = problems.some(({ code }) => code === 'signature' || code === 'key_id' || code === 'issuer_unknown')
  return forged ? `names ${name} as its issuer, whose key did not sign it` : `issued by ${name} (${summary})`
}

/** How it stands to the makers whose anchors are pinned here; only direct issue shows in one certificate. */
export function vendorFields(certificate: Certificate): InspectedField[] {
  const lines = vendorAnchorNames.map((name) => anchorLine(name, certificate))
  return lines.filter((line) => line !== null).map((line) => heading('(vendor anchor)', 0, line))
}

function instanceLine({ commonName }: TpmCertificate): string {
  const instance = commonName === null ? null : parseEcsInstance(commonName)
  if (instance === null) return ''
  const { instanceId, enclave } = instance
  return enclave === null ? instanceId : `${instanceId}, its enclave ${enclave}`
}

/** EVD-05: what is larger is no certificate of a key in a TPM. */
function tpmCertificateOf(content: Uint8Array): TpmCertificate | null {
  try {
    return parseTpmCertificate(content)
  } catch (error) {
    if (error instanceof MalformedError) return null
    throw error
  }
}

/** What the certificate of a key in a TPM says of that TPM and of the machine that has it; nothing for other ones. */
export function tpmFields(content: Uint8Array): InspectedField[] {
  const parsed = tpmCertificateOf(content)
  if (parsed === null) return []
  const { tpm } = parsed
  const lines: [string, string][] = [
    ['TPM manufacturer', tpm?.manufacturer ?? ''],
    ['TPM model', tpm?.model ?? ''],
    ['TPM version', tpm?.version ?? ''],
    ['ECS instance', instanceLine(parsed)],
  ]
  return lines.filter(([, value]) => value !== '').map(([name, value]) => heading(`(${name})`, 0, value))
}
