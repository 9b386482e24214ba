import type { Standing } from '../base/fair-queue.ts'
import type { TokenRequest } from '../results/token-request.ts'

/** Verified claims of a token. Times in seconds since the Unix epoch. */
export interface AcceptedToken {
  /** The claim `iss`. */
  readonly issuer: string
  readonly audience: readonly string[]
  readonly issuedAt: number
  readonly expiresAt: number
  readonly jti: string
  readonly kid: string
}

/**
 * Port: one issuer of tokens as the broker sees it. Both functions throw `AttestdError`, whose kind decides what the
 * broker does next (broker.md section 5); anything else that they throw is a bug and is passed on.
 */
export interface TokenSource {
  /** Name of the issuer in the configuration. */
  readonly name: string
  /** Changes with every setting that may change a claim: URL, policies, trust anchors, evidence profile, devices (BRK-01). */
  readonly generation: number
  /** Life that its tokens usually have, in seconds: decides which `min_valid_s` can be had at all (API-92). */
  readonly usualLifetimeS: number
  /**
   * The audience of an issuer that puts the same one into every token (BRK-05). Whether a caller's audience may be
   * answered with it is decided before the broker is asked (API-96).
   */
  readonly fixedAudience?: readonly string[]
  /**
   * Collects evidence, has it appraised and gives the token, unverified. May be told to stop by `signal`; a quote that
   * is under way still ends first, and what comes after the signal is thrown away (BRK-32). `standing` says for whom, so
   * that one caller's flood delays nobody else's quote for long (API-84); absent: somebody unnamed, who waits.
   */
  obtainToken(request: TokenRequest, signal: AbortSignal, standing?: Standing): Promise<string>
  /**
   * Milliseconds that a request which came now would wait before the device could begin with it: what is before it times
   * what a quote usually takes (BRK-81). Absent: the source never makes anybody wait.
   */
  expectedWaitMs?(standing: Standing): number
  /** Makes every check of broker.md section 10, or throws. Nothing is served that did not pass here (API-98). */
  acceptToken(token: string, request: TokenRequest): Promise<AcceptedToken>
  /**
   * Verifies a token of an earlier run, found where it was delivered: everything but its age and what bound it to the
   * request of then. Throws `AttestdError`. Of a source without this function no such token is believed (BRK-117).
   */
  recogniseToken?(token: string, request: TokenRequest): Promise<AcceptedToken>
}
