import { encode, parse, sizedBytes, struct, type TypeOf, tagged, u16be } from '../../base/layout.ts'
import { hashField } from './algorithms.ts'

const rsa = struct({ hash: hashField, signature: sizedBytes(u16be, { max: 512 }) })
const ecc = struct({
  hash: hashField,
  r: sizedBytes(u16be, { max: 66 }),
  s: sizedBytes(u16be, { max: 66 }),
})

/** TPMT_SIGNATURE (TPM 2.0 Part 2, section 11.3.4); big endian. */
export const signatureLayout = tagged('algorithm', u16be, {
  rsassa: [0x0014, rsa],
  rsapss: [0x0016, rsa],
  ecdsa: [0x0018, ecc],
  sm2: [0x001b, ecc],
})

export type TpmtSignature = TypeOf<typeof signatureLayout>

/** Parses a TPMT_SIGNATURE to its last byte. r and s may lack leading zeros. */
export function parseTpmSignature(bytes: Uint8Array): TpmtSignature {
  return parse(signatureLayout, bytes, 'signature')
}

export function encodeTpmSignature(signature: TpmtSignature): Uint8Array {
  return encode(signatureLayout, signature, 'signature')
}
