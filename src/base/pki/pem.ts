import { parseText } from '../bytes.ts'
import { MalformedError } from '../errors.ts'

export interface PemLimits {
  /** Characters of the whole text. */
  readonly characters?: number
  readonly blocks?: number
}

const longestLine = 76

/**
 * All PEM blocks of `text`, decoded, in order (RFC 7468, TDX-110). Strict: the text begins with a BEGIN line;
 * between and after blocks stand only CR, LF and NUL; every label is `label`; base64 lines have at most 76
 * characters; the base64 is canonical. Bytes in gaps could carry a second meaning for another parser.
 * Throws `MalformedError`, also for no block at all and above the limits (64 Ki characters, 16 blocks).
 */
export function parsePemBlocks(text: string, label: string, limits: PemLimits = {}): Uint8Array[] {
  requireSize(text, label, limits)
  const [begin, end] = [`-----BEGIN ${label}-----`, `-----END ${label}-----`]
  const blocks: Uint8Array[] = []
  let body: string | undefined
  for (let at = 0; at <= text.length; ) {
    const line = lineAt(text, at)
    at += line.size
    if (body === undefined) {
      if (line.text === begin) body = ''
      else if (blocks.length === 0 || !isFilling(line.text, 0)) throw malformed(label, 'has text outside of its blocks')
    } else if (line.text.startsWith(end) && isFilling(line.text, end.length)) {
      blocks.push(decodeBody(body, label))
      body = undefined
    } else body += requireBodyLine(line.text, label)
  }
  if (body !== undefined || blocks.length === 0) throw malformed(label, 'is not complete')
  if (blocks.length > (limits.blocks ?? 16)) throw malformed(label, `has ${blocks.length} blocks`)
  return blocks
}

/** The line that begins at `at`, without its LF or CRLF; `size` is its length with them, at least 1. */
function lineAt(text: string, at: number): { readonly text: string; readonly size: number } {
  const feed = text.indexOf('\n', at)
  const stop = feed < 0 ? text.length : feed
  const hasReturn = stop > at && text.charCodeAt(stop - 1) === 0x0d
  return { text: text.slice(at, hasReturn ? stop - 1 : stop), size: stop + 1 - at }
}

/** Only CR and NUL from `start` on: C programs leave them behind END lines and between blocks. */
function isFilling(line: string, start: number): boolean {
  for (let at = start; at < line.length; at++) {
    const code = line.charCodeAt(at)
    if (code !== 0x0d && code !== 0) return false
  }
  return true
}

/** The one PEM block of `text`, by the rules of `parsePemBlocks`. */
export function parsePem(text: string, label: string, limits: PemLimits = {}): Uint8Array {
  const [block, ...others] = parsePemBlocks(text, label, limits)
  if (!block || others.length > 0) throw malformed(label, `has ${others.length + 1} blocks; exactly one is expected`)
  return block
}

/**
 * The one PEM block in a text dump that an operator configured: vendors publish certificates below the output
 * of a printing tool. Text before and behind the block is ignored; a second block of any label is an error.
 * Never for text from a peer.
 */
export function findPem(text: string, label: string, limits: PemLimits = {}): Uint8Array {
  requireSize(text, label, limits)
  const begin = text.indexOf('-----BEGIN ')
  if (begin < 0) throw malformed(label, 'has no PEM block')
  const endLine = `-----END ${label}-----`
  const end = text.indexOf(endLine, begin)
  if (end < 0) throw malformed(label, 'is not complete')
  if (text.indexOf('-----BEGIN ', begin + 1) >= 0) throw malformed(label, 'has more than one PEM block')
  if (begin > 0 && text[begin - 1] !== '\n') throw malformed(label, 'does not begin on a line of its own')
  return parsePem(text.slice(begin, end + endLine.length), label, limits)
}

/** One block: lines of 64 characters, each ended by LF. */
export function encodePem(bytes: Uint8Array, label: string): string {
  const base64 = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('base64')
  const lines = base64.match(/.{1,64}/g) ?? []
  return [`-----BEGIN ${label}-----`, ...lines, `-----END ${label}-----`, ''].join('\n')
}

function requireSize(text: string, label: string, { characters = 65_536 }: PemLimits): void {
  if (text.length > characters) throw malformed(label, `has ${text.length} characters; the limit is ${characters}`)
}

function requireBodyLine(line: string, label: string): string {
  if (line.length > 0 && line.length <= longestLine) return line
  throw malformed(label, `has a line that is empty or longer than ${longestLine} characters`)
}

function decodeBody(base64: string, label: string): Uint8Array {
  if (base64 === '') throw malformed(label, 'is empty')
  return parseText(base64, 'base64', label.toLowerCase())
}

function malformed(label: string, problem: string): MalformedError {
  return new MalformedError({ path: label.toLowerCase() }, problem)
}
