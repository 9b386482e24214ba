/** What `POST /v1/evidence` asks for (section 6.2). */
export interface EvidenceRequest {
  /** 8 to 64 bytes that the evidence must carry. */
  readonly challenge: Uint8Array
  /** `attestd/1`: bound through the transcript of BRK-90; `raw`: used as report data, zero-padded to 64 bytes. */
  readonly profile: 'attestd/1' | 'raw'
  /** null: every device of the machine. */
  readonly devices: readonly string[] | null
  readonly verifier: string | null
}

export interface EvidenceDemand {
  readonly timeoutMs: number
  /** Whom fairness is counted for. */
  readonly caller: string
  /** Resolves when the answer has left for the caller, or never will: until then its document takes memory. */
  readonly left: Promise<unknown>
}

/**
 * Port to what collects evidence: gives the evidence document as JSON text. A device that is asked for and not there
 * is an error of kind `unsupported`; none is ever dropped or replaced by a sample.
 */
export type EvidenceCollector = (
  request: EvidenceRequest,
  demand: EvidenceDemand,
  signal: AbortSignal,
) => Promise<string>
