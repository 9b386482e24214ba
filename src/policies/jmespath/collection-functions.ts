import type { CallArguments } from './call-arguments.ts'
import { isMembers, type Json, memberNames, noMembers } from './exact-json.ts'
import { compareKeys, isNumber, paySort, type SortKey } from './json-order.ts'

function codePoints(text: string): number {
  let count = text.length
  for (let at = 0; at < text.length; at++) {
    const unit = text.charCodeAt(at)
    if (unit >= 0xdc00 && unit <= 0xdfff) count--
  }
  return count
}

function length(given: CallArguments): number {
  const value = given.value(0)
  if (Array.isArray(value)) return value.length
  if (isMembers(value)) return given.run.sizes.of(value)
  const text = typeof value === 'string' ? value : undefined
  if (text === undefined) throw given.refused(0, 'an array, an object or a string')
  given.run.meter.takeCharacters(text.length)
  return codePoints(text)
}

function reverse(given: CallArguments): Json {
  const value = given.value(0)
  if (typeof value !== 'string') return [...given.array(0)].reverse()
  given.run.meter.take(value.length)
  return Array.from(value).reverse().join('')
}

function values(given: CallArguments): Json[] {
  const object = given.members(0)
  return memberNames(object, given.run.meter).map((name) => object[name] ?? null)
}

function merge(given: CallArguments): Json {
  const merged = noMembers()
  for (const at of given.values().keys()) {
    const object = given.members(at)
    for (const name of memberNames(object, given.run.meter)) {
      merged[name] = object[name] ?? null
    }
  }
  return merged
}

function typeOf(value: Json): string {
  if (value === null) return 'null'
  if (isNumber(value)) return 'number'
  return Array.isArray(value) ? 'array' : typeof value
}

/** The items of argument 0 with the keys that the reference of argument 1 gives. */
function keyed(given: CallArguments): { readonly items: readonly Json[]; readonly keys: readonly SortKey[] } {
  const items = given.array(0)
  const key = given.reference(1)
  return {
    items,
    keys: given.sortable(
      items.map((item) => key(item, given.run)),
      1,
    ),
  }
}

function sorted(keys: readonly SortKey[], given: CallArguments): number[] {
  paySort(keys, given.run.meter)
  const at = (index: number) => keys[index] ?? 0
  return Array.from(keys.keys()).sort((left, right) => compareKeys(at(left), at(right)))
}

/** Index of the first of the greatest (`sign` 1) or smallest (-1) keys. */
function extreme(keys: readonly SortKey[], sign: 1 | -1, given: CallArguments): number {
  paySort(keys, given.run.meter)
  let best = 0
  keys.forEach((key, at) => {
    if (compareKeys(key, keys[best] ?? key) * sign > 0) best = at
  })
  return best
}

function extremeOf(sign: 1 | -1) {
  return (given: CallArguments): Json => {
    const keys = given.keys(0)
    return keys[extreme(keys, sign, given)] ?? null
  }
}

function extremeBy(sign: 1 | -1) {
  return (given: CallArguments): Json => {
    const { items, keys } = keyed(given)
    return items[extreme(keys, sign, given)] ?? null
  }
}

export const collectionFunctions = {
  keys: (given: CallArguments) => memberNames(given.members(0), given.run.meter),
  length,
  map: (given: CallArguments) => {
    const apply = given.reference(0)
    return given.array(1).map((item) => apply(item, given.run))
  },
  max: extremeOf(1),
  max_by: extremeBy(1),
  merge,
  min: extremeOf(-1),
  min_by: extremeBy(-1),
  not_null: (given: CallArguments) => given.values().find((value) => value !== null) ?? null,
  reverse,
  sort: (given: CallArguments) => {
    const keys = given.keys(0)
    return sorted(keys, given).map((at) => keys[at] ?? null)
  },
  sort_by: (given: CallArguments) => {
    const { items, keys } = keyed(given)
    return sorted(keys, given).map((at) => items[at] ?? null)
  },
  to_array: (given: CallArguments) => {
    const value = given.value(0)
    return Array.isArray(value) ? value : [value]
  },
  type: (given: CallArguments) => typeOf(given.value(0)),
  values,
}
