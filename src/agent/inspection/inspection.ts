import { toHex } from '../../base/bytes.ts'
import type { MalformedError } from '../../base/errors.ts'
import { type Layout, traceFields } from '../../base/layout.ts'
import type { TracedField } from '../../base/layout-cursor.ts'

/** One line of a readable tree. */
export interface InspectedField {
  readonly depth: number
  readonly name: string
  /** Byte offset in the inspected bytes; null for what has none (members of JSON). */
  readonly offset: number | null
  readonly size: number | null
  readonly value: string
}

/** A file as a tree. Nothing in it is verified. */
export interface Inspection {
  readonly kind: string
  readonly fields: readonly InspectedField[]
  /** Where reading stopped, if the bytes are not what they seemed. */
  readonly problem?: MalformedError
}

/** How much is shown of what can be very long. */
export interface InspectionView {
  /** Everything; else a reader's share, and how much was left out. */
  readonly whole: boolean
}

const shownBytes = 48

export function shownValue(value: unknown): string {
  if (value instanceof Uint8Array) {
    const hex = toHex(value.subarray(0, shownBytes))
    return value.length > shownBytes ? `${hex}… (${value.length} bytes)` : hex
  }
  if (typeof value === 'number') return `${value} (0x${value.toString(16)})`
  if (typeof value === 'bigint') return `${value} (0x${value.toString(16)})`
  return typeof value === 'string' ? value : ''
}

const isLeaf = (value: unknown) => typeof value !== 'object' || value === null || value instanceof Uint8Array

/** Fields as a layout read them; parents carry no value of their own. */
export function fieldsOfTrace(trace: readonly TracedField[], base = 0, depth = 0): InspectedField[] {
  return trace.map(({ path, offset, size, value }) => ({
    depth: depth + path.length - 1,
    name: path.at(-1) ?? '',
    offset: base + offset,
    size: size < 0 ? null : size,
    value: isLeaf(value) ? shownValue(value) : '',
  }))
}

export const heading = (name: string, depth: number, value = '', offset: number | null = null): InspectedField => ({
  depth,
  name,
  offset,
  size: null,
  value,
})

/** Every field that `layout` reads in `bytes`, as far as it comes. */
export function inspectLayout(kind: string, layout: Layout<unknown>, bytes: Uint8Array): Inspection {
  const { fields, error } = traceFields(layout, bytes, kind)
  return { kind, fields: fieldsOfTrace(fields), ...(error ? { problem: error } : {}) }
}
