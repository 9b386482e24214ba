import { toLatin1 } from '../../base/bytes.ts'
import type { MalformedError } from '../../base/errors.ts'
import { Reader } from '../../base/layout-cursor.ts'

/** Sizes of a memory in pages of 64 KiB. */
export interface MemoryPages {
  readonly minimum: number
  /** Null: as much as there is. */
  readonly maximum: number | null
}

export interface WasmImport {
  readonly module: string
  readonly name: string
  readonly kind: ExternKind
}

export interface WasmExport {
  readonly kind: ExternKind
  /** In the index space of its kind. */
  readonly index: number
}

const externKinds = ['function', 'table', 'memory', 'global'] as const
type ExternKind = (typeof externKinds)[number]

/** A table of functions, with its section: from the number of its kind to its end, in bytes of the module. */
export interface WasmTable {
  readonly type: number
  /** In entries. */
  readonly minimum: number
  /** Null: as many as there can be. */
  readonly maximum: number | null
  readonly section: { readonly start: number; readonly end: number }
}

/** What a WebAssembly module asks for and offers, read without running any of it. */
export interface WasmInterface {
  readonly imports: readonly WasmImport[]
  readonly importedMemories: readonly MemoryPages[]
  /** Memories and tables that the module brings itself. */
  readonly ownMemories: number
  readonly ownTables: readonly WasmTable[]
  readonly exports: ReadonlyMap<string, WasmExport>
  /** Value of the global of this index if it is an `i32` that never changes; else undefined. */
  constantOf(global: number): number | undefined
}

/** Entries of one section. */
const mostEntries = 100_000
const longestName = 1024

const sections = { type: 1, import: 2, table: 4, memory: 5, global: 6, export: 7, element: 9 } as const
/** Of functions, their code, and data: the engine keeps more of each entry than the module has. */
const countedSections: ReadonlySet<number> = new Set([3, 10, 11])

/** Bytes of what goes into tables: an entry of one byte takes sixteen and more where it is compiled. */
const longestElements = 256 << 10

/** Tags of exceptions have the section behind it, and compiled policies have none. */
const lastSection = 12

const functionForm = 0x60
/** Numbers, vectors and opaque references. Objects of a collected heap would have no limit but that of the thread. */
const plainTypes: ReadonlySet<number> = new Set([0x7f, 0x7e, 0x7d, 0x7c, 0x7b, 0x70, 0x6f])

interface Limits extends MemoryPages {
  /** Shared, or addressed with 64 bits. */
  readonly isOdd: boolean
}

/** Reads the sections that describe the interface; the engine validates the whole module when it compiles it. */
class ModuleReader {
  #reader: Reader

  constructor(bytes: Uint8Array, name: string) {
    this.#reader = new Reader(bytes, name)
  }

  malformed(problem: string): MalformedError {
    return this.#reader.malformed(problem)
  }

  get offset(): number {
    return this.#reader.offset
  }

  header(): void {
    const bytes = toLatin1(this.#reader.bytes(8))
    if (bytes !== '\0asm\x01\0\0\0') throw this.#reader.malformed('is not version 1 of a WebAssembly module', 0)
  }

  byte(): number {
    return this.#reader.integer(1, true)
  }

  /** LEB128 of at most 32 bits. */
  unsigned(): number {
    const start = this.#reader.offset
    let value = 0
    for (let shift = 0; shift < 35; shift += 7) {
      const byte = this.byte()
      value += (byte & 0x7f) * 2 ** shift
      if (byte < 0x80 && value < 2 ** 32) return value
    }
    throw this.#reader.malformed('is a number beyond 32 bits', start)
  }

  /** Signed LEB128 of at most `bits` bits; what is above 32 is lost. */
  signed(bits: 32 | 64): number {
    let value = 0
    for (let shift = 0; shift < bits; shift += 7) {
      const byte = this.byte()
      if (shift < 32) value |= (byte & 0x7f) << shift
      if (byte >= 0x80) continue
      return shift + 7 < 32 && (byte & 0x40) !== 0 ? value | (-1 << (shift + 7)) : value
    }
    throw this.malformed(`is a number beyond ${bits} bits`)
  }

  count(): number {
    const count = this.unsigned()
    if (count > mostEntries) throw this.malformed(`has a section of ${count} entries`)
    return count
  }

  name(): string {
    const size = this.unsigned()
    if (size > longestName) throw this.malformed(`has a name of ${size} bytes`)
    return toLatin1(this.#reader.bytes(size))
  }

  kind(): ExternKind {
    const code = this.byte()
    const kind = externKinds[code]
    if (kind === undefined) throw this.malformed(`has an import or export of kind ${code}`)
    return kind
  }

  /** Of a table or memory. */
  limits(): Limits {
    const flags = this.byte()
    if (flags > 7) throw this.malformed(`has limits of form ${flags}`)
    const minimum = this.unsigned()
    return { minimum, maximum: (flags & 1) === 0 ? null : this.unsigned(), isOdd: flags > 1 }
  }

  plainType(): number {
    const type = this.byte()
    if (!plainTypes.has(type)) throw this.malformed(`has a value of type ${type}`)
    return type
  }

  functionType(): void {
    const form = this.byte()
    if (form !== functionForm) throw this.malformed(`has a type of form ${form}`)
    for (const _ of ['parameters', 'results']) for (let left = this.count(); left > 0; left--) this.plainType()
  }

  table(): Omit<WasmTable, 'section'> {
    const type = this.plainType()
    const { isOdd, ...limits } = this.limits()
    if (isOdd) throw this.malformed('has a table that is shared or of 64 bits')
    return { type, ...limits }
  }

  memory(): MemoryPages {
    const { isOdd, ...pages } = this.limits()
    if (isOdd) throw this.malformed('has a memory that is shared or of 64 bits')
    return pages
  }

  skip(size: number): void {
    this.#reader.bytes(size)
  }

  /** Of a section that is read no further. */
  countAndSkip(size: number): void {
    const start = this.#reader.offset
    this.count()
    this.skip(start + size - this.#reader.offset)
  }

  /** Gives the next section to `read`, which must take all of it; false at the end of the module. */
  section(read: (id: number, size: number, start: number) => void): boolean {
    if (this.#reader.remaining === 0) return false
    const start = this.#reader.offset
    const id = this.byte()
    if (id > lastSection) throw this.malformed(`has a section of kind ${id}`)
    const size = this.unsigned()
    this.#reader.require(size)
    const end = this.#reader.offset + size
    read(id, size, start)
    if (this.#reader.offset !== end) throw this.malformed('has a section that does not end where it says')
    return true
  }
}

interface Collected {
  readonly imports: WasmImport[]
  readonly importedMemories: MemoryPages[]
  readonly exports: Map<string, WasmExport>
  readonly globals: (number | undefined)[]
  readonly ownTables: WasmTable[]
  ownMemories: number
}

function readImport(reader: ModuleReader, { imports, importedMemories, globals }: Collected): void {
  const [module, name, kind] = [reader.name(), reader.name(), reader.kind()]
  imports.push({ module, name, kind })
  if (kind === 'function') reader.unsigned()
  if (kind === 'memory') importedMemories.push(reader.memory())
  if (kind === 'table') reader.table()
  if (kind === 'global') {
    reader.plainType()
    reader.byte()
    globals.push(undefined)
  }
}

const integerType = 0x7f
const instructions = { end: 0x0b, i32: 0x41, i64: 0x42, f32: 0x43, f64: 0x44, global: 0x23, null: 0xd0, function: 0xd2 }

/** Undefined where the start value is not an `i32` that stands there. */
function readStartValue(reader: ModuleReader): number | undefined {
  const instruction = reader.byte()
  let value: number | undefined
  if (instruction === instructions.i32) value = reader.signed(32)
  else if (instruction === instructions.i64) reader.signed(64)
  else if (instruction === instructions.f32) reader.skip(4)
  else if (instruction === instructions.f64) reader.skip(8)
  else if (instruction === instructions.null) reader.skip(1)
  else if (instruction === instructions.global || instruction === instructions.function) reader.unsigned()
  else throw reader.malformed(`has a global that starts with instruction ${instruction}`)
  if (reader.byte() !== instructions.end) throw reader.malformed('has a global whose start value is computed')
  return value
}

function readGlobal(reader: ModuleReader, { globals }: Collected): void {
  const [type, isMutable] = [reader.plainType(), reader.byte() !== 0]
  const value = readStartValue(reader)
  globals.push(type === integerType && !isMutable ? value : undefined)
}

function readExport(reader: ModuleReader, { exports }: Collected): void {
  const name = reader.name()
  if (exports.has(name)) throw reader.malformed('exports one name twice')
  exports.set(name, { kind: reader.kind(), index: reader.unsigned() })
}

function readMemory(reader: ModuleReader, collected: Collected): void {
  reader.memory()
  collected.ownMemories++
}

function readTables(reader: ModuleReader, { ownTables }: Collected, section: WasmTable['section']): void {
  for (let left = reader.count(); left > 0; left--) ownTables.push({ ...reader.table(), section })
}

function skipElements(reader: ModuleReader, size: number): void {
  if (size > longestElements) throw reader.malformed(`has ${size} bytes of entries for tables`)
  reader.countAndSkip(size)
}

function readSection(reader: ModuleReader, collected: Collected, id: number, size: number, start: number): void {
  const each = (read: (reader: ModuleReader, collected: Collected) => void) => {
    for (let left = reader.count(); left > 0; left--) read(reader, collected)
  }
  if (id === sections.type) each((from) => from.functionType())
  else if (id === sections.import) each(readImport)
  else if (id === sections.table) readTables(reader, collected, { start, end: reader.offset + size })
  else if (id === sections.global) each(readGlobal)
  else if (id === sections.export) each(readExport)
  else if (id === sections.memory) each(readMemory)
  else if (id === sections.element) skipElements(reader, size)
  else if (countedSections.has(id)) reader.countAndSkip(size)
  else reader.skip(size)
}

/**
 * Reads imports, exports, constants and sizes of memories of a WebAssembly module; bounded, and nothing of it runs.
 * Whether the rest is valid is for the engine that compiles it. Throws `MalformedError`.
 */
export function readWasmInterface(bytes: Uint8Array, name: string): WasmInterface {
  const reader = new ModuleReader(bytes, name)
  const collected: Collected = {
    imports: [],
    importedMemories: [],
    exports: new Map(),
    globals: [],
    ownTables: [],
    ownMemories: 0,
  }
  reader.header()
  while (reader.section((id, size, start) => readSection(reader, collected, id, size, start)));
  const { globals, ...found } = collected
  return { ...found, constantOf: (global) => globals[global] }
}
