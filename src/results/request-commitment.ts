import { toBase64url } from '../base/bytes.ts'
import type { JsonObject } from '../base/json.ts'

/**
 * How a token's request was committed to by the evidence (BRK-86, BRK-90 to BRK-92): the place of its leaf in the tree
 * of requests that one quote answered, and what is needed beside the token's own claims to recompute the leaf and what
 * the devices signed. It stands as `commitment` in the claim `attestd`. Audiences, nonces and key are not repeated: they
 * are those of the token.
 */
export interface RequestCommitment {
  /** The verifier's challenge. */
  readonly challenge: Uint8Array
  readonly index: number
  readonly size: number
  /** Sibling hashes, lowest first. */
  readonly path: readonly Uint8Array[]
  /** 16 random bytes of this request alone. */
  readonly salt: Uint8Array
  /** The lifetime that was asked for, in seconds. */
  readonly ttlS: number | null
  /** The policies that were asked for. */
  readonly policyIds: readonly string[]
  /** Digest of the evidence of the devices beside the TD (BRK-92): 32 bytes, or none. */
  readonly devices: Uint8Array
}

/** Members of the claim, sorted by name; bytes in base64url without padding. */
export function encodeCommitment(commitment: RequestCommitment): JsonObject {
  const { challenge, devices, index, path, policyIds, salt, size, ttlS } = commitment
  return {
    challenge: toBase64url(challenge),
    devices: toBase64url(devices),
    index,
    path: path.map(toBase64url),
    policies: [...policyIds],
    salt: toBase64url(salt),
    size,
    ttl: ttlS,
  }
}
