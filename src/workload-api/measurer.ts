/** What `POST /v1/measure` asks for (section 6.3). The three texts have the form of TDX-035. */
export interface MeasureRequest {
  readonly register: MeasuredRegister
  readonly domain: string
  readonly operation: string
  readonly content: string
}

/** `rtmr2` and `rtmr3` of a TD; PCRs of a TPM are named by their number. */
export type MeasuredRegister = `rtmr${2 | 3}` | `pcr${number}`

export interface Measured {
  readonly register: MeasuredRegister
  /** What the register was extended with: the digest of the event data, in its hash. */
  readonly digest: Uint8Array
  /** Where the record stands among the runtime records of its device, counted from 0. */
  readonly logIndex: number
}

/** How much of the event log the records of the domains that a rule allows may take. */
export interface MeasureShare {
  readonly bytes: number
  covers(domain: string): boolean
}

/**
 * Port to what extends registers: resolves when the register was extended and the record is in the log, and never
 * otherwise. Rejects with an error of kind `unsupported` where this machine cannot extend the register or was not
 * configured to, and of kind `unavailable` where the log, or `share` of it, has no room. An extension that was begun goes on to its end when `signal` aborts.
 */
export type Measurer = (request: MeasureRequest, signal: AbortSignal, share: MeasureShare) => Promise<Measured>
