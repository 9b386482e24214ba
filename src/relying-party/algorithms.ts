/**
 * Algorithms that can be trusted (TOK-07, TOK-80). `none` and HS* are not in the list, so no configuration can allow
 * them. `Ed25519` (RFC 9864) and `EdDSA` are one algorithm.
 */
export const tokenAlgorithms = ['RS256', 'PS256', 'ES256', 'ES384', 'EdDSA', 'Ed25519'] as const

export type TokenAlgorithm = (typeof tokenAlgorithms)[number]
/** The algorithms under one name each. */
export type SignatureAlgorithm = Exclude<TokenAlgorithm, 'Ed25519'>

export interface AlgorithmFacts {
  readonly kty: 'RSA' | 'EC' | 'OKP'
  readonly crv?: string
  /** Exact length of a signature; RSA's is the length of the modulus. */
  readonly signatureBytes?: number
}

export const algorithmFacts: Readonly<Record<SignatureAlgorithm, AlgorithmFacts>> = {
  RS256: { kty: 'RSA' },
  PS256: { kty: 'RSA' },
  ES256: { kty: 'EC', crv: 'P-256', signatureBytes: 64 },
  ES384: { kty: 'EC', crv: 'P-384', signatureBytes: 96 },
  EdDSA: { kty: 'OKP', crv: 'Ed25519', signatureBytes: 64 },
}

/** The algorithm of a header or a JWK by exact, case-sensitive comparison; undefined for everything else. */
export function matchAlgorithm(name: unknown): SignatureAlgorithm | undefined {
  const known = tokenAlgorithms.find((algorithm) => algorithm === name)
  return known === 'Ed25519' ? 'EdDSA' : known
}
