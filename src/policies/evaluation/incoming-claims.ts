import { acceptIncomingClaims, type GivenClaim } from '../claims/incoming-claims.ts'
import { EvaluationFailure } from '../evaluation-failure.ts'
import { utf8Length } from '../jmespath/json-text.ts'
import type { PolicyLimits } from '../policy-limits.ts'
import type { WorkingClaim } from './working-set.ts'

type Limits = Pick<PolicyLimits, 'incomingClaims' | 'stringBytes'>

/**
 * The incoming claims as rules see them. Every member of every claim is checked, for a peer may have sent it (POL-402,
 * POL-606). Throws `EvaluationFailure`.
 */
export function requireIncomingClaims(given: readonly GivenClaim[], limits: Limits): WorkingClaim[] {
  if (!Array.isArray(given)) throw new EvaluationFailure('POL-402', 'the incoming claims are no list')
  if (given.length > limits.incomingClaims) {
    throw new EvaluationFailure('POL-606', `there are more than ${limits.incomingClaims} incoming claims`)
  }
  const accepted = acceptIncomingClaims(given)
  if ('error' in accepted) throw new EvaluationFailure(accepted.error.id, accepted.error.message)
  return accepted.claims.map(({ type, value, issuer, readOnly = false }) => {
    // No UTF-16 unit takes more than three bytes.
    const mayBeTooLong = typeof value === 'string' && value.length * 3 > limits.stringBytes
    if (mayBeTooLong && utf8Length(value, limits.stringBytes) > limits.stringBytes) {
      throw new EvaluationFailure('POL-606', `a claim has more than ${limits.stringBytes} bytes`)
    }
    return { type, value, issuer, readOnly, readOnlyType: false }
  })
}
