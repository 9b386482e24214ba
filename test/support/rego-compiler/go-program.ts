/** Where a section of a WebAssembly module is: `start` is that of its number, `content` that of what it holds. */
interface Section {
  readonly id: number
  readonly start: number
  readonly content: number
  readonly end: number
}

const sectionIds = { import: 2, code: 10, data: 11 } as const
const instruction = { end: 0x0b, constant: 0x41 } as const

class Cursor {
  readonly bytes: Uint8Array
  at: number

  constructor(bytes: Uint8Array, at: number) {
    this.bytes = bytes
    this.at = at
  }

  byte(): number {
    return this.bytes[this.at++] ?? 0
  }

  unsigned(): number {
    let value = 0
    for (let shift = 0; ; shift += 7) {
      const byte = this.byte()
      value += (byte & 0x7f) * 2 ** shift
      if (byte < 0x80) return value
    }
  }

  /** Addresses are written as signed numbers of 32 bits, and are below 2^31. */
  constant(): number {
    if (this.byte() !== instruction.constant) throw new TypeError('a data segment has no constant address')
    const value = this.unsigned()
    if (this.byte() !== instruction.end) throw new TypeError('the address of a data segment is computed')
    return value
  }
}

function sectionsOf(bytes: Uint8Array): readonly Section[] {
  const found: Section[] = []
  const cursor = new Cursor(bytes, 8)
  while (cursor.at < bytes.length) {
    const start = cursor.at
    const id = cursor.byte()
    const size = cursor.unsigned()
    found.push({ id, start, content: cursor.at, end: cursor.at + size })
    cursor.at += size
  }
  return found
}

function section(bytes: Uint8Array, id: number): Section {
  const found = sectionsOf(bytes).find((one) => one.id === id)
  if (!found) throw new TypeError(`the program has no section ${id}`)
  return found
}

/** The memory that the program starts with. */
function initialMemory(bytes: Uint8Array): DataView {
  const cursor = new Cursor(bytes, section(bytes, sectionIds.data).content)
  const segments = Array.from({ length: cursor.unsigned() }, () => {
    if (cursor.byte() !== 0) throw new TypeError('a data segment is of another kind')
    const address = cursor.constant()
    const size = cursor.unsigned()
    const content = bytes.subarray(cursor.at, cursor.at + size)
    cursor.at += size
    return { address, content }
  })
  const memory = new Uint8Array(Math.max(...segments.map(({ address, content }) => address + content.length)) + 8)
  for (const { address, content } of segments) memory.set(content, address)
  return new DataView(memory.buffer)
}

/** Of the table by which the runtime of Go 1.18 and 1.19 names functions in traces; eight bytes long, with the size of a word. */
const tableMagic = 0xfffffff0
const header = { functions: 8, start: 24, names: 32, entries: 64, size: 72 } as const
/** The number that Go gives to the first function of a WebAssembly program. */
const firstFunction = 0x1000

function tableAddress(memory: DataView): number {
  for (let at = 0; at + header.size < memory.byteLength; at += 8) {
    const isTable = memory.getUint32(at, true) === tableMagic && memory.getUint8(at + 7) === 8
    if (isTable && memory.getBigUint64(at + header.start, true) === 0n) return at
  }
  throw new TypeError('the program is not of Go 1.18 or 1.19')
}

function textAt(memory: DataView, at: number): string {
  const bytes = new Uint8Array(memory.buffer, at)
  return new TextDecoder().decode(bytes.subarray(0, bytes.indexOf(0)))
}

/** Numbers of functions by name, in the order of the code section. */
function functionsOf(bytes: Uint8Array): ReadonlyMap<string, number> {
  const memory = initialMemory(bytes)
  const table = tableAddress(memory)
  const word = (at: number) => Number(memory.getBigUint64(table + at, true))
  const entries = table + word(header.entries)
  const found = Array.from({ length: word(header.functions) }, (_, at): [string, number] => {
    const entry = entries + 8 * at
    const described = entries + memory.getUint32(entry + 4, true)
    const name = table + word(header.names) + memory.getUint32(described + 4, true)
    return [textAt(memory, name), (memory.getUint32(entry, true) >>> 16) - firstFunction]
  })
  return new Map(found)
}

function importsOf(bytes: Uint8Array): number {
  return new Cursor(bytes, section(bytes, sectionIds.import).content).unsigned()
}

function unsigned(value: number): readonly number[] {
  const rest = Math.floor(value / 128)
  return rest === 0 ? [value % 128] : [(value % 128) | 0x80, ...unsigned(rest)]
}

/** Its first import, of one number, tells it to the host: `go.debug`. */
const tell = (what: number) => [instruction.constant, what, 0x10, 0]

/** What is told where a function begins, but not where Go goes on in it after a pause: it is then called with another number. */
const atEntry = (what: number) => [0x20, 0, 0x45, 0x04, 0x40, ...tell(what), instruction.end]

/** In place of a call: the address to return to is taken off the stack of Go, as the called function does, and all goes on. */
const inPlaceOfCall = (what: number) => [0x1a, 0x23, 0, instruction.constant, 8, 0x6a, 0x24, 0, ...tell(what), 0x41, 0]

export interface Breakpoints {
  /** What the host is told, by the name of the function that begins; numbers below 64. */
  readonly entries: Readonly<Record<string, number>>
  /** The one call of `called` in `within` becomes a question to the host, who writes the results. */
  readonly replaced: { readonly within: string; readonly called: string; readonly told: number }
}

function replaceCall(code: Uint8Array, called: number, told: number): Uint8Array {
  const call = Buffer.from([0x10, ...unsigned(called)])
  const at = Buffer.from(code).indexOf(call)
  if (at < 0 || Buffer.from(code).indexOf(call, at + 1) >= 0)
    throw new TypeError('the call to replace is not the only one')
  return Buffer.concat([code.subarray(0, at), Buffer.from(inPlaceOfCall(told)), code.subarray(at + call.length)])
}

/** Behind the declarations of locals. */
function startOfCode(body: Uint8Array): number {
  const cursor = new Cursor(body, 0)
  for (let left = cursor.unsigned(); left > 0; left--) {
    cursor.unsigned()
    cursor.byte()
  }
  return cursor.at
}

/**
 * A Go program for `js/wasm` that stops at breakpoints: the host is told by `go.debug`, may look at the stack and at the
 * memory and change both, and returns. `bytes` is the module as Go 1.18 or 1.19 linked it. Throws `TypeError` for another one.
 */
export function withBreakpoints(bytes: Uint8Array, { entries, replaced }: Breakpoints): Uint8Array {
  const functions = functionsOf(bytes)
  const numberOf = (name: string) => {
    const number = functions.get(name)
    if (number === undefined) throw new TypeError(`the program has no function ${name}`)
    return number
  }
  const told = new Map(Object.entries(entries).map(([name, what]) => [numberOf(name), what]))
  const called = numberOf(replaced.called) + importsOf(bytes)
  const changed = (at: number, body: Uint8Array): Uint8Array => {
    const what = told.get(at)
    const start = startOfCode(body)
    const code = body.subarray(start)
    const rest = at === numberOf(replaced.within) ? replaceCall(code, called, replaced.told) : code
    return Buffer.concat([body.subarray(0, start), Buffer.from(what === undefined ? [] : atEntry(what)), rest])
  }
  return withBodies(bytes, new Set([...told.keys(), numberOf(replaced.within)]), changed)
}

function withBodies(
  bytes: Uint8Array,
  which: ReadonlySet<number>,
  changed: (at: number, body: Uint8Array) => Uint8Array,
): Uint8Array {
  const code = section(bytes, sectionIds.code)
  const cursor = new Cursor(bytes, code.content)
  const count = cursor.unsigned()
  const pieces: Uint8Array[] = []
  let kept = code.content
  for (let at = 0; at < count; at++) {
    const start = cursor.at
    const size = cursor.unsigned()
    const body = bytes.subarray(cursor.at, cursor.at + size)
    cursor.at += size
    if (!which.has(at)) continue
    const other = changed(at, body)
    pieces.push(bytes.subarray(kept, start), Buffer.from(unsigned(other.length)), other)
    kept = cursor.at
  }
  const content = Buffer.concat([...pieces, bytes.subarray(kept, code.end)])
  const head = Buffer.from([sectionIds.code, ...unsigned(content.length)])
  return Buffer.concat([bytes.subarray(0, code.start), head, content, bytes.subarray(code.end)])
}
