import { hash } from 'node:crypto'
import { toBase64, toLatin1 } from '../base/bytes.ts'
import { parseCertificate } from '../base/pki/certificate.ts'
import { identifiers, openDer } from '../base/pki/der-cursor.ts'
import { parsePemBlocks } from '../base/pki/pem.ts'
import type { KeyReference } from './reference-values.ts'

/** DER certificates and keys of IMA have 0.4 to 3 KiB; a file may hold those of a distribution. */
const limits = { characters: 1 << 20, blocks: 256 }

const keyLabels = ['CERTIFICATE', 'PUBLIC KEY'] as const

/** What of a key verifies signatures. */
export interface ImaKey {
  /** DER SubjectPublicKeyInfo; the key in it may be of any type. A view. */
  readonly spki: Uint8Array
  /** How signatures name the key (IMA-18): the last 4 bytes of its identifier, as a number. */
  readonly keyId: number
}

const lastFour = (bytes: Uint8Array) => Buffer.from(bytes.subarray(-4)).readUInt32BE()

/** The identifier of a key without one is the SHA-1 of its bits, as `evmctl` and RFC 5280 section 4.2.1.2 (1) make it. */
function parseKeyInfo(spki: Uint8Array, path: string): ImaKey {
  const parts = openDer(spki, path, 64).enter()
  parts.element(identifiers.sequence)
  const bits = parts.octetsOfBits()
  parts.requireEnd()
  return { spki, keyId: lastFour(hash('sha1', bits, 'buffer')) }
}

/** True if the bytes are a SubjectPublicKeyInfo by their second element: a certificate has a SEQUENCE there. */
function isKeyInfo(der: Uint8Array, path: string): boolean {
  const parts = openDer(der, path, 512).enter()
  parts.element()
  return parts.meets(identifiers.bitString)
}

/**
 * The key in the DER of an X.509 certificate or of a SubjectPublicKeyInfo. Strict DER; nothing is verified. Throws
 * `MalformedError`.
 */
export function parseImaKey(der: Uint8Array, path = 'key'): ImaKey {
  if (isKeyInfo(der, path)) return parseKeyInfo(der, path)
  const { publicKey: spki, subjectKeyId } = parseCertificate(der, path)
  if (subjectKeyId === null || subjectKeyId.length < 4) return parseKeyInfo(spki, path)
  return { spki, keyId: lastFour(subjectKeyId) }
}

/**
 * Reads a file of keys for `keyring`: one DER certificate or SubjectPublicKeyInfo (`/etc/keys/x509_ima.der`), or PEM with
 * up to 256 blocks of one of these kinds. Strict in all forms; nothing is verified, neither dates nor issuers: the kernel
 * does not look at dates either, and a listed key is trusted because the operator lists it. Whether the key is of a type
 * that can verify signatures is not looked at. A SubjectPublicKeyInfo verifies signatures (IMA-18) but never stands for a
 * certificate with that key in a measured buffer (IMA-17): what is measured there is the DER of the certificate.
 * Throws `MalformedError`; `path` names the file.
 */
export function parseImaKeys(bytes: Uint8Array, keyring: string, path = 'keys'): KeyReference[] {
  const start = toLatin1(bytes.subarray(0, 64))
  const label = keyLabels.find((name) => start.startsWith(`-----BEGIN ${name}-----`))
  const ders = label === undefined ? [bytes] : parsePemBlocks(toLatin1(bytes), label, limits)
  return ders.map((der, index) => {
    parseImaKey(der, label === undefined ? path : `${path}.${index}`)
    return { keyring, sha256: hash('sha256', der, 'hex'), der: toBase64(der) }
  })
}
