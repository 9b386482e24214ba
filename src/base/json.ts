import { MalformedError } from './errors.ts'

export type JsonValue = null | boolean | number | string | JsonValue[] | JsonObject
/** Made without a prototype: `__proto__` and `constructor` are ordinary members (TDX-267). */
export interface JsonObject {
  [member: string]: JsonValue
}

/** As `JsonValue`, with numbers of another type than a double. */
export type JsonTree<N> = null | boolean | N | string | JsonTree<N>[] | { [member: string]: JsonTree<N> }

/** A number as it stands in the text. */
export interface JsonNumberText {
  readonly text: string
  /** Without fraction and exponent. */
  readonly isInteger: boolean
}

/** What a number means to the caller; `refuse` makes the error that names the place. */
export type JsonNumberReader<N> = (number: JsonNumberText, refuse: (problem: string) => MalformedError) => N

export interface JsonLimits {
  /** Nested arrays and objects; default 32. */
  readonly maxDepth?: number
  /** Members of one object or items of one array; default 100 000. */
  readonly maxItems?: number
  /** Values of the whole document; default 200 000. An empty object takes two characters, and a hundred times the memory. */
  readonly maxValues?: number
  /** Refuses `1.0`, `1e3` and integers that a double cannot hold (API-27). */
  readonly integersOnly?: boolean
  /** Refuses `__proto__`, `constructor` and `prototype` as member names (TOK-71). */
  readonly refusePrototypeNames?: boolean
  /** Reads a number beyond the range of a double as an infinity, for readers that judge every number themselves. */
  readonly allowOverflow?: boolean
  /**
   * Reads a number that is not written as an integer, or that a double cannot hold, as NaN: for readers of integers who
   * ignore members that they do not know. `255.00000000000000001` would else be rounded into the range of an SVN.
   */
  readonly fractionsAsNaN?: boolean
  /** Refuses `\ud800` and other halves of a surrogate pair: such a string has no UTF-8 (POL-501). */
  readonly refuseLoneSurrogates?: boolean
  /** Called before each value is read, for readers who count work over several documents; it may throw. */
  readonly onValue?: (isContainer: boolean) => void
  /** Number of the line with which the document begins, for errors in one line of a longer text; default 1. */
  readonly firstLine?: number
}

const defaultLimits: Required<JsonLimits> = {
  maxDepth: 32,
  maxItems: 100_000,
  maxValues: 200_000,
  integersOnly: false,
  refusePrototypeNames: false,
  allowOverflow: false,
  fractionsAsNaN: false,
  refuseLoneSurrogates: false,
  onValue: () => {},
  firstLine: 1,
}
const prototypeNames = new Set(['__proto__', 'constructor', 'prototype'])
const plainCharacters = /[^"\\\u0000-\u001f]*/y
const numberForm = /-?(?:0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?/y
/** By character code: a text of 4 MiB may be nothing but escapes. */
const oneOf = (letters: string) =>
  Array.from({ length: 0x80 }, (_, code) => letters.includes(String.fromCharCode(code)))
const [simpleEscapes, hexDigits] = [oneOf('"\\/bfnrt'), oneOf('0123456789abcdefABCDEF')]
const literals = Object.entries({ true: true, false: false, null: null })

/** A name for a message: a hostile one may be as long as the document. */
const shown = (member: string): string => JSON.stringify(member.slice(0, 64))

/** Doubles, as far as the limits allow them. */
function doubleReader(limits: JsonLimits): JsonNumberReader<number> {
  const { allowOverflow, fractionsAsNaN, integersOnly } = limits
  return (number, refuse) => {
    const value = Number(number.text)
    const isInteger = number.isInteger && Number.isSafeInteger(value)
    if (!Number.isFinite(value) && !allowOverflow && !fractionsAsNaN) throw refuse('number out of range')
    if (integersOnly && !isInteger) {
      throw refuse(`${number.text.slice(0, 32)} is not an integer without fraction and exponent`)
    }
    return fractionsAsNaN && !isInteger ? Number.NaN : value
  }
}

class JsonReader<N> {
  #text: string
  #name: string
  #limits: Required<JsonLimits>
  #numberReader: JsonNumberReader<N>
  #at = 0
  #values = 0

  constructor(text: string, name: string, limits: JsonLimits, numberReader: JsonNumberReader<N>) {
    this.#text = text
    this.#name = name
    this.#limits = { ...defaultLimits, ...limits }
    this.#numberReader = numberReader
  }

  document(): JsonTree<N> {
    if (this.#limits.refuseLoneSurrogates) this.#requirePairs(this.#text)
    const value = this.#value(0)
    this.#skipSpace()
    if (this.#at < this.#text.length) throw this.#malformed('text behind the end of the document')
    return value
  }

  #malformed(problem: string, at = this.#at): MalformedError {
    let [line, start] = [this.#limits.firstLine, 0]
    for (let end = this.#text.indexOf('\n'); end >= 0 && end < at; end = this.#text.indexOf('\n', start)) {
      ;[line, start] = [line + 1, end + 1]
    }
    return new MalformedError({ path: this.#name }, `${problem} (line ${line}, column ${at - start + 1})`)
  }

  #skipSpace(): void {
    for (;;) {
      const code = this.#text.charCodeAt(this.#at)
      if (code !== 0x20 && code !== 0x0a && code !== 0x0d && code !== 0x09) return
      this.#at++
    }
  }

  #value(depth: number): JsonTree<N> {
    this.#skipSpace()
    if (++this.#values > this.#limits.maxValues) throw this.#malformed(`more than ${this.#limits.maxValues} values`)
    const first = this.#text[this.#at]
    this.#limits.onValue(first === '{' || first === '[')
    if (first === '{') return this.#object(depth + 1)
    if (first === '[') return this.#array(depth + 1)
    if (first === '"') return this.#string()
    for (const [literal, value] of literals) {
      if (this.#text.startsWith(literal, this.#at)) {
        this.#at += literal.length
        return value
      }
    }
    return this.#number()
  }

  #enter(depth: number): void {
    if (depth > this.#limits.maxDepth) throw this.#malformed(`nested deeper than ${this.#limits.maxDepth} levels`)
    this.#at++
    this.#skipSpace()
  }

  /** True at `close`; else requires and skips a comma, unless it is the first item. */
  #ends(close: string, count: number): boolean {
    this.#skipSpace()
    if (this.#text[this.#at] === close) {
      this.#at++
      return true
    }
    if (count >= this.#limits.maxItems) throw this.#malformed(`more than ${this.#limits.maxItems} items`)
    if (count === 0) return false
    if (this.#text[this.#at] !== ',') throw this.#malformed(`expected ',' or '${close}'`)
    this.#at++
    return false
  }

  #object(depth: number): JsonTree<N> {
    this.#enter(depth)
    const object: { [member: string]: JsonTree<N> } = Object.create(null)
    for (let count = 0; !this.#ends('}', count); count++) {
      this.#skipSpace()
      const at = this.#at
      if (this.#text[at] !== '"') throw this.#malformed('expected a member name in double quotes')
      const member = this.#string()
      if (Object.hasOwn(object, member)) throw this.#malformed(`duplicate member ${shown(member)}`, at)
      if (this.#limits.refusePrototypeNames && prototypeNames.has(member)) {
        throw this.#malformed(`member name ${shown(member)} is refused`, at)
      }
      this.#skipSpace()
      if (this.#text[this.#at] !== ':') throw this.#malformed("expected ':'")
      this.#at++
      object[member] = this.#value(depth)
    }
    return object
  }

  #array(depth: number): JsonTree<N>[] {
    this.#enter(depth)
    const items: JsonTree<N>[] = []
    while (!this.#ends(']', items.length)) items.push(this.#value(depth))
    return items
  }

  #string(): string {
    const start = this.#at
    plainCharacters.lastIndex = start + 1
    const plain = plainCharacters.exec(this.#text)?.[0] ?? ''
    this.#at = start + 1 + plain.length
    if (this.#text[this.#at] !== '"') this.#skipToQuote()
    this.#at++
    return this.#at === start + plain.length + 2 ? plain : this.#unescaped(start)
  }

  #unescaped(start: number): string {
    const text: string = JSON.parse(this.#text.slice(start, this.#at))
    if (this.#limits.refuseLoneSurrogates) this.#requirePairs(text)
    return text
  }

  #requirePairs(text: string): void {
    if (!text.isWellFormed()) throw this.#malformed('half of a surrogate pair')
  }

  /** To the end of a string with escapes; what it passes is a string of JSON, so that `JSON.parse` can decode it. */
  #skipToQuote(): void {
    const text = this.#text
    for (let at = this.#at; ; ) {
      const code = text.charCodeAt(at)
      if (code === 0x5c) at = this.#behindEscape(at)
      else if (code === 0x22 || !(code >= 0x20)) {
        this.#at = at
        if (code === 0x22) return
        throw this.#malformed(Number.isNaN(code) ? 'string without an end' : 'control character in a string')
      } else at++
    }
  }

  #behindEscape(at: number): number {
    const letter = this.#text.charCodeAt(at + 1)
    if (simpleEscapes[letter] === true) return at + 2
    let digits = 0
    while (letter === 0x75 && digits < 4 && hexDigits[this.#text.charCodeAt(at + 2 + digits)] === true) digits++
    if (digits === 4) return at + 6
    throw this.#malformed('escape that JSON does not have', at)
  }

  #number(): N {
    numberForm.lastIndex = this.#at
    const match = numberForm.exec(this.#text)
    if (!match) throw this.#malformed(this.#at < this.#text.length ? 'expected a value' : 'ends too early')
    const number = { text: match[0], isInteger: match[1] === undefined && match[2] === undefined }
    const value = this.#numberReader(number, (problem) => this.#malformed(problem))
    this.#at += match[0].length
    return value
  }
}

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

/** UTF-8 to text; invalid sequences and a byte order mark are errors. */
export function parseUtf8(bytes: Uint8Array, name: string): string {
  let text: string
  try {
    text = utf8.decode(bytes)
  } catch {
    throw new MalformedError({ path: name }, 'is not valid UTF-8')
  }
  if (text.startsWith('\ufeff')) throw new MalformedError({ path: name, offset: 0 }, 'begins with a byte order mark')
  return text
}

/**
 * Parses one JSON document (RFC 8259) strictly: no duplicate member, no byte order mark, bounded depth. Errors
 * carry line and column, for two parsers that disagree on a document see two different documents.
 */
export function parseJson(document: string | Uint8Array, name: string, limits: JsonLimits = {}): JsonValue {
  const text = typeof document === 'string' ? document : parseUtf8(document, name)
  return new JsonReader(text, name, limits, doubleReader(limits)).document()
}

/** As `parseJson`, with numbers as the caller reads them; its limits of numbers are without meaning here. */
export function parseJsonWith<N>(
  text: string,
  name: string,
  limits: JsonLimits,
  numberReader: JsonNumberReader<N>,
): JsonTree<N> {
  return new JsonReader(text, name, limits, numberReader).document()
}

export function isJsonObject(value: JsonValue | undefined): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** As `parseJson`; anything but an object is an error. */
export function parseJsonObject(document: string | Uint8Array, name: string, limits: JsonLimits = {}): JsonObject {
  const value = parseJson(document, name, limits)
  if (!isJsonObject(value)) throw new MalformedError({ path: name }, 'is not a JSON object')
  return value
}

/** RFC 8785 (JCS): members sorted by UTF-16 code units, no white space, ECMAScript number form. */
export function canonicalJson(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonicalJson).join(',')}]`
  if (typeof value === 'object' && value !== null) {
    const members = Object.entries(value).filter(([, member]) => member !== undefined)
    members.sort(([left], [right]) => (left < right ? -1 : 1))
    return `{${members.map(([name, member]) => `${JSON.stringify(name)}:${canonicalJson(member)}`).join(',')}}`
  }
  if (typeof value === 'number' && !Number.isFinite(value)) throw new TypeError('canonical JSON has no such number')
  const text = JSON.stringify(value)
  if (text === undefined) throw new TypeError(`canonical JSON cannot hold a ${typeof value}`)
  return text
}
