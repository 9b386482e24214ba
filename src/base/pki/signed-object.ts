import { hash } from 'node:crypto'
import { samePublicBytes } from '../bytes.ts'
import { MalformedError } from '../errors.ts'
import { type DerCursor, identifiers } from './der-cursor.ts'
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
  return hash('sha256', bytes, 'hex')
}

/** Reads the AlgorithmIdentifier that comes next; gives its DER. */
export function readAlgorithm(cursor: DerCursor): Uint8Array {
  const der = cursor.element(identifiers.sequence)
  const parts = cursor.inside(der)
  parts.skip(identifiers.objectIdentifier)
  if (!parts.atEnd) parts.skip()
  parts.requireEnd()
  return der
}

/** The algorithm that both identifiers name; the outer one is not signed, so it must not say anything else. */
export function commonAlgorithm(inner: Uint8Array, outer: Uint8Array, path: string): SignatureAlgorithm {
  if (!samePublicBytes(inner, outer)) {
    throw new MalformedError({ path: `${path}.signatureAlgorithm` }, 'differs inside and outside of the signed part')
  }
  return signatureAlgorithmOf(inner)
}
