import { createPublicKey, type KeyObject } from 'node:crypto'
import { concatBytes, isFilledWith, toBase64url } from '../../base/bytes.ts'
import { MalformedError } from '../../base/errors.ts'
import {
  encode,
  type Layout,
  mapped,
  nothing,
  parse,
  rest,
  sized,
  sizedBytes,
  struct,
  type TypeOf,
  tagged,
  u16be,
  u32be,
} from '../../base/layout.ts'
import { digestOf, type HashName, hashAlgorithms, hashField } from './algorithms.ts'

/** Bit numbers of TPMA_OBJECT (TPM 2.0 Part 2, section 8.3). */
export const objectAttributes = {
  fixedTPM: 1,
  stClear: 2,
  fixedParent: 4,
  sensitiveDataOrigin: 5,
  userWithAuth: 6,
  adminWithPolicy: 7,
  noDA: 10,
  encryptedDuplication: 11,
  restricted: 16,
  decrypt: 17,
  sign: 18,
} as const

export type ObjectAttribute = keyof typeof objectAttributes

export function attributesOf(...names: readonly ObjectAttribute[]): number {
  return names.reduce((sum, name) => sum + 2 ** objectAttributes[name], 0)
}

export function hasAttribute(area: { readonly attributes: number }, name: ObjectAttribute): boolean {
  return ((area.attributes >>> objectAttributes[name]) & 1) === 1
}

const symmetricLayout = tagged('algorithm', u16be, {
  aes: [0x0006, struct({ keyBits: u16be, mode: u16be })],
  null: [0x0010, nothing],
})

const hashed = struct({ hash: hashField })
const schemeLayout = tagged('algorithm', u16be, {
  rsassa: [0x0014, hashed],
  rsapss: [0x0016, hashed],
  oaep: [0x0017, hashed],
  rsaes: [0x0015, nothing],
  ecdsa: [0x0018, hashed],
  ecdh: [0x0019, hashed],
  ecdaa: [0x001a, struct({ hash: hashField, count: u16be })],
  sm2: [0x001b, hashed],
  ecschnorr: [0x001c, hashed],
  null: [0x0010, nothing],
})
const kdfLayout = tagged('algorithm', u16be, {
  mgf1: [0x0007, hashed],
  kdf1Sp800_56a: [0x0020, hashed],
  kdf2: [0x0021, hashed],
  kdf1Sp800_108: [0x0022, hashed],
  null: [0x0010, nothing],
})

/** TPM_ECC_CURVE with the size of a coordinate in bytes. */
export const curves = {
  'P-256': { id: 0x0003, size: 32 },
  'P-384': { id: 0x0004, size: 48 },
  'P-521': { id: 0x0005, size: 66 },
  SM2: { id: 0x0020, size: 32 },
} as const
export type CurveName = keyof typeof curves

const curveField: Layout<CurveName> = mapped(
  u16be,
  (id, refuse) => {
    const found = (Object.keys(curves) as CurveName[]).find((name) => curves[name].id === id)
    if (!found) throw refuse(`curve 0x${id.toString(16).padStart(4, '0')} is not known`)
    return found
  },
  (name) => curves[name].id,
)

const head = { nameAlg: hashField, attributes: u32be, authPolicy: sizedBytes(u16be, { max: 64 }) }

/** TPMT_PUBLIC for RSA and ECC keys (TPM 2.0 Part 2, section 12.2.4); big endian. */
export const publicLayout = tagged('type', u16be, {
  rsa: [
    0x0001,
    struct({
      ...head,
      symmetric: symmetricLayout,
      scheme: schemeLayout,
      keyBits: u16be,
      exponent: u32be,
      modulus: sizedBytes(u16be, { max: 512 }),
    }),
  ],
  ecc: [
    0x0023,
    struct({
      ...head,
      symmetric: symmetricLayout,
      scheme: schemeLayout,
      curve: curveField,
      kdf: kdfLayout,
      x: sizedBytes(u16be, { max: 66 }),
      y: sizedBytes(u16be, { max: 66 }),
    }),
  ],
})

export type TpmtPublic = TypeOf<typeof publicLayout>

/** TPM2B_PUBLIC: u16 size, then TPMT_PUBLIC. */
export const sizedPublicLayout = sized(u16be, publicLayout, { min: 1, max: 1024 })

/** Parses a TPMT_PUBLIC to its last byte; the key itself is not checked (see `publicKeyOf`). */
export function parsePublic(bytes: Uint8Array, name = 'public'): TpmtPublic {
  return parse(publicLayout, bytes, name)
}

/** Parses a TPM2B_PUBLIC (u16 size, then TPMT_PUBLIC) to its last byte. */
export function parseSizedPublic(bytes: Uint8Array, name = 'public'): TpmtPublic {
  return parse(sizedPublicLayout, bytes, name)
}

export function encodePublic(area: TpmtPublic): Uint8Array {
  return encode(publicLayout, area, 'public')
}

export function encodeSizedPublic(area: TpmtPublic): Uint8Array {
  return encode(sizedPublicLayout, area, 'public')
}

/** Exponent 0 in a public area stands for 65537. */
export function exponentOf(area: TpmtPublic & { type: 'rsa' }): number {
  return area.exponent === 0 ? 65537 : area.exponent
}

/** A coordinate with leading zeros to `size` bytes: TPMs may leave them out. Throws `MalformedError` for a longer one. */
export function padCoordinate(coordinate: Uint8Array, size: number): Uint8Array {
  if (coordinate.length > size) throw new MalformedError({ path: 'public' }, `coordinate of ${coordinate.length} bytes`)
  return concatBytes(new Uint8Array(size - coordinate.length), coordinate)
}

function jwkOf(area: TpmtPublic): Record<string, string> {
  if (area.type === 'rsa') {
    const exponent = exponentOf(area)
    const e = Uint8Array.of(exponent >>> 24, exponent >>> 16, exponent >>> 8, exponent)
    return { kty: 'RSA', n: toBase64url(area.modulus), e: toBase64url(e.subarray(e.findIndex((byte) => byte !== 0))) }
  }
  const size = curves[area.curve].size
  return {
    kty: 'EC',
    crv: area.curve,
    x: toBase64url(padCoordinate(area.x, size)),
    y: toBase64url(padCoordinate(area.y, size)),
  }
}

/**
 * The public key for `node:crypto`. Throws `MalformedError` for a point off its curve, an empty modulus or a
 * curve that OpenSSL does not offer; sizes and exponents are judged by the verifier, not here.
 */
export function publicKeyOf(area: TpmtPublic): KeyObject {
  if (area.type === 'rsa' && (area.modulus.length === 0 || isFilledWith(area.modulus, 0))) {
    throw new MalformedError({ path: 'public.modulus' }, 'is empty')
  }
  try {
    return createPublicKey({ key: jwkOf(area), format: 'jwk' })
  } catch (cause) {
    throw new MalformedError({ path: 'public' }, 'is not a usable public key', { cause })
  }
}

/** Name of an object: nameAlg (u16) and the digest of its TPMT_PUBLIC (TPM 2.0 Part 1, section 16). */
export function nameOf(area: TpmtPublic): Uint8Array {
  return hashedName(area.nameAlg, encodePublic(area))
}

function hashedName(hash: HashName, ...parts: readonly Uint8Array[]): Uint8Array {
  return concatBytes(encode(hashField, hash), digestOf(hash, ...parts))
}

export const hierarchies = {
  owner: 0x40000001,
  null: 0x40000007,
  endorsement: 0x4000000b,
  platform: 0x4000000c,
} as const
export type HierarchyName = keyof typeof hierarchies

/** The hash that a Name was made with: its first two bytes. Throws `MalformedError` where the length does not fit it. */
function nameAlgOf(name: Uint8Array): HashName {
  const { hash, digest } = parse(struct({ hash: hashField, digest: rest }), name, 'name')
  if (digest.length !== hashAlgorithms[hash].size) {
    throw new MalformedError({ path: 'name' }, `digest of ${digest.length} bytes is not one of ${hash}`)
  }
  return hash
}

/**
 * Qualified name of a primary key by its Name alone: nameAlg and H(hierarchy handle, Name). Throws
 * `MalformedError` for bytes that are no Name (u16 hash algorithm and a digest of its size).
 */
export function qualifiedNameUnderHierarchy(name: Uint8Array, hierarchy: HierarchyName): Uint8Array {
  return hashedName(nameAlgOf(name), encode(u32be, hierarchies[hierarchy]), name)
}

/** Qualified name of a child by its Name alone: nameAlg and H(qualified name of the parent, Name of the child). */
export function qualifiedNameUnderParent(parentQualifiedName: Uint8Array, name: Uint8Array): Uint8Array {
  return hashedName(nameAlgOf(name), parentQualifiedName, name)
}

/** Qualified name of a primary key: nameAlg and H(hierarchy handle, Name). `area` gives the hash. */
export function qualifiedNameOfPrimary(area: TpmtPublic, hierarchy: HierarchyName): Uint8Array {
  return qualifiedNameUnderHierarchy(nameOf(area), hierarchy)
}

/** Qualified name of a child: nameAlg and H(qualified name of the parent, Name of the child). */
export function qualifiedNameOfChild(parentQualifiedName: Uint8Array, area: TpmtPublic): Uint8Array {
  return qualifiedNameUnderParent(parentQualifiedName, nameOf(area))
}
