/** TDX evidence (TDX-040, SVC-20): what the guest says, unverified. */
export interface TdxEvidence {
  /** The quote, exactly as the device gave it, padding included. */
  readonly quote: Uint8Array
  /** The confidential-computing event log as `composeCcEventLog` makes it; null where there is none. */
  readonly ccEventLog: Uint8Array | null
  /** The sender says that its quoting stack is a simulator (member `hints.simulated`); it can only lower the trust. */
  readonly simulated: boolean
}
