import { parseText } from '../bytes.ts'
import { MalformedError } from '../errors.ts'

export interface PemLimits {
  /** Characters of the whole text. */
  readonly characters?: number
  readonly blocks?: number
}

/** A block that was decoded: few are compared, and comparing takes less than hashing such texts. */
export interface DecodedBlock {
  readonly lines: string
  readonly bytes: Uint8Array
}

const longestLine = 76

/**
 * All PEM blocks of `text`, decoded, in order (RFC 7468, TDX-110). Strict: the text begins with a BEGIN line;
 * between and after blocks stand only CR, LF and NUL; every label is `label`; base64 lines have at most 76
 * characters; the base64 is canonical. Bytes in gaps could carry a second meaning for another parser.
 * Throws `MalformedError`, also for no block at all and above the limits (64 Ki characters, 16 blocks).
 *
 * `known` has blocks that were decoded before by their lines, and takes those that are new: equal blocks of several
 * texts are then one array.
 */
export function parsePemBlocks(
  text: string,
  label: string,
  limits: PemLimits = {},
  known: DecodedBlock[] = [],
): Uint8Array[] {
  requireSize(text, label, limits)
  const { blocks: maximum = 16 } = limits
  const blocks: Uint8Array[] = []
  let at = 0
  do {
    const { start, stop, end } = findBlock(text, at, label)
    blocks.push(decodeEvenLines(text, start, stop, known) ?? decodeBody(joinLines(text, start, stop, label), label))
    if (blocks.length > maximum) throw malformed(label, `has more than ${maximum} blocks`)
    at = skipFilling(text, end)
  } while (at < text.length)
  return blocks
}

/** Where the lines of the block begin and end that begins at `at`, and where its END marker ends. */
interface BlockSpan {
  readonly start: number
  readonly stop: number
  readonly end: number
}

/** The block that begins at `at`, which must be the begin of a line. */
function findBlock(text: string, at: number, label: string): BlockSpan {
  const [begin, end] = [`-----BEGIN ${label}-----`, `\n-----END ${label}-----`]
  const beginsLine = at === 0 || text.charCodeAt(at - 1) === feed
  if (!beginsLine || !text.startsWith(begin, at)) throw malformed(label, 'has text outside of its blocks')
  const start = endOfLine(text, at + begin.length)
  if (start === null) throw malformed(label, 'has a BEGIN line that is not one')
  const stop = text.indexOf(end, start - 1)
  if (stop < 0) throw malformed(label, 'is not complete')
  return { start, stop: stop + 1, end: stop + end.length }
}

const [nul, feed, carriageReturn] = [0, 0x0a, 0x0d]

/** Behind the LF or CRLF that stands at `at`; null where something else does. */
function endOfLine(text: string, at: number): number | null {
  const line = text.charCodeAt(at) === carriageReturn ? at + 1 : at
  return text.charCodeAt(line) === feed ? line + 1 : null
}

/** C programs leave CR, LF and NUL behind END lines and between blocks. */
function skipFilling(text: string, start: number): number {
  for (let at = start; at < text.length; at++) {
    const code = text.charCodeAt(at)
    if (code !== carriageReturn && code !== nul && code !== feed) return at
  }
  return text.length
}

/** What nearly all programs write: lines of 64 characters, ended by LF, the last one of 1 to 64. */
const evenLine = 64

/** Decodes such lines if their base64 is strict; null leaves everything else to the rules for any lines. */
function decodeEvenLines(text: string, start: number, stop: number, known: DecodedBlock[]): Uint8Array | null {
  const lines = text.slice(start, stop)
  const before = known.find((block) => block.lines === lines)
  if (before !== undefined) return before.bytes
  const bytes = Buffer.from(lines, 'base64')
  if (!areEvenLines(lines, bytes.toString('base64'))) return null
  const block = new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.length)
  known.push({ lines, bytes: block })
  return block
}

/** Whether `lines` are this base64, which is not empty, and nothing else: what the decoder left out is missing from it. */
function areEvenLines(lines: string, base64: string): boolean {
  if (base64 === '' || lines.length !== base64.length + Math.ceil(base64.length / evenLine)) return false
  for (let end = evenLine; end < lines.length; end += evenLine + 1) if (lines.charCodeAt(end) !== feed) return false
  return lines.endsWith('\n') && lines.replaceAll('\n', '') === base64
}

/**
 * What stands from `start` to `stop`, whole lines, without their ends. A text may consist of a million lines: none of
 * them is cut out.
 */
function joinLines(text: string, start: number, stop: number, label: string): string {
  const characters = Buffer.alloc(stop - start)
  let [size, length] = [0, 0]
  for (let at = start; at < stop; at++) {
    const code = text.charCodeAt(at)
    if (code === feed) {
      if (length === 0 || length > longestLine) throw lineProblem(label)
      length = 0
    } else if (code > 0x7f) throw malformed(label, 'has a character that is not ASCII')
    else if (code !== carriageReturn || text.charCodeAt(at + 1) !== feed) {
      characters[size++] = code
      length++
    }
  }
  return characters.toString('latin1', 0, size)
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

function lineProblem(label: string): MalformedError {
  return malformed(label, `has a line that is empty or longer than ${longestLine} characters`)
}

function decodeBody(base64: string, label: string): Uint8Array {
  if (base64 === '') throw malformed(label, 'is empty')
  return parseText(base64, 'base64', label.toLowerCase())
}

function malformed(label: string, problem: string): MalformedError {
  return new MalformedError({ path: label.toLowerCase() }, problem)
}
