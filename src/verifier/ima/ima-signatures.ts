import { MalformedError } from '../../base/errors.ts'
import { type SignedDigest, verifyDigest } from '../../base/prehashed-signature.ts'
import {
  type ImaSignature,
  type ImaSignatureHeader,
  parseImaSignature,
  signatureTypes,
} from '../../evidence/ima/ima-signature.ts'
import type { ImaDigest, ImaFields } from '../../evidence/ima/ima-template.ts'
import { kernelHashes } from '../../evidence/ima/kernel-hashes.ts'
import { digestOf } from '../../evidence/tpm/algorithms.ts'
import type { ImaKeyRing } from './ima-key-ring.ts'

/**
 * What a signature of a file is worth (IMA-18). `valid`: a listed key signed the digest in the record; only this may
 * stand for an entry of an allow-list. `not-verifiable`: nothing in the record can be compared with it.
 */
export type ImaSignatureVerdict = 'valid' | 'invalid' | 'unknown-key' | 'absent' | 'not-verifiable'

/** Of SHA-1 and older hashes, collisions can be made: one signature would stand for two files. */
const signedDigests: ReadonlySet<string> = new Set<SignedDigest>(['sha256', 'sha384', 'sha512'])
const isSignedDigest = (name: string): name is SignedDigest => signedDigests.has(name)

/** What a kind of signature signs; EVM signs inode metadata, which no record holds. */
const signedContent = { 'ima-v2': 'ima', 'verity-v3': 'verity', 'evm-portable': null, other: null } as const

/** The hash and the digest that the signature is over. */
interface Signed {
  readonly hash: SignedDigest
  readonly digest: Uint8Array
}

/**
 * Version 2 signs the digest of the file; version 3 signs H(06 ‖ number of the hash ‖ fs-verity digest), so that the
 * descriptor of fs-verity, signed as a file, is not taken for the file that it describes.
 */
function signedBy(kind: ImaSignature['kind'], { hash }: ImaSignatureHeader, digest: ImaDigest): Signed | null {
  // The kernel hashes a file by the algorithm of its signature: with another one, the record is of other bytes.
  if (hash !== digest.algorithm || !isSignedDigest(hash) || signedContent[kind] !== digest.of) return null
  if (digest.of === 'ima') return { hash, digest: digest.digest }
  const number = kernelHashes.findIndex(({ name }) => name === hash)
  return { hash, digest: digestOf(hash, Uint8Array.of(signatureTypes.verity, number), digest.digest) }
}

function verify({ hash, digest }: Signed, { keyId, signature }: ImaSignatureHeader, ring: ImaKeyRing) {
  const keys = ring.keysOf(keyId)
  if (keys.length === 0) return 'unknown-key'
  const usable = keys.filter((key) => key !== null)
  if (usable.length === 0) return 'not-verifiable'
  for (const key of usable) {
    if (!ring.spend()) return 'not-verifiable'
    if (verifyDigest(key, hash, digest, signature)) return 'valid'
  }
  return 'invalid'
}

function judge(bytes: Uint8Array, digest: ImaDigest | null, ring: ImaKeyRing): ImaSignatureVerdict {
  const parsed = parseImaSignature(bytes)
  if (parsed.kind === 'other' || digest === null) return 'not-verifiable'
  const signed = signedBy(parsed.kind, parsed, digest)
  return signed === null ? 'not-verifiable' : verify(signed, parsed, ring)
}

const hasBytes = (field: Uint8Array | null) => field !== null && field.length > 0

/**
 * Judges the signature of a record over the digest in the same record (IMA-18): RSA PKCS #1 v1.5 or ECDSA by the type of
 * the key, SHA-256, SHA-384 or SHA-512; keys of the ring by their id, all of them where several share it. Dates of
 * certificates do not count, as they do not in the kernel. Signatures of EVM and appended ones (`modsig`) are not
 * verifiable from a record. Bytes that do not parse are `invalid`. Never throws. Of a violation nothing is covered by
 * a digest: do not ask about its signature (IMA-05).
 */
export function judgeImaSignature(fields: ImaFields, ring: ImaKeyRing): ImaSignatureVerdict {
  const { signature, digest } = fields
  if (signature === null || signature.length === 0) {
    return hasBytes(fields.modsig) || hasBytes(fields.evmSignature) ? 'not-verifiable' : 'absent'
  }
  try {
    return judge(signature, digest, ring)
  } catch (error) {
    if (error instanceof MalformedError) return 'invalid'
    throw error
  }
}
