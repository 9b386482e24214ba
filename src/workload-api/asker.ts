import type { CallerIdentity } from '../policies/caller-identity.ts'

/** Whoever waits for an answer: a request over HTTP, or a connection that says nothing but its own name. */
export interface Asker {
  /** For the log; ours, never the caller's. */
  readonly id: string
  readonly caller: CallerIdentity
  /** Monotonic milliseconds at which the request was there. */
  readonly arrivedAt: number
  /** Aborts when nobody is there to read an answer (API-34). */
  readonly gone: AbortSignal
  /**
   * Resolves when the answer may be written and the caller is still there; true: others had to be waited for, and what
   * the answer was made of may be out of date.
   */
  readyToWrite(): Promise<boolean>
}
