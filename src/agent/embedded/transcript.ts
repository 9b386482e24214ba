import type { RandomSource } from '../../base/random.ts'
import { type BoundRequest, deriveSeed, encodeTokenRequest } from '../../evidence/binding.ts'
import { hashLeaf, treeRoot } from '../../evidence/request-tree.ts'

/** One request under a verifier's challenge: everything that the quotes of all devices will cover (BRK-90, BRK-91). */
export interface TokenTranscript {
  readonly verifier: string
  readonly challenge: Uint8Array
  readonly request: BoundRequest
  /** 16 random bytes. */
  readonly salt: Uint8Array
}

export function drawSalt(random: RandomSource): Uint8Array {
  return random(16)
}

/** The 48 bytes of seed of a tree with this one request (BRK-86, BRK-91). */
export function seedOf({ verifier, challenge, request, salt }: TokenTranscript): Uint8Array {
  const root = treeRoot([hashLeaf(encodeTokenRequest(request, salt))])
  return deriveSeed({ purpose: 'token', verifier, challenge, root, size: 1, agentKey: null })
}
