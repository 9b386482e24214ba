import type { TokenRequest } from '../../results/token-request.ts'

/** The name of the bundled verifier and issuer. */
export const localIssuer = 'local'

/** A request for a token of the bundled issuer without anything that a caller could wish beyond its audience. */
export function plainRequest(audience: string): TokenRequest {
  const shape = {
    issuer: localIssuer,
    tokenType: 'OIDC',
    nonces: [],
    ttlS: null,
    policyIds: [],
    cnf: null,
    fresh: false,
  } as const
  return { ...shape, audience: [audience] }
}
