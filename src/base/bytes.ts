import { timingSafeEqual } from 'node:crypto'
import { MalformedError } from './errors.ts'

/** Compares in time that depends on the lengths only; different lengths are unequal. */
export function equalBytes(left: Uint8Array, right: Uint8Array): boolean {
  return left.length === right.length && timingSafeEqual(left, right)
}

/**
 * Compares what is public, such as names and keys of certificates: the time tells where they differ. Most of it is so
 * short that a call of the constant-time comparison costs several times as much.
 */
export function samePublicBytes(left: Uint8Array, right: Uint8Array): boolean {
  if (left.length !== right.length) return false
  for (let at = 0; at < left.length; at++) if (left[at] !== right[at]) return false
  return true
}

/** True when every byte is `value`; true for no bytes. */
export function isFilledWith(bytes: Uint8Array, value: number): boolean {
  return bytes.every((byte) => byte === value)
}

export function toHex(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('hex')
}

/** One character a byte: binary data as text that compares quickly. Not for text of people. */
export function toLatin1(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('latin1')
}

/** Whether `text` is `toLatin1(bytes)`, without making that text. Not for secrets: the time tells where they differ. */
export function equalsLatin1(bytes: Uint8Array, text: string): boolean {
  if (bytes.length !== text.length) return false
  for (let at = 0; at < bytes.length; at++) if (bytes[at] !== text.charCodeAt(at)) return false
  return true
}

export function toBase64(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('base64')
}

export function toBase64url(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('base64url')
}

const forms = {
  hex: 'lower-case hexadecimal digits in pairs',
  base64: 'standard base64 with padding and without white space',
  base64url: 'base64url without padding and without white space',
} as const

/**
 * Decodes strictly: the right alphabet, the right padding, and encoding the result gives the same text again. `Buffer.from`
 * alone stops silently at a bad digit, skips characters and mixes alphabets (TDX-261); what it encodes has one form only,
 * so that equality leaves no other text. `path` names the member; a function is asked when an error needs it.
 */
export function parseText(text: string, form: keyof typeof forms, path: string | (() => string)): Uint8Array {
  const bytes = Buffer.from(text, form)
  if (bytes.toString(form) !== text) {
    throw new MalformedError({ path: typeof path === 'string' ? path : path() }, `is not ${forms[form]}`)
  }
  return new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.length)
}

/** One new array with all parts behind each other. */
export function concatBytes(...parts: readonly Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0))
  let offset = 0
  for (const part of parts) {
    whole.set(part, offset)
    offset += part.length
  }
  return whole
}
