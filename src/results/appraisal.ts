/**
 * The result of an appraisal (RFC 9334 section 8.4): every declared check with its outcome, in the order of
 * declaration, and the claims that the passed checks cover.
 */
export type Outcome = 'passed' | 'failed' | 'waived' | 'unreached'

export interface Finding<Id extends string = string> {
  readonly id: Id
  readonly outcome: Outcome
  /** One sentence with the facts; for `failed` what was wrong, for `waived` which policy value waived it. */
  readonly detail?: string
}

export interface Appraisal {
  /** True only if every declared check passed or was waived explicitly. */
  readonly affirmed: boolean
  readonly findings: readonly Finding[]
  /** Empty unless affirmed. Names: the claim tables of the specification, nested by `tdx`, `tpm`, `ima`, `gpu`. */
  readonly claims: Readonly<Record<string, unknown>>
}

export interface CheckDeclaration {
  /** What is true when the check passes, as a clause: "the attestation key signed the quote". */
  readonly title: string
  /** Id of the rule that it implements: `TPM-14`. */
  readonly rule: string
  /** What the owner of a refused machine can do. */
  readonly remedy: string
}

/** The checks of one verifier, in the order in which they are listed. */
export type Checks<Id extends string> = Readonly<Record<Id, CheckDeclaration>>
