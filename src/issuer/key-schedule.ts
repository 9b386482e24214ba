import { type KeyRecord, type KeyState, maxKeys, type Tombstone } from './key-state.ts'
import type { SigningAlgorithm, SigningKey } from './signing-key.ts'

/** When keys change their state. All in seconds. */
export interface KeySchedule {
  /** Age of an active key at which another takes over. */
  readonly rotationS: number
  /** How long a key is in the key set before its first signature: longer than any cached copy lives (TOK-51). */
  readonly publicationS: number
  /** How long a key stays in the key set after its last signature: until no token of it is accepted anywhere. */
  readonly retirementS: number
}

export type KeyStep =
  | { readonly kind: 'publish'; readonly alg: SigningAlgorithm }
  | { readonly kind: 'activate' | 'retire' | 'remove'; readonly kid: string }

/** Seconds that a key has certainly been in its state. */
export type ElapsedS = (record: KeyRecord) => number

function stepForAlgorithm(
  records: readonly KeyRecord[],
  alg: SigningAlgorithm,
  schedule: KeySchedule,
  elapsedS: ElapsedS,
): KeyStep | null {
  const published = records.find(({ key, state }) => key.alg === alg && state === 'published')
  if (published) {
    return elapsedS(published) >= schedule.publicationS ? { kind: 'activate', kid: published.key.kid } : null
  }
  const active = records.find(({ key, state }) => key.alg === alg && state === 'active')
  const due = !active || elapsedS(active) >= schedule.rotationS - schedule.publicationS
  return due && records.length < maxKeys ? { kind: 'publish', alg } : null
}

function stepForLeftover(record: KeyRecord, schedule: KeySchedule, elapsedS: ElapsedS): KeyStep | null {
  const { kid } = record.key
  if (record.state === 'active') return { kind: 'retire', kid }
  if (record.state === 'published') return { kind: 'remove', kid }
  return elapsedS(record) >= schedule.retirementS ? { kind: 'remove', kid } : null
}

/**
 * The next change that is due, or null: `published → active → retiring → removed` for each configured algorithm; keys of
 * an algorithm that is no longer configured retire. Removals come first, they make room.
 */
export function nextKeyStep(
  { keys }: KeyState,
  algorithms: readonly SigningAlgorithm[],
  schedule: KeySchedule,
  elapsedS: ElapsedS,
): KeyStep | null {
  for (const record of keys) {
    if (record.state !== 'retiring' && algorithms.includes(record.key.alg)) continue
    const step = stepForLeftover(record, schedule, elapsedS)
    if (step) return step
  }
  for (const alg of algorithms) {
    const step = stepForAlgorithm(keys, alg, schedule, elapsedS)
    if (step) return step
  }
  return null
}

/** Adds a key in the given state. */
export function addKey(state: KeyState, key: SigningKey, as: 'published' | 'active', now: number): KeyState {
  return { ...state, keys: [...state.keys, { key, state: as, since: now }] }
}

/** Lets the key sign from now on; the one that did so before retires in the same change. */
export function activateKey(state: KeyState, kid: string, now: number): KeyState {
  const alg = state.keys.find(({ key }) => key.kid === kid)?.key.alg
  const change = (record: KeyRecord): KeyRecord => {
    if (record.key.kid === kid) return { ...record, state: 'active', since: now }
    const replaced = record.key.alg === alg && record.state === 'active'
    return replaced ? { ...record, state: 'retiring', since: now } : record
  }
  return { ...state, keys: state.keys.map(change) }
}

export function retireKey(state: KeyState, kid: string, now: number): KeyState {
  const change = (record: KeyRecord): KeyRecord =>
    record.key.kid === kid ? { ...record, state: 'retiring', since: now } : record
  return { ...state, keys: state.keys.map(change) }
}

/** Takes a key out of the key set and writes its tombstone (TOK-53). */
export function removeKey(state: KeyState, kid: string, reason: Tombstone['reason'], now: number): KeyState {
  return {
    ...state,
    keys: state.keys.filter(({ key }) => key.kid !== kid),
    tombstones: [...state.tombstones, { kid, reason, at: now }],
  }
}

/**
 * Dates that lie in the future come from a clock that was wrong then: they are moved to now, so that a key does not wait
 * decades for its turn. Waiting begins anew, which is the safe side.
 */
export function correctFutureDates(state: KeyState, now: number): KeyState {
  if (state.keys.every(({ since }) => since <= now)) return state
  return { ...state, keys: state.keys.map((record) => ({ ...record, since: Math.min(record.since, now) })) }
}
