import { MalformedError } from './errors.ts'

const backslash = 0x5c
const feed = 0x0a

/** Text of every byte: printable ASCII stands for itself, but for the backslash. */
const escapes: readonly string[] = Array.from({ length: 256 }, (_none, byte) => {
  if (byte === backslash) return '\\\\'
  if (byte === feed) return '\\n'
  return byte >= 0x20 && byte < 0x7f ? String.fromCharCode(byte) : `\\x${byte.toString(16).padStart(2, '0')}`
})

/**
 * A name from a measurement log as text that is safe to show (IMA-22): printable ASCII as it is, `\\` for a backslash,
 * `\n` for a line feed, `\xNN` (lower case) for every other byte. Whoever can name a file in the guest chooses these bytes: raw they
 * could hold terminal commands, forged lines of a log, or letters that read like others, so that UTF-8 is escaped too.
 * Different names give different texts; `parseEscapedName` is the way back.
 */
export function escapedName(bytes: Uint8Array): string {
  let text = ''
  for (const byte of bytes) text += escapes[byte]
  return text
}

const defaultShownBytes = 256

/**
 * As `escapedName`, of the first `maximum` bytes (default 256), for lists and findings. What was left out is told by
 * `…` and the number of bytes of the whole name: no escaped name contains that character.
 */
export function shownName(bytes: Uint8Array, maximum: number = defaultShownBytes): string {
  if (bytes.length <= maximum) return escapedName(bytes)
  return `${escapedName(bytes.subarray(0, maximum))}… (${bytes.length} bytes)`
}

const escapedByte = /\\(?:\\|n|x[0-9a-f]{2})|[ -[\]-~]/gy

function byteOf(piece: string): number {
  if (piece.length === 4) return Number.parseInt(piece.slice(2), 16)
  if (piece === '\\\\') return backslash
  return piece === '\\n' ? feed : piece.charCodeAt(0)
}

/**
 * The bytes that `escapedName` shows as `text`. Strict: each name has one text only, so that `\x41` for `A`, upper-case
 * digits and raw control characters throw `MalformedError`. `path` names the value.
 */
export function parseEscapedName(text: string, path = 'name'): Uint8Array {
  const bytes = Uint8Array.from(text.match(escapedByte) ?? [], byteOf)
  if (escapedName(bytes) !== text) throw new MalformedError({ path }, 'is not an escaped name in its one form')
  return bytes
}
