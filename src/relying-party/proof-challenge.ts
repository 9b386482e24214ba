import type { Finding } from '../results/appraisal.ts'
import type { TokenAlgorithm } from './algorithms.ts'
import { type ProofCheckId, proofChecks } from './proof-checks.ts'

const defaultAlgorithms: readonly TokenAlgorithm[] = ['ES256', 'ES384', 'EdDSA', 'RS256', 'PS256']

/**
 * The value of `WWW-Authenticate` for the answer 401 to a proof that failed (RFC 9449 section 7.1): `use_dpop_nonce` if
 * nothing but the nonce is missing, to be sent with a header `DPoP-Nonce`; else `invalid_dpop_proof` with what mends it.
 * Without findings: the challenge to a request that brought no proof at all.
 */
export function proofChallenge(
  findings: readonly Finding<ProofCheckId>[] = [],
  algorithms: readonly TokenAlgorithm[] = defaultAlgorithms,
): string {
  const failed = findings.filter(({ outcome }) => outcome === 'failed').map(({ id }) => id)
  const [first] = failed
  const accepted = `algs="${algorithms.join(' ')}"`
  if (first === undefined) return `DPoP ${accepted}`
  const error = first === 'proof.nonce' && failed.length === 1 ? 'use_dpop_nonce' : 'invalid_dpop_proof'
  const description = proofChecks[first].title.replace(/["\\]/g, "'")
  return `DPoP error="${error}", error_description="not true: ${description}", ${accepted}`
}
