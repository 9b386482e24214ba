import { MalformedError } from './errors.ts'
import { Reader, type TracedField, Writer } from './layout-cursor.ts'

/**
 * A binary format as a value: the same declaration reads and writes, and its type is inferred from it.
 * Reading checks every bound; an error names the field path, what was needed, what was there, and the offset.
 */
export interface Layout<T> {
  /** Bytes that every value takes, where reading can fail for nothing but a lack of them. */
  readonly fixedSize?: number
  read(reader: Reader): T
  write(writer: Writer, value: T): void
}

export type TypeOf<L> = L extends Layout<infer T> ? T : never

/** Reads all of `bytes`; a byte left over is an error. `name` begins every field path. */
export function parse<T>(layout: Layout<T>, bytes: Uint8Array, name: string): T {
  const reader = new Reader(bytes, name)
  const value = layout.read(reader)
  reader.requireEnd()
  return value
}

/** Reads from the start of `bytes`; gives the value and how many bytes it took. */
export function parsePrefix<T>(layout: Layout<T>, bytes: Uint8Array, name: string): { value: T; size: number } {
  const reader = new Reader(bytes, name)
  const value = layout.read(reader)
  return { value, size: reader.offset }
}

/**
 * Reads like `parse`, and tells every field that it saw with offset and size, also when reading fails half-way:
 * then `error` is the `MalformedError`.
 */
export function traceFields(
  layout: Layout<unknown>,
  bytes: Uint8Array,
  name: string,
): { fields: TracedField[]; error?: MalformedError } {
  const fields: TracedField[] = []
  const reader = new Reader(bytes, name, fields)
  try {
    layout.read(reader)
    reader.requireEnd()
    return { fields }
  } catch (error) {
    if (error instanceof MalformedError) return { fields, error }
    throw error
  }
}

/** Writes `value`; a value that does not fit its field is a bug and throws `RangeError` with the field path. */
export function encode<T>(layout: Layout<T>, value: T, name = 'value'): Uint8Array {
  const writer = new Writer(name)
  layout.write(writer, value)
  return writer.finish()
}

function integer(size: 1 | 2 | 4, littleEndian: boolean): Layout<number> {
  return {
    fixedSize: size,
    read: (reader) => reader.integer(size, littleEndian),
    write: (writer, value) => writer.integer(value, size, littleEndian),
  }
}

export const u8 = integer(1, false)
export const u16be = integer(2, false)
export const u32be = integer(4, false)
export const u16le = integer(2, true)
export const u32le = integer(4, true)

export const u64be: Layout<bigint> = {
  read: (reader) => reader.bigInteger(false),
  write: (writer, value) => writer.bigInteger(value, false),
}

export const u64le: Layout<bigint> = {
  read: (reader) => reader.bigInteger(true),
  write: (writer, value) => writer.bigInteger(value, true),
}

/** Exactly `size` bytes. The result is a view of the input, not a copy. */
export function bytesOf(size: number): Layout<Uint8Array> {
  return {
    fixedSize: size,
    read: (reader) => reader.bytes(size),
    write: (writer, value) => {
      if (value.length !== size) throw writer.misfit(`takes ${size} bytes, got ${value.length}`)
      writer.bytes(value)
    },
  }
}

export interface Bounds {
  readonly min?: number
  readonly max?: number
}

function requireWithin(reader: Reader, length: number, { min = 0, max = Number.MAX_SAFE_INTEGER }: Bounds): void {
  if (length < min) throw reader.malformed(`length ${length} is below the minimum ${min}`)
  if (length > max) throw reader.malformed(`length ${length} is above the limit ${max}`)
}

/** A length in the layout `size`, then that many bytes: TPM2B and the like. `max` bounds hostile lengths. */
export function sizedBytes(size: Layout<number>, bounds: Bounds = {}): Layout<Uint8Array> {
  return {
    read: (reader) => {
      const length = size.read(reader)
      requireWithin(reader, length, bounds)
      return reader.bytes(length)
    },
    write: (writer, value) => {
      if (value.length > (bounds.max ?? value.length)) throw writer.misfit(`takes at most ${bounds.max} bytes`)
      size.write(writer, value.length)
      writer.bytes(value)
    },
  }
}

/** A length in the layout `size`, then `inner`, which must take exactly that many bytes. */
export function sized<T>(size: Layout<number>, inner: Layout<T>, bounds: Bounds = {}): Layout<T> {
  return {
    read: (reader) => {
      const length = size.read(reader)
      requireWithin(reader, length, bounds)
      return reader.within(length, () => inner.read(reader))
    },
    write: (writer, value) => {
      const body = new Writer(writer.path())
      inner.write(body, value)
      const bytes = body.finish()
      size.write(writer, bytes.length)
      writer.bytes(bytes)
    },
  }
}

/** A count in the layout `count`, then that many `item`s. `max` bounds the count before anything is allocated. */
export function listOf<T>(
  count: Layout<number>,
  item: Layout<T>,
  bounds: Required<Pick<Bounds, 'max'>> & Bounds,
): Layout<T[]> {
  return {
    read: (reader) => {
      const length = count.read(reader)
      requireWithin(reader, length, bounds)
      const items: T[] = []
      for (let index = 0; index < length; index++) items.push(reader.field(String(index), () => item.read(reader)))
      return items
    },
    write: (writer, items) => {
      if (items.length > bounds.max) throw writer.misfit(`takes at most ${bounds.max} items`)
      count.write(writer, items.length)
      items.forEach((value, index) => {
        writer.field(String(index), () => item.write(writer, value))
      })
    },
  }
}

// biome-ignore lint/suspicious/noExplicitAny: a struct accepts fields of every type; each one is inferred exactly
type AnyFields = Readonly<Record<string, Layout<any>>>
type ValueOf<F extends AnyFields> = { [K in keyof F]: TypeOf<F[K]> }

/** Named fields behind each other, in the order of declaration. */
export function struct<F extends AnyFields>(fields: F): Layout<ValueOf<F>> {
  const entries = Object.entries(fields).map(([name, layout]) => ({ name, layout: layout as Layout<unknown> }))
  const size = entries.reduce((sum, { layout }) => sum + (layout.fixedSize ?? Number.NaN), 0)
  return {
    ...(Number.isNaN(size) ? {} : { fixedSize: size }),
    read: (reader) => {
      const value: Record<string, unknown> = {}
      // Where no field can fail, none of them has to be named.
      if (reader.hasUntraced(size)) for (const { name, layout } of entries) value[name] = layout.read(reader)
      else for (const { name, layout } of entries) value[name] = reader.readField(name, layout)
      return value as ValueOf<F>
    },
    write: (writer, value) => {
      for (const { name, layout } of entries) writer.field(name, () => layout.write(writer, value[name]))
    },
  }
}

type TaggedValue<Tag extends string, C> = {
  [K in keyof C]: C[K] extends readonly [number, Layout<infer T>] ? { [P in Tag]: K } & T : never
}[keyof C]

/**
 * A number that selects what follows. The value is the selected struct with the case's name under `member`:
 * `tagged('type', u16be, { rsa: [0x0001, …], ecc: [0x0023, …] })` gives `{ type: 'rsa', … } | { type: 'ecc', … }`.
 */
export function tagged<Tag extends string, C extends Readonly<Record<string, readonly [number, AnyFields[string]]>>>(
  member: Tag,
  tag: Layout<number>,
  cases: C,
): Layout<TaggedValue<Tag, C>> {
  const byNumber = new Map(Object.entries(cases).map(([name, [number, layout]]) => [number, { name, layout }]))
  return {
    read: (reader) => {
      const offset = reader.offset
      const number = reader.field(member, () => tag.read(reader))
      const found = byNumber.get(number)
      if (!found) throw reader.malformed(`${member} 0x${number.toString(16).padStart(4, '0')} is not known`, offset)
      return { [member]: found.name, ...found.layout.read(reader) } as TaggedValue<Tag, C>
    },
    write: (writer, value) => {
      const name = (value as Readonly<Record<Tag, string>>)[member]
      const found = cases[name]
      if (!found) throw writer.misfit(`${member} ${name} is not known`)
      writer.field(member, () => tag.write(writer, found[0]))
      found[1].write(writer, value)
    },
  }
}

/** A layout whose value is converted both ways. `decode` refuses by calling `refuse(problem)`. */
export function mapped<A, B>(
  inner: Layout<A>,
  decode: (value: A, refuse: (problem: string) => MalformedError) => B,
  unmap: (value: B) => A,
): Layout<B> {
  return {
    read: (reader) => {
      const offset = reader.offset
      return decode(inner.read(reader), (problem) => reader.malformed(problem, offset))
    },
    write: (writer, value) => inner.write(writer, unmap(value)),
  }
}

/** A number that must have this value; reading anything else is an error that shows both in hexadecimal. */
export function constant(inner: Layout<number>, expected: number): Layout<number> {
  return mapped(
    inner,
    (value, refuse) => {
      if (value !== expected) throw refuse(`is 0x${value.toString(16)}, must be 0x${expected.toString(16)}`)
      return value
    },
    () => expected,
  )
}

/** Everything up to the end of the enclosing container. */
export const rest: Layout<Uint8Array> = {
  read: (reader) => reader.bytes(reader.remaining),
  write: (writer, value) => writer.bytes(value),
}

/** No bytes at all. */
export const nothing: Layout<Record<never, never>> = { read: () => ({}), write: () => {} }
