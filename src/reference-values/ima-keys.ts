import { hash } from 'node:crypto'
import { toLatin1 } from '../base/bytes.ts'
import { parseCertificate } from '../base/pki/certificate.ts'
import { identifiers, openDer } from '../base/pki/der-cursor.ts'
import { parsePemBlocks } from '../base/pki/pem.ts'

/** A key that may be loaded into a keyring of the kernel (IMA-17) and whose signatures of files count there (IMA-18). */
export interface ImaKeyReference {
  /** SHA-256 of the DER that the kernel measures when the key is loaded: 64 lower-case hexadecimal digits. */
  readonly sha256: string
  /**
   * DER of an X.509 certificate or of a SubjectPublicKeyInfo. Null where only the digest is known: such a key is usable
   * for signatures once a measured buffer has shown it.
   */
  readonly der: Uint8Array | null
}

/** The keys of one keyring. Plain data: it can be given to another thread. */
export interface ImaKeyring {
  /** Name as in the log, escaped (`escapedName`): `.ima`, `.evm`, `.builtin_trusted_keys`. */
  readonly keyring: string
  readonly keys: readonly ImaKeyReference[]
}

/** All keyrings with a list; a keyring without one has no reference values, which is not the same as an empty list. */
export type ImaKeyReferences = readonly ImaKeyring[]

/** DER certificates and keys of IMA have 0.4 to 3 KiB; a file may hold those of a distribution. */
const limits = { characters: 1 << 20, blocks: 256 }

const keyLabels = ['CERTIFICATE', 'PUBLIC KEY'] as const

function requireKeyInfo(der: Uint8Array, path: string): void {
  const parts = openDer(der, path, 64).enter()
  parts.element(identifiers.sequence)
  parts.octetsOfBits()
  parts.requireEnd()
}

/** True if the bytes are a SubjectPublicKeyInfo by their second element: a certificate has a SEQUENCE there. */
function isKeyInfo(der: Uint8Array, path: string): boolean {
  const parts = openDer(der, path, 512).enter()
  parts.element()
  return parts.meets(identifiers.bitString)
}

function referenceOf(der: Uint8Array, path: string): ImaKeyReference {
  if (isKeyInfo(der, path)) requireKeyInfo(der, path)
  else parseCertificate(der, path)
  return { sha256: hash('sha256', der, 'hex'), der }
}

/**
 * Reads a file of keys: one DER certificate or SubjectPublicKeyInfo (`/etc/keys/x509_ima.der`), or PEM with up to 256
 * blocks of one of these kinds. Strict in all forms; nothing is verified, neither dates nor issuers: the kernel does not look at
 * dates either, and a listed key is trusted because the operator lists it. Whether the key is of a type that can verify
 * signatures is not looked at. Throws `MalformedError`; `path` names the file's member.
 */
export function parseImaKeys(bytes: Uint8Array, path = 'keys'): ImaKeyReference[] {
  const start = toLatin1(bytes.subarray(0, 64))
  const label = keyLabels.find((name) => start.startsWith(`-----BEGIN ${name}-----`))
  if (label === undefined) return [referenceOf(bytes, path)]
  const blocks = parsePemBlocks(toLatin1(bytes), label, limits)
  return blocks.map((der, index) => referenceOf(der, `${path}.${index}`))
}
