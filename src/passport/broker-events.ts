import type { TokenRequest } from '../results/token-request.ts'
import type { EntryState } from './entry.ts'
import type { FailureClass } from './failure.ts'
import type { HeldToken } from './held-token.ts'

/** What events tell of a verified token: never the token itself (API-110). Times in seconds since the Unix epoch. */
export interface TokenFacts {
  /** Name of the issuer in the configuration. */
  readonly issuer: string
  readonly audience: readonly string[]
  readonly kid: string
  readonly jti: string
  readonly issuedAt: number
  readonly expiresAt: number
  /** Generation of the entry that it is kept in; 0 for a token that is not kept. */
  readonly generation: number
}

/** Why a token that was served until now is served no more. */
export type TokenEnd =
  | 'replaced'
  | 'expired'
  /** An event of broker.md section 8 declared it worthless. */
  | 'invalidated'
  /** The issuer appraised us and said no (BRK-47). */
  | 'verdict'
  /** A snapshot was restored (BRK-63). */
  | 'snapshot'
  /** Its entry made room, or nobody needed it (BRK-04, BRK-71). */
  | 'evicted'
  /** Its issuer is gone or changed, or it is declared no more (BRK-142). */
  | 'reload'

/** How one attempt ended; `superseded`: nobody could have had its result any more. */
export type AttemptResult = 'landed' | 'failed' | 'superseded' | 'bug'

interface AttemptEnd {
  readonly event: 'attempt_ended'
  readonly issuer: string
  readonly audience: readonly string[]
  /** Started by the schedule and not by somebody who waits. */
  readonly background: boolean
  /** Whether its token is for one caller alone. */
  readonly unshared: boolean
  readonly result: AttemptResult
  /** Monotonic milliseconds. */
  readonly durationMs: number
  /** The token of an attempt that landed; it is in use only if `stored` follows, or a caller waits for it alone. */
  readonly token: TokenFacts | null
  /** Of a failed attempt: what it means, the code that callers are told, and the rule that a bad token broke (`BRK-105`). */
  readonly failure: {
    readonly class: FailureClass
    readonly code: string
    readonly upstreamCode: string | null
    readonly check: string | null
  } | null
}

/**
 * Everything that changes in the broker, for metrics, journal and token files (BRK-120, BRK-130). `request` is that of a
 * cache entry and therefore holds no nonces; texts that others chose are audiences, `kid`, `jti` and upstream codes: whoever
 * writes them down hashes or bounds them.
 */
export type BrokerEvent =
  | {
      readonly event: 'attempt_started'
      readonly issuer: string
      readonly audience: readonly string[]
      readonly background: boolean
      readonly unshared: boolean
    }
  | AttemptEnd
  /** The state of an entry has another name; more than one per step is possible. */
  | {
      readonly event: 'state_changed'
      readonly request: TokenRequest
      readonly from: EntryState['kind']
      readonly to: EntryState['kind']
    }
  /** From now on this token is served to those who share the entry. */
  | { readonly event: 'stored'; readonly request: TokenRequest; readonly token: TokenFacts }
  /** From now on this token is not served any more. */
  | { readonly event: 'ended'; readonly request: TokenRequest; readonly token: TokenFacts; readonly why: TokenEnd }
  /** A token came that nobody may have any more (BRK-33). */
  | { readonly event: 'late_result_dropped'; readonly issuer: string; readonly audience: readonly string[] }
  /** A caller found an attempt under way and waits for it (BRK-30). */
  | { readonly event: 'joined'; readonly issuer: string; readonly audience: readonly string[] }
  /** An event of section 8, with the number of entries concerned; `null`: not selected by this. */
  | {
      readonly event: 'invalidated'
      readonly issuer: string | null
      readonly audience: string | null
      readonly kid: string | null
      readonly hard: boolean
      readonly entries: number
    }
  /** The breaker of an issuer opened or closed (BRK-44). */
  | { readonly event: 'breaker'; readonly issuer: string; readonly state: 'open' | 'closed' }
  /** `ms` of a step is negative when the wall was set back; 0 for a snapshot (BRK-61). */
  | { readonly event: 'clock'; readonly kind: 'suspend' | 'wall-step' | 'snapshot'; readonly ms: number }
  /** Whether the wall clock is believable (BRK-64); told when that has changed. */
  | { readonly event: 'clock_judged'; readonly safe: boolean }
  /** Other issuers are in force; `changed`: the names of those that are gone or say something else now. */
  | { readonly event: 'sources_replaced'; readonly changed: readonly string[] }
  | { readonly event: 'draining' }

/**
 * Hears of every event in the moment in which it happens, in the middle of the broker's step: takes note, does not throw and
 * does not call the broker before its step is over.
 */
export type BrokerObserver = (event: BrokerEvent) => void

/** What may be told of a token in memory. */
export function tokenFacts({ accepted }: HeldToken, issuer: string, generation: number): TokenFacts {
  const { audience, kid, jti, issuedAt, expiresAt } = accepted
  return { issuer, audience, kid, jti, issuedAt, expiresAt, generation }
}
