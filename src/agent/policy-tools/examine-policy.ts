import {
  type EvidenceKind,
  lintPolicy,
  type PolicyDiagnostic,
  parsePolicy,
  policyDigest,
  policyHash,
} from '../../policies/index.ts'
import type { Policy } from '../../policies/language/syntax.ts'
import type { PolicyProfile } from '../../policies/reserved-claims.ts'
import type { PolicySource } from './policy-source.ts'

export interface ExamineOptions {
  readonly lenient?: boolean
  /** Narrows L20; left out: any evidence. */
  readonly kinds?: readonly EvidenceKind[]
  /** Default: `attestd`. */
  readonly profile?: PolicyProfile
}

/** A policy file and all that is wrong or doubtful in it. */
export interface ExaminedPolicy extends PolicySource {
  /** Null if it does not load. */
  readonly policy: Policy | null
  readonly policyHash: string
  readonly sha256: string
  /** Errors of a text that does not load, else lints; in text order. */
  readonly diagnostics: readonly PolicyDiagnostic[]
}

/** Parses a policy and lints it if it loads (sections 10 and 11 of the specification). Never throws for a bad policy. */
export function examinePolicy(source: PolicySource, options: ExamineOptions = {}): ExaminedPolicy {
  const { lenient = false, kinds = [], profile = 'attestd' } = options
  const parsed = parsePolicy(source.bytes, { lenient })
  const hashes = { policyHash: policyHash(source.bytes), sha256: policyDigest(source.bytes) }
  if (parsed.policy === undefined) return { ...source, ...hashes, policy: null, diagnostics: parsed.diagnostics }
  return { ...source, ...hashes, policy: parsed.policy, diagnostics: lintPolicy(parsed, { kinds, profile }) }
}

/** POL-804: errors always, warnings under `--strict`. */
export function isBad({ severity }: PolicyDiagnostic, strict: boolean): boolean {
  return severity === 'error' || (strict && severity === 'warning')
}
