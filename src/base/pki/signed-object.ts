import { hash } from 'node:crypto'
import { equalBytes } from '../bytes.ts'
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

/** An AlgorithmIdentifier as it stands. */
export interface AlgorithmIdentifier {
  readonly der: Uint8Array
  /** In dots. */
  readonly identifier: string
}

/** Reads the AlgorithmIdentifier that comes next. */
export function readAlgorithm(cursor: DerCursor): AlgorithmIdentifier {
  const der = cursor.element(identifiers.sequence)
  const parts = cursor.inside(der)
  const identifier = parts.objectIdentifier()
  if (!parts.atEnd) parts.element()
  parts.requireEnd()
  return { der, identifier }
}

/** The algorithm that both identifiers name; the outer one is not signed, so it must not say anything else. */
export function commonAlgorithm(
  inner: AlgorithmIdentifier,
  outer: AlgorithmIdentifier,
  path: string,
): SignatureAlgorithm {
  if (!equalBytes(inner.der, outer.der)) {
    throw new MalformedError({ path: `${path}.signatureAlgorithm` }, 'differs inside and outside of the signed part')
  }
  return signatureAlgorithmOf(inner.der, inner.identifier)
}
