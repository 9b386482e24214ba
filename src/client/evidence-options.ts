import { toBase64url } from '../base/bytes.ts'
import type { JsonObject } from '../base/json.ts'

/** What a workload wants evidence of (section 6.2 of the workload API). A rule of the operator must allow it. */
export interface EvidenceOptions {
  /** 8 to 64 bytes of whoever will appraise the evidence. */
  readonly challenge: Uint8Array
  /** `attestd/1` (default) binds the challenge in a transcript; `raw` makes it the report data, a right of its own. */
  readonly profile?: 'attestd/1' | 'raw' | undefined
  /** Kinds of evidence; default: all that the machine has. One that is absent is an error. */
  readonly devices?: readonly ('tdx' | 'tpm' | 'ima' | 'gpu')[] | undefined
  /** Names the verifier in the transcript: 1 to 256 bytes. */
  readonly verifier?: string | undefined
  /** Longest time that the call takes, in milliseconds; default 15 000. */
  readonly timeoutMs?: number | undefined
  /** Ends the call with the reason of the signal. */
  readonly signal?: AbortSignal | undefined
}

export function encodeEvidenceOptions({ challenge, profile, devices, verifier }: EvidenceOptions): JsonObject {
  return {
    challenge: toBase64url(challenge),
    ...(profile === undefined ? {} : { profile }),
    ...(devices === undefined ? {} : { devices: [...devices] }),
    ...(verifier === undefined ? {} : { verifier }),
  }
}
