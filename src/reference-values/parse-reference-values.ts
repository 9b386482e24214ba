import { concatBytes } from '../base/bytes.ts'
import { MalformedError } from '../base/errors.ts'
import { parseUtf8 } from '../base/json.ts'
import { hexDigest } from './digest-set.ts'
import { requirePatterns } from './path-matcher.ts'
import { ReferenceCollector } from './reference-collector.ts'
import { parseReferenceHeader, parseReferenceLine, plainFileForm } from './reference-line.ts'
import type { ReferenceHeader, ReferenceValues } from './reference-values.ts'

export interface ReferenceDocument {
  readonly header: ReferenceHeader
  readonly values: ReferenceValues
  /** Lines that named again what an earlier one had named. */
  readonly repeated: number
}

const feed = 0x0a
/** 4096 digests of SHA-512 fit. */
const maximumLine = 1 << 20

/** What one document may hold. */
export interface ReferenceLimits {
  readonly files: number
  /** Items beside files: each of them costs time at every appraisal. */
  readonly others: number
}

const defaultLimits: ReferenceLimits = { files: 8_000_000, others: 100_000 }

/** Reads a document piece by piece, and keeps no more of it than what it says and the beginning of one line. */
export class ReferenceParser {
  #document: string
  #limits: ReferenceLimits
  #collector = new ReferenceCollector()
  #header: ReferenceHeader | null = null
  #line = 0
  #rest: Uint8Array[] = []
  #restLength = 0

  /** `document` names it in errors. */
  constructor(document: string, limits: ReferenceLimits = defaultLimits) {
    this.#document = document
    this.#limits = limits
  }

  /** Takes the next bytes, cut anywhere. Throws `MalformedError` with line and column. */
  add(chunk: Uint8Array): void {
    let start = 0
    for (let end = chunk.indexOf(feed); end >= 0; end = chunk.indexOf(feed, start)) {
      this.#endLine(chunk.subarray(start, end))
      start = end + 1
    }
    if (start === chunk.length) return
    // A copy: whoever gives chunks may use their memory again.
    this.#rest.push(chunk.slice(start))
    this.#restLength += chunk.length - start
    if (this.#restLength > maximumLine) this.#endLine(new Uint8Array())
  }

  end(): ReferenceDocument {
    if (this.#restLength > 0) this.#endLine(new Uint8Array())
    if (this.#header === null) throw new MalformedError({ path: this.#document }, 'is empty, without its first line')
    const values = this.#collector.build()
    requirePatterns(values, this.#document)
    return { header: this.#header, values, repeated: this.#collector.repeated }
  }

  #malformed(problem: string): MalformedError {
    return new MalformedError({ path: this.#document }, `${problem} (line ${this.#line}, column 1)`)
  }

  #endLine(last: Uint8Array): void {
    const bytes = this.#restLength === 0 ? last : concatBytes(...this.#rest, last)
    this.#rest = []
    this.#restLength = 0
    this.#line++
    if (bytes.length > maximumLine) throw this.#malformed(`is longer than ${maximumLine} bytes`)
    if (this.#header === null || !this.#isPlainFile(bytes)) this.#strictLine(bytes)
    const { fileCount, otherCount } = this.#collector
    const { files, others } = this.#limits
    if (fileCount > files) throw this.#malformed(`is one file too many: a document has ${files}`)
    if (otherCount > others) throw this.#malformed(`is one item too many: a document has ${others} beside files`)
  }

  #isPlainFile(bytes: Uint8Array): boolean {
    const line = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length)
    const found = plainFileForm.exec(line.toString('latin1'))
    if (found === null) return false
    const [, path = '', hex = ''] = found
    // Cut from the bytes and not from the line, which would be kept in memory for it.
    const start = '{"file":"'.length
    this.#collector.addFile(line.toString('latin1', start, start + path.length), hexDigest('sha256', hex))
    return true
  }

  #strictLine(bytes: Uint8Array): void {
    const text = parseUtf8(bytes, `${this.#document} line ${this.#line}`)
    const line = { document: this.#document, number: this.#line, text }
    if (this.#header === null) this.#header = parseReferenceHeader(line)
    else if (text.trim() !== '') this.#collector.add(parseReferenceLine(line))
  }
}

/**
 * Parses a document of reference values, version 1: lines of JSON in UTF-8, the first one
 * `{"format":"attestd.reference-values","version":1,"name":"…","description":"…"}`, then one line for each item, in any
 * order; empty lines are allowed.
 *
 *     {"file":"/usr/bin/ls","sha256":["hex", …]}             digests that the file at this path may have
 *     {"files":"/lib/modules/*\/kernel/**","sha256":[…]}     or files at all matching paths
 *     {"exclude":"/tmp/**","reason":"…"}                     paths that are not judged
 *     {"key":"SHA-256 of the DER","keyring":".ima","der":"base64"}
 *     {"buffer":"kexec-cmdline","sha256":[…]}                what a measured buffer may hold
 *     {"pcrs":{"sha256":{"0":["hex"], …}},"image":"…"}       PCRs of one image
 *
 * A glob may be `{"prefix":"name"}` instead (`PathPattern`). Names are escaped names, and stand as IMA logs them. Besides
 * or instead of `sha256`: `sha1`, `sha224`, `sha384`, `sha512`, `sm3`. Throws `MalformedError` with line and column.
 */
export function parseReferenceValues(document: Uint8Array | Iterable<Uint8Array>, name: string): ReferenceDocument {
  const parser = new ReferenceParser(name)
  for (const chunk of document instanceof Uint8Array ? [document] : document) parser.add(chunk)
  return parser.end()
}

/** As `parseReferenceValues`, of a document that arrives piece by piece. */
export async function readReferenceValues(chunks: AsyncIterable<Uint8Array>, name: string): Promise<ReferenceDocument> {
  const parser = new ReferenceParser(name)
  for await (const chunk of chunks) parser.add(chunk)
  return parser.end()
}
