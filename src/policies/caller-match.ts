import type { CallerIdentity } from './caller-identity.ts'

/**
 * A conjunction of selectors; each is a list of which one entry must hold (API-60). `null`: the rule does not ask.
 * At least one selector is there.
 */
export interface CallerMatch {
  readonly uid: readonly number[] | null
  /** Primary or supplementary group. */
  readonly gid: readonly number[] | null
  /** `name.service`, `name@instance.service`, or `name@.service` for all instances (API-52). */
  readonly unit: readonly string[] | null
  readonly slice: readonly string[] | null
  /** 64 lower-case hexadecimal digits. */
  readonly container: readonly string[] | null
  readonly listener: readonly string[] | null
}

/** The overflow ids of the kernel: "this id has no name here", not the user `nobody` (API-49). */
export interface UnmappedIds {
  readonly uid: number
  readonly gid: number
}

function coversUnit(selector: string, unit: string): boolean {
  if (selector === unit) return true
  const template = selector.indexOf('@.')
  if (template < 0) return false
  const [start, end] = [selector.slice(0, template + 1), selector.slice(template + 1)]
  return unit.length > start.length + end.length && unit.startsWith(start) && unit.endsWith(end)
}

function has<T>(selector: readonly T[] | null, value: T | null): boolean {
  return selector === null || (value !== null && selector.includes(value))
}

function hasGroup(selector: readonly number[] | null, caller: CallerIdentity, unmapped: UnmappedIds): boolean {
  if (selector === null) return true
  const groups = caller.gid === null ? caller.groups : [caller.gid, ...caller.groups]
  return groups.some((gid) => gid !== unmapped.gid && selector.includes(gid))
}

/** Root can enter any control group, so a unit says nothing about uid 0 unless the rule names uid 0 (API-53). */
function hasUnit(match: CallerMatch, { unit, uid }: CallerIdentity): boolean {
  if (match.unit === null) return true
  if (unit === null || uid === null) return false
  if (uid === 0 && !match.uid?.includes(0)) return false
  return match.unit.some((selector) => coversUnit(selector, unit))
}

const selectorsOf = (match: CallerMatch) =>
  (Object.keys(match) as (keyof CallerMatch)[]).filter((selector) => match[selector] !== null)

/**
 * Selectors that can be believed for this caller; a rule that asks for any other does not match (API-48, API-54, API-55).
 * Over TCP only the uid tells anybody from anybody: `listener` may narrow a rule there and never is enough.
 */
function believable(caller: CallerIdentity, match: CallerMatch): readonly (keyof CallerMatch)[] {
  if (caller.identity === 'socket') return ['listener']
  if (caller.identity === 'tcp-uid') return match.uid === null ? [] : ['uid', 'listener']
  if (caller.pid === 0) return ['uid', 'gid']
  return ['uid', 'gid', 'unit', 'slice', 'container', 'listener']
}

/** Whether the rule is about this caller. */
export function matchesCaller(match: CallerMatch, caller: CallerIdentity, unmapped: UnmappedIds): boolean {
  if (caller.uid === unmapped.uid) return false
  const known = believable(caller, match)
  const asked = selectorsOf(match)
  if (asked.length === 0 || !asked.every((selector) => known.includes(selector))) return false
  return (
    has(match.listener, caller.listener) &&
    has(match.uid, caller.uid) &&
    hasGroup(match.gid, caller, unmapped) &&
    hasUnit(match, caller) &&
    has(match.slice, caller.slice) &&
    has(match.container, caller.container)
  )
}

/** True for callers about whom the kernel could say nothing that a rule could rest on (API-48, API-49). */
export function isUnidentified(caller: CallerIdentity, unmapped: UnmappedIds): boolean {
  if (caller.uid === unmapped.uid) return true
  if (caller.identity === 'socket') return false
  return caller.uid === null || (caller.pid === 0 && caller.identity !== 'tcp-uid')
}
