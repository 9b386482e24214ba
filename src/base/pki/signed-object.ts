import { createHash } from 'node:crypto'
import type { Time } from '@peculiar/asn1-x509'
import { equalBytes } from '../bytes.ts'
import { MalformedError } from '../errors.ts'
import { encodeSchema } from './decode-exactly.ts'
import { type SignatureAlgorithm, signatureAlgorithmOf } from './signature.ts'

export interface SizeLimit {
  /** Bytes. */
  readonly maximum?: number
}

export function requireSize(der: Uint8Array, path: string, maximum: number): void {
  if (der.length > maximum) throw new MalformedError({ path }, `has ${der.length} bytes; the limit is ${maximum}`)
}

/** 64 lower-case hexadecimal digits. */
export function sha256Hex(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex')
}

/** Milliseconds since the epoch. `decodeExactly` has made sure that the date exists in the calendar. */
export function millisecondsOf(time: Time): number {
  return time.getTime().getTime()
}

/** The algorithm that both identifiers name; the outer one is not signed, so it must not say anything else. */
export function commonAlgorithm(
  inner: object & { readonly algorithm: string },
  outer: object,
  path: string,
): SignatureAlgorithm {
  const innerDer = encodeSchema(inner)
  if (!equalBytes(innerDer, encodeSchema(outer))) {
    throw new MalformedError({ path: `${path}.signatureAlgorithm` }, 'differs inside and outside of the signed part')
  }
  return signatureAlgorithmOf(innerDer, inner.algorithm)
}
