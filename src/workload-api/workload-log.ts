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
      readonly caller: string
      readonly code: string
      readonly dimension: string
    }
  | { readonly event: 'late_result_dropped'; readonly listener: string }
  | { readonly event: 'unservable_token_stopped'; readonly listener: string; readonly why: string }

export type WorkloadObserver = (event: WorkloadEvent) => void
