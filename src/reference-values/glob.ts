import { MalformedError } from '../base/errors.ts'

/** Which bytes; 256 flags. */
export type ByteSet = Uint8Array

/** A piece of a glob: one byte of a set, any number of them, or one of several rows of pieces. */
export type GlobNode =
  | { readonly one: ByteSet }
  | { readonly many: ByteSet }
  | { readonly either: readonly (readonly GlobNode[])[] }

const slash = 0x2f
const maximumText = 4096
const maximumDepth = 8

const byteSet = (holds: (byte: number) => boolean): ByteSet =>
  Uint8Array.from({ length: 256 }, (_none, byte) => (holds(byte) ? 1 : 0))

/** Sets that most pieces are of, made once: nothing writes to a set. */
const singles: readonly GlobNode[] = Array.from({ length: 256 }, (_none, byte) => ({
  one: byteSet((each) => each === byte),
}))
const single = (byte: number): GlobNode => singles[byte] ?? { one: byteSet((each) => each === byte) }
const anyByte = byteSet(() => true)
const notSlash = byteSet((byte) => byte !== slash)

/** Any bytes at all. */
export const anything: GlobNode = { many: anyByte }

/** Exactly these bytes. */
export const literalNodes = (bytes: Iterable<number>): GlobNode[] => Array.from(bytes, single)

interface ClassItem {
  readonly byte: number
  /** Written with a backslash: it is never the end of the class or a sign. */
  readonly plain: boolean
}

class GlobReader {
  #text: string
  #path: string
  #at = 0

  constructor(text: string, path: string) {
    this.#text = text
    this.#path = path
  }

  whole(): GlobNode[] {
    if (this.#text === '') throw this.#malformed('is empty')
    if (this.#text.length > maximumText) throw this.#malformed(`is longer than ${maximumText} characters`)
    const foreign = this.#text.search(/[^ -~]/)
    if (foreign >= 0) throw this.#malformed('has a character beyond printable ASCII; write its bytes as \\xNN', foreign)
    return this.#row(0, true)
  }

  #malformed(problem: string, at = this.#at): MalformedError {
    return new MalformedError({ path: this.#path }, `${problem} (character ${at + 1} of the pattern)`)
  }

  /** Pieces up to the end of the text, or of the alternative if `depth` is not 0. `fresh`: a component begins here. */
  #row(depth: number, fresh: boolean): GlobNode[] {
    const nodes: GlobNode[] = []
    let begins = fresh
    while (this.#at < this.#text.length) {
      const letter = this.#text[this.#at]
      if (depth > 0 && (letter === ',' || letter === '}')) break
      nodes.push(this.#node(depth, begins))
      begins = this.#text[this.#at - 1] === '/'
    }
    return nodes
  }

  #node(depth: number, begins: boolean): GlobNode {
    const letter = this.#text[this.#at]
    if (letter === '*') return this.#star(begins)
    if (letter === '[') return this.#class()
    if (letter === '{') return this.#alternatives(depth + 1, begins)
    if (letter === ']' || letter === '}') throw this.#malformed(`'${letter}' closes nothing; write \\${letter}`)
    if (letter === '?') {
      this.#at++
      return { one: notSlash }
    }
    return single(this.#byte().byte)
  }

  #star(begins: boolean): GlobNode {
    const stars = /^\*+/.exec(this.#text.slice(this.#at, this.#at + 3))?.[0].length ?? 0
    if (stars > 2) throw this.#malformed("more than two '*' behind each other")
    this.#at += stars
    if (stars === 1) return { many: notSlash }
    if (!begins || this.#text[this.#at] !== '/') return anything
    this.#at++
    return { either: [[anything, ...literalNodes([slash])], []] }
  }

  #alternatives(depth: number, begins: boolean): GlobNode {
    if (depth > maximumDepth) throw this.#malformed(`braces are nested deeper than ${maximumDepth}`)
    const start = this.#at++
    const either: (readonly GlobNode[])[] = []
    for (;;) {
      either.push(this.#row(depth, begins))
      const end = this.#text[this.#at++]
      if (end === '}') return { either }
      if (end !== ',') throw this.#malformed("'{' without its '}'", start)
    }
  }

  #byte(): ClassItem {
    const rest = this.#text.slice(this.#at, this.#at + 4)
    const [written, hex, sign] = /^\\(?:x([0-9a-f]{2})|([^x]))/.exec(rest) ?? []
    if (written === undefined) {
      if (rest.startsWith('\\')) throw this.#malformed('a backslash stands before *?[]{},!^-, n, xNN or a backslash')
      this.#at++
      return { byte: rest.charCodeAt(0), plain: false }
    }
    if (sign !== undefined && !'\\*?[]{},!^-n'.includes(sign)) throw this.#malformed(`'\\${sign}' has no meaning`)
    this.#at += written.length
    if (hex !== undefined) return { byte: Number.parseInt(hex, 16), plain: true }
    return { byte: sign === 'n' ? 0x0a : (sign ?? '').charCodeAt(0), plain: true }
  }

  #class(): GlobNode {
    const start = this.#at++
    const negated = '!^'.includes(this.#text[this.#at] ?? '\\')
    if (negated) this.#at++
    const members = new Set<number>()
    while (this.#text[this.#at] !== ']') {
      if (this.#at >= this.#text.length) throw this.#malformed("'[' without its ']'", start)
      this.#range(members)
    }
    this.#at++
    if (members.size === 0) throw this.#malformed('an empty class', start)
    return { one: byteSet((byte) => byte !== slash && members.has(byte) !== negated) }
  }

  #range(members: Set<number>): void {
    const at = this.#at
    const first = this.#byte()
    let last = first
    if (this.#text[this.#at] === '-' && this.#text[this.#at + 1] !== ']') {
      this.#at++
      last = this.#byte()
    }
    if (!first.plain && first.byte === 0x5b) throw this.#malformed("'[' in a class is written \\[", at)
    if (first.byte > last.byte) throw this.#malformed('a range that runs backwards', at)
    if (first.byte === slash || last.byte === slash) throw this.#malformed("'/' in a class never matches", at)
    for (let byte = first.byte; byte <= last.byte; byte++) members.add(byte)
  }
}

/** Parses a glob as `PathPattern` describes it. Throws `MalformedError`, which names `path` and the character. */
export function parseGlob(text: string, path = 'pattern'): GlobNode[] {
  return new GlobReader(text, path).whole()
}
