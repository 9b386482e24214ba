/** Names that issuance rules of a policy can never set, in any profile (POL-427). */
export const coreReservedClaims: ReadonlySet<string> = new Set([
  ...['iss', 'sub', 'aud', 'exp', 'nbf', 'iat', 'jti', 'cnf', 'nonce', 'eat_nonce', 'eat_profile'],
  ...['x-ms-ver', 'x-ms-attestation-type', 'x-ms-policy', 'x-ms-policy-hash', 'x-ms-policy-signer'],
  ...['x-ms-runtime', 'x-ms-inittime', '__proto__'],
])

/**
 * What profile `attestd` reserves: the core, every other name of the table in token.md section 3, and the statement of Azure
 * that is never made here (section 15.2 of policy.md).
 */
export const reservedClaims: ReadonlySet<string> = new Set([
  ...coreReservedClaims,
  ...['azp', 'auth_time', 'acr', 'amr', 'at_hash', 'c_hash', 'tee', 'tcb-status', 'tdx', 'tpm', 'ima', 'gpu', 'tcb'],
  ...['customized_claims', 'evaluation-reports', 'dbgstat', 'intuse', 'attestd', 'init_data', 'report_data'],
  'x-ms-compliance-status',
])
