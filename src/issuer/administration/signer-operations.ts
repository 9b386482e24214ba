import { parseText } from '../../base/bytes.ts'
import type { JsonObject } from '../../base/json.ts'
import type { Certificate } from '../../base/pki/certificate.ts'
import { parsePemBlocks } from '../../base/pki/pem.ts'
import { certificateThumbprint } from '../../policies/index.ts'
import { certificateIn, describeCertificateFacts, describeSignerRecord, keySha256 } from './descriptions.ts'
import { administrationErrors, invalidField } from './errors.ts'
import type { AdministeredPolicies, AdministeredSigners } from './ports.ts'
import { policiesWithoutTrust } from './signer-standing.ts'

const longest = {
  /** Characters of a certificate as it is sent: many times what one for signing policies has. */
  certificate: 32_768,
  /** Records of former signers that are told. */
  former: 256,
} as const

interface SignersAndPolicies {
  readonly signers: AdministeredSigners
  readonly policies: AdministeredPolicies
}

/** While somebody is trusted, policies and resets must be signed (POL-704). */
const modeOf = (trusted: number) => (trusted > 0 ? 'on' : 'off')

/** Who is trusted, in the order in which they came, and who was, the last one first. */
export async function listSigners(signers: AdministeredSigners): Promise<JsonObject> {
  const all = await signers.history()
  const trusted = all.filter(({ removed }) => removed === null)
  const former = all.filter(({ removed }) => removed !== null).reverse()
  return {
    signerMode: modeOf(trusted.length),
    trusted: trusted.map(describeSignerRecord),
    former: former.slice(0, longest.former).map(describeSignerRecord),
  }
}

/**
 * Trusts a signer; nobody has to vouch for it here, and with the first one signer mode is on (POL-704). What is active stays
 * so: `untrusted` names the policies that nobody who is trusted has signed.
 */
export async function addSigner(
  { signers, policies }: SignersAndPolicies,
  { certificate }: JsonObject,
  by: string,
): Promise<JsonObject> {
  if (typeof certificate !== 'string' || certificate === '') throw invalidField('certificate', 'is not a text')
  if (certificate.length > longest.certificate) {
    throw invalidField('certificate', `has more than ${longest.certificate} characters`)
  }
  return answerChange({ signers, policies }, await signers.addLocally(derOf(certificate), by))
}

/** Trusts a signer no more, also the last one: after that policies need no signature (POL-708). Answers as `addSigner`. */
export async function removeSigner(
  { signers, policies }: SignersAndPolicies,
  hash: string,
  by: string,
): Promise<JsonObject> {
  return answerChange({ signers, policies }, await signers.removeLocally(await trustedDer(signers, hash), by))
}

/** PEM with one certificate, or standard base64 of DER. */
function derOf(text: string): Uint8Array {
  if (!text.startsWith('-----')) return parseText(text, 'base64', 'certificate')
  const [der, ...others] = parsePemBlocks(text, 'CERTIFICATE')
  if (der !== undefined && others.length === 0) return der
  throw invalidField('certificate', 'holds several certificates, of which nobody says which one is meant')
}

const hashForm = /^(?:[0-9A-Fa-f]{40}|[0-9A-Fa-f]{64})$/

/**
 * The one trusted certificate of a hash. The thumbprint of 40 digits is a SHA-1, for which two certificates can be made:
 * then none of them is meant.
 */
async function trustedDer(signers: AdministeredSigners, hash: string): Promise<Uint8Array> {
  if (!hashForm.test(hash)) {
    throw invalidField('signer', 'is neither a thumbprint of 40 nor a SHA-256 of 64 hexadecimal digits')
  }
  const found = (await signers.history()).flatMap((record) => {
    const certificate = record.removed === null ? certificateIn(record) : null
    return certificate !== null && hashesOf(certificate).includes(hash.toLowerCase()) ? [certificate.der] : []
  })
  const [der, ...others] = found
  if (der === undefined) throw unknownSigner(hash)
  if (others.length > 0) throw invalidField('signer', 'is the hash of several signers: give the hash of the key')
  return der
}

function hashesOf(certificate: Certificate): readonly string[] {
  return [keySha256(certificate), certificate.fingerprint, certificateThumbprint(certificate).toLowerCase()]
}

function unknownSigner(hash: string) {
  const says = `no trusted signer has the hash ${hash}`
  return administrationErrors.error('ADMINISTRATION_SIGNER_UNKNOWN', says, { facts: { field: 'signer' } })
}

async function answerChange(
  { signers, policies }: SignersAndPolicies,
  { certificate, changed }: { readonly certificate: Certificate; readonly changed: boolean },
): Promise<JsonObject> {
  const trusted = (await signers.history()).filter(({ removed }) => removed === null)
  const signer = { keySha256: keySha256(certificate), certificate: describeCertificateFacts(certificate) }
  const untrusted = [...(await policiesWithoutTrust(policies, signers))]
  return { changed, signerMode: modeOf(trusted.length), signer, untrusted }
}
