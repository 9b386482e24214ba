/** Rules about which names a policy may issue differ: `maa` is the façade of section 15, whose published policies issue `tee`. */
export type PolicyProfile = 'attestd' | 'maa'

/** Names that no policy can issue (POL-427). */
const core = [
  ...['iss', 'sub', 'aud', 'exp', 'nbf', 'iat', 'jti', 'cnf', 'nonce', 'eat_nonce', 'eat_profile'],
  ...['x-ms-ver', 'x-ms-attestation-type', 'x-ms-policy', 'x-ms-policy-hash', 'x-ms-policy-signer'],
  ...['x-ms-runtime', 'x-ms-inittime', '__proto__'],
]

/** What our own tokens use besides: the same names as in results/reserved-claims.ts, a neighbour that holds a test to it. */
const ours = [
  ...['azp', 'auth_time', 'acr', 'amr', 'at_hash', 'c_hash', 'tee', 'tcb-status', 'tdx', 'tpm', 'ima', 'gpu', 'tcb'],
  ...['customized_claims', 'evaluation-reports', 'dbgstat', 'intuse', 'attestd', 'init_data', 'report_data'],
  // A statement of Azure, which nobody else makes (section 15.2); published policies issue it, so that `maa` leaves it out.
  'x-ms-compliance-status',
]

/** Token claims that issuing is an error of the policy (POL-427, L16). */
export const reservedNames: Readonly<Record<PolicyProfile, ReadonlySet<string>>> = {
  attestd: new Set([...core, ...ours]),
  maa: new Set(core),
}
