import type { Failure } from './failure.ts'
import type { Flight } from './flight.ts'
import type { HeldToken } from './held-token.ts'

/** States without a token to serve and without a flight. Times are boot time in milliseconds. */
type Vacant =
  | { readonly kind: 'empty' }
  | { readonly kind: 'failed'; readonly failure: Failure; readonly retryAt: number }
  | { readonly kind: 'expired'; readonly failure: Failure | null; readonly retryAt: number }
  | { readonly kind: 'rejected'; readonly failure: Failure; readonly retryAt: number }

type Fresh = { readonly kind: 'fresh'; readonly held: HeldToken; readonly generation: number }
type Degraded = {
  readonly kind: 'degraded'
  readonly held: HeldToken
  readonly generation: number
  readonly failure: Failure
  readonly retryAt: number
}
/** Valid, and nobody wants it: a use brings it back to what it was. */
type Idle = { readonly kind: 'idle'; readonly before: Fresh | Degraded }

/** States with a token that is served while it is valid. */
type Stocked = Fresh | Degraded | Idle

/** The states of broker.md section 2. A flight keeps the state that it started from, in case it is cancelled. */
export type EntryState =
  | Vacant
  | Stocked
  | { readonly kind: 'fetching'; readonly flight: Flight; readonly before: Vacant }
  | { readonly kind: 'refreshing'; readonly flight: Flight; readonly before: Stocked }

export const emptyState: EntryState = { kind: 'empty' }

/** The state below a flight. */
function settledState(state: EntryState): Vacant | Stocked {
  return state.kind === 'fetching' || state.kind === 'refreshing' ? state.before : state
}

function stockOf(state: EntryState): Fresh | Degraded | null {
  const settled = settledState(state)
  if (settled.kind === 'idle') return settled.before
  return settled.kind === 'fresh' || settled.kind === 'degraded' ? settled : null
}

/** The token that may be served while it is valid. */
export function heldIn(state: EntryState): HeldToken | null {
  return stockOf(state)?.held ?? null
}

/** Generation of the token at hand, 0 without one. */
export function generationIn(state: EntryState): number {
  return stockOf(state)?.generation ?? 0
}

export function flightIn(state: EntryState): Flight | null {
  return state.kind === 'fetching' || state.kind === 'refreshing' ? state.flight : null
}

/** The failure that no success has followed yet. */
export function failureIn(state: EntryState): Failure | null {
  const settled = stockOf(state) ?? settledState(state)
  return 'failure' in settled ? settled.failure : null
}

/** Boot time before which nobody starts an attempt because of a failure. */
export function retryAtIn(state: EntryState): number {
  const settled = stockOf(state) ?? settledState(state)
  return 'retryAt' in settled ? settled.retryAt : Number.NEGATIVE_INFINITY
}

/** A flight starts. A second one for the same entry is a bug (BRK-30). */
export function departed(state: EntryState, flight: Flight): EntryState {
  switch (state.kind) {
    case 'fetching':
    case 'refreshing':
      throw new TypeError('an entry has at most one flight')
    case 'fresh':
    case 'degraded':
    case 'idle':
      return { kind: 'refreshing', flight, before: state }
    default:
      return { kind: 'fetching', flight, before: state }
  }
}

/** The flight ended without a result that counts. */
export function returned(state: EntryState): EntryState {
  return settledState(state)
}

/** The flight failed; the token at hand stays, unless the failure forbids it (BRK-47). */
export function disappointed(state: EntryState, failure: Failure, retryAt: number, evict: boolean): EntryState {
  const stock = evict ? null : stockOf(state)
  if (stock !== null) {
    return { kind: 'degraded', held: stock.held, generation: stock.generation, failure, retryAt }
  }
  return { kind: failure.class === 'verdict' ? 'rejected' : 'failed', failure, retryAt }
}

/** The token at hand has reached its end (BRK-10). Its failure and the pause after it live on. */
export function expired(state: EntryState): EntryState {
  const stock = stockOf(state)
  if (stock === null) return state
  const vacant: Vacant = { kind: 'expired', failure: failureIn(state), retryAt: retryAtIn(state) }
  const flight = flightIn(state)
  return flight === null ? vacant : { kind: 'fetching', flight, before: vacant }
}

/** The token at hand is to be renewed at another time. */
export function rescheduled(state: EntryState, held: HeldToken): EntryState {
  switch (state.kind) {
    case 'fresh':
    case 'degraded':
    case 'idle':
      return rescheduledStock(state, held)
    case 'refreshing':
      return { ...state, before: rescheduledStock(state.before, held) }
    default:
      return state
  }
}

function rescheduledStock(state: Stocked, held: HeldToken): Stocked {
  return state.kind === 'idle' ? { kind: 'idle', before: { ...state.before, held } } : { ...state, held }
}

/** Nobody wants the token any more (BRK-71). */
export function lapsed(state: EntryState): EntryState {
  return state.kind === 'fresh' || state.kind === 'degraded' ? { kind: 'idle', before: state } : state
}

/** Somebody used the token. */
export function wanted(state: EntryState): EntryState {
  return state.kind === 'idle' ? state.before : state
}

/** An event makes an earlier attempt worth while (BRK-45): no pause after a failure reaches beyond `at`. */
export function pauseCut(state: EntryState, at: number): EntryState {
  switch (state.kind) {
    case 'fetching':
      return { ...state, before: cutVacant(state.before, at) }
    case 'refreshing':
      return { ...state, before: cutStocked(state.before, at) }
    case 'fresh':
    case 'degraded':
    case 'idle':
      return cutStocked(state, at)
    default:
      return cutVacant(state, at)
  }
}

function cutVacant(state: Vacant, at: number): Vacant {
  return state.kind === 'empty' ? state : { ...state, retryAt: Math.min(state.retryAt, at) }
}

function cutStocked(state: Stocked, at: number): Stocked {
  if (state.kind === 'idle') return { kind: 'idle', before: cutHeld(state.before, at) }
  return cutHeld(state, at)
}

function cutHeld(state: Fresh | Degraded, at: number): Fresh | Degraded {
  return state.kind === 'fresh' ? state : { ...state, retryAt: Math.min(state.retryAt, at) }
}
