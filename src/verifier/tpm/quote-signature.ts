import { constants, type KeyObject, verify } from 'node:crypto'
import { concatBytes, toHex } from '../../base/bytes.ts'
import { type CurveName, curves, type TpmtPublic } from '../../evidence/tpm/public-area.ts'
import type { TpmtSignature } from '../../evidence/tpm/signature.ts'
import type { SigningScheme } from './attestation-key.ts'

/** Orders of the base points (FIPS 186-4, appendix D.1.2). */
const curveOrders: Readonly<Record<Exclude<CurveName, 'SM2'>, bigint>> = {
  'P-256': 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n,
  'P-384': 0xffffffffffffffffffffffffffffffffffffffffffffffffc7634d81f4372ddf581a0db248b0a77aecec196accc52973n,
  'P-521':
    0x01fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffa51868783bf2f966b7fcc0148f709a5d03bb5c9b8899c47aebb6fb71e91386409n,
}

interface Verification {
  readonly area: TpmtPublic
  readonly key: KeyObject
  readonly scheme: SigningScheme
}

/** TPM-15: the key decides; a signature that names anything else is not even tried. */
export function schemeProblem(signature: TpmtSignature, scheme: SigningScheme): string | null {
  const said = `${signature.algorithm} with ${signature.hash}`
  const fixed = `${scheme.algorithm} with ${scheme.hash}`
  return said === fixed ? null : `is ${said}, the key is bound to ${fixed}`
}

function scalarProblem(name: 'r' | 's', scalar: Uint8Array, curve: Exclude<CurveName, 'SM2'>): string | null {
  if (scalar.length > curves[curve].size) return `${name} has ${scalar.length} bytes, more than the field of ${curve}`
  const value = BigInt(`0x0${toHex(scalar)}`)
  return value > 0n && value < curveOrders[curve] ? null : `${name} is not between 0 and the order of ${curve}`
}

/** r and s may come without leading zeros; OpenSSL wants both at field size. */
function fixedSize(curve: CurveName, ...scalars: readonly Uint8Array[]): Uint8Array {
  const { size } = curves[curve]
  return concatBytes(...scalars.flatMap((scalar) => [new Uint8Array(size - scalar.length), scalar]))
}

function paddingOf({ algorithm }: SigningScheme): { padding: number; saltLength?: number } {
  if (algorithm === 'rsassa') return { padding: constants.RSA_PKCS1_PADDING }
  // The library specification lets a TPM use the largest salt, most use the digest's size: accept both.
  return { padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: constants.RSA_PSS_SALTLEN_AUTO }
}

/**
 * TPM-14: null if `signature` is one of `key` over exactly `message` under the key's scheme, else what is wrong. The
 * scheme of the signature itself has been compared before (`schemeProblem`).
 */
export function signatureProblem(
  { area, key, scheme }: Verification,
  message: Uint8Array,
  signature: TpmtSignature,
): string | null {
  const refused = 'does not verify under the attestation key'
  if (area.type === 'rsa') {
    if (signature.algorithm !== 'rsassa' && signature.algorithm !== 'rsapss') return refused
    return verify(scheme.hash, message, { key, ...paddingOf(scheme) }, signature.signature) ? null : refused
  }
  if (signature.algorithm !== 'ecdsa' || area.curve === 'SM2') return refused
  const { r, s } = signature
  const problem = scalarProblem('r', r, area.curve) ?? scalarProblem('s', s, area.curve)
  if (problem !== null) return problem
  const bytes = fixedSize(area.curve, r, s)
  return verify(scheme.hash, message, { key, dsaEncoding: 'ieee-p1363' }, bytes) ? null : refused
}
