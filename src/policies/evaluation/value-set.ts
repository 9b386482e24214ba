import type { ClaimValue } from '../claim.ts'

/** A value, and whether it came out of a read-only claim (POL-425). */
export interface PolicyValue {
  readonly value: ClaimValue
  readonly readOnly: boolean
}

/** Distinct values in order of arrival; several where a claim has several, none for JSON null (POL-409, POL-417). */
export type ValueSet = readonly PolicyValue[]

/**
 * What stands for a value in a Map or Set: the same for equal values alone (POL-401). The engine hashes BigInts without a
 * secret, so that evidence full of chosen Integers would make one chain of them all; Strings it hashes with one. No
 * String of a claim begins with half a surrogate pair.
 */
export function valueKey(value: ClaimValue): string | boolean {
  return typeof value === 'bigint' ? `\ud800${value}` : value
}

/** Steps for looking at each of these values once (POL-608); an Integer is written out for that, and counts twice. */
export function stepsOf(entries: readonly { readonly value: ClaimValue }[]): number {
  let steps = entries.length
  for (const { value } of entries) if (typeof value === 'bigint') steps++
  return steps
}

export function singleValue(value: ClaimValue, readOnly = false): ValueSet {
  return [{ value, readOnly }]
}

/** Of equal values the first stays; it is read-only if one of them is. */
export function distinctValues(values: readonly PolicyValue[]): ValueSet {
  if (values.length < 2) return values
  const distinct = new Map<string | boolean, PolicyValue>()
  for (const entry of values) {
    const key = valueKey(entry.value)
    const known = distinct.get(key)
    if (!known || (entry.readOnly && !known.readOnly)) distinct.set(key, entry)
  }
  return [...distinct.values()]
}
