import { type PolicyLimits, requirePolicyLimits } from '../policy-limits.ts'
import type { PolicyDiagnostic } from './diagnostic.ts'
import { readPolicyText } from './policy-text.ts'
import { readPolicy } from './sections.ts'
import type { Policy } from './syntax.ts'
import type { PolicyComment } from './token.ts'
import { Abandoned, TokenReader } from './token-reader.ts'

export interface ParsePolicyOptions {
  /** Those of POL-601 to POL-604 count here; as `requirePolicyLimits` takes them. */
  readonly limits?: Partial<PolicyLimits>
  /** Accepts keywords, properties, actions, truth values and functions in the wrong case, with L18 (POL-110, POL-305). */
  readonly lenient?: boolean
}

/** A policy that may be evaluated, or why it may not. */
export type ParsedPolicy =
  | {
      readonly policy: Policy
      /** As it was decoded, a byte order mark included. */
      readonly text: string
      /** In text order. */
      readonly comments: readonly PolicyComment[]
      /** L18, in lenient mode. */
      readonly warnings: readonly PolicyDiagnostic[]
      readonly diagnostics?: never
    }
  | {
      readonly policy?: never
      readonly text?: never
      readonly comments?: never
      readonly warnings?: never
      /** At least one, in text order; the first is the one that the specification fixes (POL-804). */
      readonly diagnostics: readonly PolicyDiagnostic[]
    }

function policyOf(reader: TokenReader, limits: PolicyLimits): Policy | null {
  try {
    return readPolicy(reader, limits)
  } catch (error) {
    if (error instanceof Abandoned) return null
    throw error
  }
}

/**
 * Parses a policy (sections 1 and 2 of the specification) and makes the checks at load time (section 3). Takes text,
 * or bytes that must be UTF-8; a byte order mark at the start is skipped. Never throws for bad text: what is wrong is
 * in `diagnostics`; only limits that cannot be kept throw `POLICY_LIMIT`. Nothing is said about what the rules mean: see `lintPolicy`.
 */
export function parsePolicy(input: string | Uint8Array, options: ParsePolicyOptions = {}): ParsedPolicy {
  const limits = requirePolicyLimits(options.limits)
  const source = readPolicyText(input, limits.textBytes)
  if ('diagnostic' in source) return { diagnostics: [source.diagnostic] }
  const reader = new TokenReader(source.text, { literalBytes: limits.literalBytes, lenient: options.lenient === true })
  const policy = policyOf(reader, limits)
  const { errors, warnings } = reader.findings
  if (errors.length > 0 || policy === null) return { diagnostics: errors }
  return { policy, text: source.text, comments: reader.comments, warnings }
}
