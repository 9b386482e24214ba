import type { JsonObject } from '../../base/json.ts'
import type { Appraisal } from '../../results/appraisal.ts'
import type { Freshness } from '../../results/token-claims.ts'
import type { TdxAppraisal } from '../../verifier/index.ts'
import type { LifetimeBound } from '../token-lifetime.ts'

/** One request for the appraisal of a TD, decoded and with its binding worked out; nothing of it is verified. */
export interface TdVerification {
  readonly quote: Uint8Array
  readonly ccEventLog: Uint8Array | null
  /** 64 bytes that the quote must carry, or `any` where nothing is bound. */
  readonly reportData: Uint8Array | 'any'
  readonly freshness: Freshness
  /** In the order of the request; empty: the configured default policies. */
  readonly policyIds: readonly string[]
  /** What the sender says, and its evidence was shown to carry: policies are told whose words it is (POL-435). */
  readonly statements: BoundStatements
}

/** Bound by a quote that has the report data, and the MRCONFIGID, of this request; worth nothing beside another one. */
export interface BoundStatements {
  /** Bytes: raw runtime data, or the canonical form (RFC 8785) of structured ones; null where there are none. */
  readonly runtimeData: Uint8Array | null
  /** Structured runtime data, which the workload wrote; null for raw ones. */
  readonly runtimeDataClaims: JsonObject | null
  /** What MRCONFIGID is the digest of; null where only a digest was given. */
  readonly initDataClaims: JsonObject | null
}

export interface TdOutcome {
  /** Also of evidence that is not affirmed: then `policies` is empty, for none was asked. */
  readonly appraisal: Appraisal & Pick<TdxAppraisal, 'class' | 'simulated'>
  /** Seconds since the epoch. */
  readonly appraisedAtS: number
  readonly simulated: boolean
  /** As the token names them, in the order of evaluation. All of them permit. */
  readonly policies: readonly { readonly id: string; readonly hash: string }[]
  readonly bounds: readonly LifetimeBound[]
}

export interface TdVerifier {
  /**
   * Rejects with an `AttestdError`: `AS.POLICY.DENIED` (facts `policy_id`, `reason`, `lines`, `rule`, `message`),
   * `AS.REQUEST.INVALID_ARGUMENT` with the fact `field` for an unknown policy id, which is told of a genuine quote alone
   * (SVC-44), `AS.DEPENDENCY.UNAVAILABLE`,
   * `AS.DEPENDENCY.BAD_RESPONSE`, `AS.SERVICE.OVERLOADED`; everything else is a bug.
   */
  verify(request: TdVerification, signal: AbortSignal): Promise<TdOutcome>
}
