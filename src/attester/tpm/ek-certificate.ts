import { equalBytes } from '../../base/bytes.ts'
import { MalformedError } from '../../base/errors.ts'
import { parseCertificate, parsePaddedCertificate } from '../../base/pki/certificate.ts'
import { measureElement } from '../../base/pki/der.ts'
import { tpm2 } from '../../evidence/tpm/commands.ts'
import { publicKeyOf, type TpmtPublic } from '../../evidence/tpm/public-area.ts'
import { attesterErrors } from '../errors.ts'
import type { TpmDialogue } from './dialogue.ts'
import { ekTemplates } from './ek-templates.ts'
import type { EkChoice } from './endorsement-key.ts'
import { listHandles } from './loaded-handles.ts'
import { readNvIndex } from './nv-index.ts'
import { understood } from './refusals.ts'

/** Issuer certificates of the EK certificate: one text, cut into indices (tpm.md 1.1). */
const chainIndices = { first: 0x01c00100, last: 0x01c001ff } as const

/** Bounds of the container (EVD-05), and of what is read to fill it (NAT-52). */
const chainBounds = { certificates: 4, certificateSize: 4096, bytesRead: 65_536 } as const

export interface EkCertificate {
  /** As in NV: padding may follow the DER. */
  readonly certificate: Uint8Array | null
  /** DER, intermediates only. */
  readonly chain: readonly Uint8Array[]
}

/**
 * The certificate of the endorsement key and what NV holds of its chain. No certificate is a normal state
 * (TPM-03). The public key in the certificate must be `area`, else `EK_MISMATCH`; nothing else is verified.
 */
export async function readEkCertificate(tpm: TpmDialogue, choice: EkChoice, area: TpmtPublic): Promise<EkCertificate> {
  const index = 'template' in choice ? ekTemplates[choice.template].certificateIndex : choice.certificateIndex
  const certificate = index === null ? null : await readNvIndex(tpm, index)
  if (certificate === null || index === null) return { certificate: null, chain: [] }
  const key = understood(tpm.factsFor(tpm2.createPrimary), () => publicKeyOf(area))
  requireSameKey(certificate, index, new Uint8Array(key.export({ format: 'der', type: 'spki' })))
  return { certificate, chain: await readChain(tpm) }
}

function requireSameKey(certificate: Uint8Array, index: number, rebuilt: Uint8Array): void {
  const facts = { nv_index: index.toString(16) }
  if (equalBytes(parsedKey(certificate, facts), rebuilt)) return
  throw attesterErrors.error('EK_MISMATCH', 'the endorsement certificate is for another key', { facts })
}

function parsedKey(certificate: Uint8Array, facts: Readonly<Record<string, string>>): Uint8Array {
  try {
    return parsePaddedCertificate(certificate, 'ek.certificate').publicKey
  } catch (cause) {
    if (!(cause instanceof MalformedError)) throw cause
    throw attesterErrors.error('EK_CERTIFICATE_MALFORMED', cause.message, { facts, cause })
  }
}

async function readChain(tpm: TpmDialogue): Promise<readonly Uint8Array[]> {
  const parts: Uint8Array[] = []
  let size = 0
  for (const index of await listHandles(tpm, chainIndices.first, chainIndices.last)) {
    const part = await readNvIndex(tpm, index)
    size += part?.length ?? 0
    if (part === null || size > chainBounds.bytesRead) break
    parts.push(part)
  }
  return splitChain(new Uint8Array(Buffer.concat(parts)))
}

/**
 * The certificates at the start of `bytes`, as far as they parse and fit the container; padding and whatever is
 * no certificate end the list. Self-signed ones are left out: an anchor never comes with the evidence (EKC-01).
 */
export function splitChain(bytes: Uint8Array): readonly Uint8Array[] {
  const chain: Uint8Array[] = []
  let left = bytes
  while (left.length > 0 && chain.length < chainBounds.certificates) {
    const found = firstCertificate(left)
    if (found === null) break
    left = left.subarray(found.der.length)
    if (!found.selfSigned) chain.push(found.der)
  }
  return chain
}

function firstCertificate(bytes: Uint8Array): { readonly der: Uint8Array; readonly selfSigned: boolean } | null {
  try {
    const der = bytes.slice(0, measureElement(bytes, 'ek.chain'))
    const limit = { maximum: chainBounds.certificateSize }
    const { issuer, subject } = parseCertificate(der, 'ek.chain', limit)
    return { der, selfSigned: equalBytes(issuer.der, subject.der) }
  } catch (error) {
    if (error instanceof MalformedError) return null
    throw error
  }
}
