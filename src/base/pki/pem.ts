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
  const blocks: Uint8Array[] = []
  let body: string[] | undefined
  for (const line of linesOf(text)) {
    if (body === undefined) {
      if (line === `-----BEGIN ${label}-----`) body = []
      else if (blocks.length === 0 || !/^[\r\0]*$/.test(line)) throw malformed(label, 'has text outside of its blocks')
    } else if (line === `-----END ${label}-----`) {
      blocks.push(decodeBody(body, label))
      body = undefined
    } else body.push(line)
  }
  if (body !== undefined || blocks.length === 0) throw malformed(label, 'is not complete')
  if (blocks.length > (limits.blocks ?? 16)) throw malformed(label, `has ${blocks.length} blocks`)
  return blocks
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

/** Lines without their LF or CRLF. NULs count as line ends behind END lines only, where C programs leave them. */
function linesOf(text: string): string[] {
  return text.split('\n').flatMap((line) => {
    const bare = line.replace(/\r$/, '')
    const tail = /^(-----END [A-Z0-9 ]+-----)([\r\0]+)$/.exec(bare)
    return tail ? [tail[1] ?? '', tail[2] ?? ''] : [bare]
  })
}

function decodeBody(lines: readonly string[], label: string): Uint8Array {
  if (lines.length === 0) throw malformed(label, 'is empty')
  if (lines.some((line) => line.length === 0 || line.length > longestLine)) {
    throw malformed(label, `has a line that is empty or longer than ${longestLine} characters`)
  }
  return parseText(lines.join(''), 'base64', label.toLowerCase())
}

function malformed(label: string, problem: string): MalformedError {
  return new MalformedError({ path: label.toLowerCase() }, problem)
}
