/** `waiting`: no token yet. `kept`: of an earlier run. `stale`: valid, and something is wrong. `missing`: taken away, not yet put back. */
export type SinkState = 'waiting' | 'kept' | 'current' | 'stale' | 'missing' | 'expiring' | 'expired' | 'revoked'

/** One token file as the status shows it; times in seconds since the Unix epoch (BRK-119). */
export interface SinkStatus {
  readonly name: string
  readonly path: string
  readonly state: SinkState
  readonly lastWriteAt: number | null
  /** `exp` of the token in the file; null where there is none. */
  readonly expiresAt: number | null
  readonly error: { readonly code: string; readonly detail: string; readonly at: number } | null
  readonly counts: SinkCounts
}

/** Since the start, or since the sink was configured as it is. */
export interface SinkCounts {
  readonly written: number
  /** Written again because somebody removed or changed the file. */
  readonly restored: number
  readonly removed: number
  readonly failed: number
  readonly commands: number
  readonly commandsFailed: number
}

export const noCounts: SinkCounts = {
  written: 0,
  restored: 0,
  removed: 0,
  failed: 0,
  commands: 0,
  commandsFailed: 0,
}

/** What happens to a token file, for the log; never anything of the token (API-110). */
export type SinkEvent =
  | { readonly event: 'sink_written'; readonly sink: string; readonly expiresAt: number; readonly characters: number }
  | { readonly event: 'sink_restored'; readonly sink: string }
  | {
      readonly event: 'sink_removed'
      readonly sink: string
      readonly why: 'expired' | 'revoked' | 'unusable' | 'stopped'
    }
  | {
      readonly event: 'sink_command_done' | 'sink_command_failed'
      readonly sink: string
      readonly result: string
      readonly how: string
      readonly output: string
    }
  /** Every time, also where nothing is new about it; for counting. */
  | { readonly event: 'sink_attempt_failed'; readonly sink: string }
  | { readonly event: 'sink_failed'; readonly sink: string; readonly code: string; readonly detail: string }
