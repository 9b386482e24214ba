/** Section 8; all inclusive. An operator may lower them, and raise them up to 16 times. */
export interface PolicyLimits {
  /** Bytes of UTF-8 (POL-601). */
  readonly textBytes: number
  /** POL-602. */
  readonly rules: number
  readonly conditionsPerRule: number
  readonly testsPerCondition: number
  /** POL-603. */
  readonly expressionDepth: number
  /** Bytes of UTF-8 (POL-604). */
  readonly literalBytes: number
  /** POL-605. */
  readonly queryBytes: number
  readonly queryDepth: number
  readonly queryNodes: number
  /** POL-606. */
  readonly incomingClaims: number
  readonly workingClaims: number
  readonly stringBytes: number
  /** Of each result of `JmesPath`, `AppendString` and `to_string` (POL-607). */
  readonly resultBytes: number
  /** POL-608. */
  readonly steps: number
  /** POL-609. */
  readonly issuedBytes: number
}

export const defaultPolicyLimits: PolicyLimits = {
  textBytes: 65_536,
  rules: 512,
  conditionsPerRule: 32,
  testsPerCondition: 16,
  expressionDepth: 16,
  literalBytes: 16_384,
  queryBytes: 32_768,
  queryDepth: 64,
  queryNodes: 4000,
  incomingClaims: 20_000,
  workingClaims: 40_000,
  stringBytes: 16_777_216,
  resultBytes: 1_048_576,
  steps: 20_000_000,
  issuedBytes: 262_144,
}
