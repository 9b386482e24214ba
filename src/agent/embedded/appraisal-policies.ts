import type { JsonObject } from '../../base/json.ts'
import type { TokenRequest } from '../../results/token-request.ts'
import type { RegoPolicy } from '../rego/open-rego-policy.ts'
import { embeddedErrors } from './errors.ts'

interface NamedPolicy {
  readonly id: string
  /** SHA-256 of its text, or of its bundle, 64 hexadecimal digits (POL-711). */
  readonly hash: string
}

/** A text of the policy language that was read, checked and found to load. */
export interface TextPolicy extends NamedPolicy {
  readonly text: string
  /** It can tell whether documents of logs and registers are among its claims. */
  readonly documents: boolean
}

/** A compiled Rego policy that was opened (POL-960). */
export interface BundledPolicy extends NamedPolicy {
  readonly bundle: Pick<RegoPolicy, 'evaluateInputs' | 'required'>
  /** What decides beside the bundle: what it is given, and what must be affirming. Its hash does not cover this. */
  readonly settings: JsonObject
}

export type AppraisalPolicy = TextPolicy | BundledPolicy

export function isBundled(policy: AppraisalPolicy): policy is BundledPolicy {
  return 'bundle' in policy
}

/** The policies of the bundled verifier. */
export interface AppraisalPolicies {
  /** Those that requests may name (POL-442). */
  readonly configured: readonly AppraisalPolicy[]
  /** For a request that names none. At least one. */
  readonly usual: readonly AppraisalPolicy[]
}

/**
 * The policies of a request, in the order in which they are evaluated, each once. A request names ids, never texts; what
 * it names and nobody configured is refused, and none is skipped silently (POL-442, SVC-08).
 */
export function policiesOf(
  policies: AppraisalPolicies | null,
  { policyIds }: Pick<TokenRequest, 'policyIds'>,
): readonly AppraisalPolicy[] {
  if (policyIds.length === 0) return policies?.usual ?? []
  return [...new Set(policyIds)].map((id, at) => {
    const found = policies?.configured.find((policy) => policy.id === id)
    if (found !== undefined) return found
    throw embeddedErrors.error('POLICY_UNKNOWN', `policy_ids[${at}] names a policy that is not configured`)
  })
}
