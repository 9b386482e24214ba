import type { CallerIdentity } from '../policies/caller-identity.ts'
import type { RateStage } from './rate-limits.ts'

/**
 * Port to the log, as pino has it. Facts never hold tokens, nonces, evidence or targets with a query (API-110); lines
 * of single requests are on level `debug` (BRK-130).
 */
export interface WorkloadLog {
  debug(facts: object, message: string): void
  info(facts: object, message: string): void
  warn(facts: object, message: string): void
  error(facts: object, message: string): void
}

/** What metrics and the journal are told. Values stay in the process; whoever writes them down hashes audiences. */
export type WorkloadEvent =
  | { readonly event: 'connection_refused'; readonly listener: string; readonly code: string }
  | {
      readonly event: 'answered'
      readonly listener: string
      readonly route: string
      readonly method: string
      readonly status: number
      /** Code of the problem, or null. */
      readonly code: string | null
      readonly source: string | null
      readonly durationMs: number
    }
  | {
      readonly event: 'denied'
      readonly listener: string
      /** Id of the rule that came furthest; null: none is about this caller. */
      readonly rule: string | null
      readonly caller: string
      readonly who: CallerIdentity
      readonly code: string
      readonly dimension: string
    }
  /** A token goes to a caller now; told without the token. */
  | {
      readonly event: 'served'
      readonly listener: string
      readonly caller: CallerIdentity
      /** Name of the issuer in the configuration. */
      readonly issuer: string
      readonly audience: readonly string[]
      readonly jti: string
      /** Seconds since the Unix epoch. */
      readonly issuedAt: number
      readonly expiresAt: number
      readonly source: string
    }
  /** Credentials of a cloud role go to a caller now; told without them. */
  | {
      readonly event: 'credentials_served'
      readonly listener: string
      readonly caller: CallerIdentity
      /** Name of the consumer in the configuration. */
      readonly consumer: string
      /** Of the token that the role was had for. */
      readonly issuer: string
      readonly audience: readonly string[]
      /** Seconds since the Unix epoch. */
      readonly expiresAt: number
    }
  /** Who connected is known, or why it is not; `identity`: how it was found out. */
  | {
      readonly event: 'caller_identified'
      readonly listener: string
      readonly identity: CallerIdentity['identity'] | null
      /** `ok`, or the code of the refusal. */
      readonly result: string
    }
  /** A limit of section 5 refused a connection or a request. */
  | { readonly event: 'rate_limited'; readonly listener: string; readonly stage: RateStage }
  /** The independent check: a token was written at or after its `exp` (BRK-167). Must never happen. */
  | { readonly event: 'expired_token_written'; readonly listener: string; readonly route: string }
  | { readonly event: 'late_result_dropped'; readonly listener: string }
  | { readonly event: 'unservable_token_stopped'; readonly listener: string; readonly why: string }

export type WorkloadObserver = (event: WorkloadEvent) => void
