import { parse, parsePrefix, sizedBytes, struct, u8, u16be, u32be } from '../../base/layout.ts'
import { type KernelHash, kernelHashNumbered } from './kernel-hashes.ts'

/** First byte of the extended attribute that holds a signature; version 3 signatures cover it (IMA-18). */
export const signatureTypes = { ima: 0x03, evmPortable: 0x05, verity: 0x06 } as const

/** What a signature is for, by type and version of its header. */
const kinds = [
  { kind: 'ima-v2', type: signatureTypes.ima, version: 2 },
  { kind: 'evm-portable', type: signatureTypes.evmPortable, version: 2 },
  { kind: 'verity-v3', type: signatureTypes.verity, version: 3 },
] as const

/** The header `signature_v2_hdr` and the signature behind it. */
export interface ImaSignatureHeader {
  /** Null for a number that has no algorithm. */
  readonly hash: KernelHash | null
  /** Last 4 bytes of the subject key identifier, as a number. Several keys may share one. */
  readonly keyId: number
  /** RSA PKCS #1 v1.5, or ECDSA in DER, by the type of the key. A view. */
  readonly signature: Uint8Array
}

/** A signature as the kernel keeps it in an extended attribute. Of other types and versions the header is not known. */
export type ImaSignature =
  | ({ readonly kind: (typeof kinds)[number]['kind'] } & ImaSignatureHeader)
  | { readonly kind: 'other'; readonly type: number; readonly version: number }

const start = struct({ type: u8, version: u8 })
/** Packed; big endian. */
const header = struct({ type: u8, version: u8, hash: u8, keyId: u32be, signature: sizedBytes(u16be, { min: 1 }) })

/**
 * Reads a signature to its last byte (IMA-18): type, version, number of the hash, key id, length and signature. Nothing
 * is verified. Throws `MalformedError`; whoever can set extended attributes chooses these bytes.
 */
export function parseImaSignature(bytes: Uint8Array, path = 'signature'): ImaSignature {
  const { type, version } = parsePrefix(start, bytes, path).value
  const known = kinds.find((one) => one.type === type && one.version === version)
  if (!known) return { kind: 'other', type, version }
  const { hash, keyId, signature } = parse(header, bytes, path)
  return { kind: known.kind, hash: kernelHashNumbered(hash) ?? null, keyId, signature }
}

/** A key id as `evmctl` and the kernel show it: 8 lower-case hexadecimal digits. */
export function keyIdText(keyId: number): string {
  return keyId.toString(16).padStart(8, '0')
}
