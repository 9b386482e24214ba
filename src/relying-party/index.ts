/**
 * Accepting attestation tokens in a service. Make one verifier with what you trust, then pass it every token together
 * with what this exchange expects of it:
 *
 * ```ts
 * const verifier = createTokenVerifier({
 *   issuer: 'https://verifier.example',
 *   audience: 'https://payments.example',
 *   keys: { discovery: {} },
 *   tee: ['tdx'],
 *   measurements: { mr_td: [trustedImage] },
 * })
 * const { subject, tdx } = await verifier.accept(token, { eatNonce })
 * ```
 */
export type { AcceptedToken, Freshness } from './accepted-token.ts'
export type { TokenAlgorithm } from './algorithms.ts'
export type { ProofAppraisal } from './appraise-proof.ts'
export type { TokenAppraisal } from './appraise-token.ts'
export { type TokenCheckId, tokenChecks } from './checks.ts'
export { DistrustedError, relyingPartyErrors } from './errors.ts'
export { discoverKeys, type IssuerKeysOptions } from './issuer-keys.ts'
export type { KeySource } from './key-source.ts'
export { createKeyTransport } from './key-transport.ts'
export type { MeasuredValue, Measurements } from './measurements.ts'
export type { KeyAnswer, KeyTransport } from './obtain-keys.ts'
export { type DpopRequest, type PresentedProof, readDpopRequest } from './presented-proof.ts'
export { proofChallenge } from './proof-challenge.ts'
export { type ProofCheckId, proofChecks } from './proof-checks.ts'
export type { DroppedKey, KeySelection, PublicKeySet } from './public-keys.ts'
export { createReplayCache, type ReplayCache, type ReplayEntry, type ReplayVerdict } from './replay-cache.ts'
export type { TokenClock } from './token-clock.ts'
export type {
  JsonWebKeySet,
  RequiredPolicy,
  TokenClaims,
  TokenExpectations,
  TokenProfile,
  TokenTrust,
  TrustedKeys,
} from './token-trust.ts'
export { createTokenVerifier, type TokenVerifier } from './token-verifier.ts'
