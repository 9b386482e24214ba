import type { RandomSource } from '../../base/random.ts'
import { type BoundRequest, deriveSeed, encodeTokenRequest } from '../../evidence/binding.ts'
import { growRequestTree, hashLeaf, type RequestTree } from '../../evidence/request-tree.ts'
import type { RequestCommitment } from '../../results/request-commitment.ts'

/** One request with what hides it from those who share its batch (BRK-90). */
export interface SaltedRequest {
  readonly request: BoundRequest
  /** 16 random bytes, of this request alone. */
  readonly salt: Uint8Array
  readonly leaf: Uint8Array
}

/** Draws the salt and hashes the leaf (BRK-86). Throws `MalformedError` for a value that has no encoding. */
export function saltRequest(request: BoundRequest, random: RandomSource): SaltedRequest {
  const salt = random(16)
  return { request, salt, leaf: hashLeaf(encodeTokenRequest(request, salt)) }
}

/** The requests of one batch and the tree over them. */
export interface RequestBatch {
  readonly requests: readonly SaltedRequest[]
  readonly tree: RequestTree
}

/** A salt that is there twice is no chance: the source of chance is broken, and nothing must be built on it (SVC-53). */
export function batchRequests(requests: readonly SaltedRequest[]): RequestBatch {
  const salts = new Set(requests.map(({ salt }) => Buffer.from(salt).toString('hex')))
  if (salts.size !== requests.length) throw new TypeError('two requests of a batch were given the same salt')
  return { requests, tree: growRequestTree(requests.map(({ leaf }) => leaf)) }
}

/** A batch under a verifier's challenge: everything that the quotes of all devices will cover (BRK-91). */
export interface TokenTranscript {
  readonly verifier: string
  readonly challenge: Uint8Array
  readonly batch: RequestBatch
}

/** The 48 bytes of seed (BRK-91). */
export function seedOf({ verifier, challenge, batch }: TokenTranscript): Uint8Array {
  const { root, paths } = batch.tree
  return deriveSeed({ purpose: 'token', verifier, challenge, root, size: paths.length, agentKey: null })
}

/** Where the request at `index` stands in what the quotes cover; `devices` as `digestDevices` gives it (BRK-92). */
export function commitmentOf(
  { challenge, batch }: TokenTranscript,
  devices: Uint8Array,
  index: number,
): RequestCommitment {
  const { requests, tree } = batch
  const [salted, path] = [requests[index], tree.paths[index]]
  if (salted === undefined || path === undefined) throw new TypeError(`the batch has no request ${index}`)
  const { request, salt } = salted
  const { ttlS, policyIds } = request
  return { challenge, devices, index, size: requests.length, path, salt, ttlS, policyIds }
}
