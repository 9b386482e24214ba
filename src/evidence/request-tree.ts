import { createHash } from 'node:crypto'
import { equalBytes } from '../base/bytes.ts'

/**
 * The tree over the requests of one quote (BRK-86), in the shape of RFC 9162 section 2.1: split at the largest power
 * of two below the size, no leaf twice. Leaves and nodes are hashed with different prefixes, so that no request can
 * pose as an inner node.
 */

/** Requests that one quote may answer (BRK-85, SVC-53). */
export const maxTreeSize = 1024

function hashWithPrefix(prefix: number, ...parts: readonly Uint8Array[]): Uint8Array {
  const hash = createHash('sha256').update(Uint8Array.of(prefix))
  for (const part of parts) hash.update(part)
  return new Uint8Array(hash.digest())
}

/** Leaf of one encoded request (`encodeTokenRequest`): SHA-256(0x00 ‖ R), 32 bytes. */
export function hashLeaf(request: Uint8Array): Uint8Array {
  return hashWithPrefix(0, request)
}

/** Inner node: SHA-256(0x01 ‖ left ‖ right), 32 bytes. */
export function hashNode(left: Uint8Array, right: Uint8Array): Uint8Array {
  return hashWithPrefix(1, left, right)
}

function requireSize(size: number): void {
  if (!Number.isInteger(size) || size < 1 || size > maxTreeSize) {
    throw new RangeError(`a request tree has 1 to ${maxTreeSize} leaves, not ${size}`)
  }
}

/** The largest power of two below `size`, which is at least 2. */
function splitPoint(size: number): number {
  return 2 ** (31 - Math.clz32(size - 1))
}

function foldLeaves(leaves: readonly Uint8Array[]): Uint8Array {
  const [first] = leaves
  if (first !== undefined && leaves.length === 1) return first
  const split = splitPoint(leaves.length)
  return hashNode(foldLeaves(leaves.slice(0, split)), foldLeaves(leaves.slice(split)))
}

/** Root over 1 to 1 024 leaves of 32 bytes; that of a single leaf is the leaf. */
export function treeRoot(leaves: readonly Uint8Array[]): Uint8Array {
  requireSize(leaves.length)
  return foldLeaves(leaves)
}

/** The sibling hashes that lead from the leaf at `index` to the root, lowest first. */
export function inclusionPath(leaves: readonly Uint8Array[], index: number): Uint8Array[] {
  requireSize(leaves.length)
  if (!Number.isInteger(index) || index < 0 || index >= leaves.length) throw new RangeError(`no leaf ${index}`)
  if (leaves.length === 1) return []
  const split = splitPoint(leaves.length)
  const [left, right] = [leaves.slice(0, split), leaves.slice(split)]
  return index < split
    ? [...inclusionPath(left, index), foldLeaves(right)]
    : [...inclusionPath(right, index - split), foldLeaves(left)]
}

/** A tree of requests with the way from every leaf to the root. */
export interface RequestTree {
  readonly root: Uint8Array
  /** One for each leaf, in the order of the leaves; as `inclusionPath` gives them. */
  readonly paths: readonly (readonly Uint8Array[])[]
}

/** The subtree over leaves `from` to `to`, whose root every path below it still lacks. */
function foldWithPaths(leaves: readonly Uint8Array[], paths: Uint8Array[][], from: number, to: number): Uint8Array {
  const first = leaves[from]
  if (first !== undefined && to - from === 1) return first
  const split = from + splitPoint(to - from)
  const left = foldWithPaths(leaves, paths, from, split)
  const right = foldWithPaths(leaves, paths, split, to)
  for (let leaf = from; leaf < to; leaf++) paths[leaf]?.push(leaf < split ? right : left)
  return hashNode(left, right)
}

/** Root and all paths over 1 to 1 024 leaves of 32 bytes at once: every node is hashed once. */
export function growRequestTree(leaves: readonly Uint8Array[]): RequestTree {
  requireSize(leaves.length)
  const paths = leaves.map((): Uint8Array[] => [])
  return { root: foldWithPaths(leaves, paths, 0, leaves.length), paths }
}

/** Where a request claims to stand in the tree. Everything in it comes from the sender. */
export interface InclusionProof {
  readonly index: number
  readonly size: number
  readonly path: readonly Uint8Array[]
}

function isPlausible({ index, size, path }: InclusionProof): boolean {
  return (
    Number.isInteger(size) &&
    size >= 1 &&
    size <= maxTreeSize &&
    Number.isInteger(index) &&
    index >= 0 &&
    index < size &&
    path.every((sibling) => sibling.length === 32)
  )
}

/** The root that the proof leads to, or null if the path is not exactly as long as index and size say. */
function foldPath(leaf: Uint8Array, { index, size, path }: InclusionProof): Uint8Array | null {
  let [node, last, hash] = [index, size - 1, leaf]
  for (const sibling of path) {
    if (last === 0) return null
    if (node % 2 === 1 || node === last) {
      hash = hashNode(sibling, hash)
      while (node % 2 === 0 && node !== 0) {
        node >>= 1
        last >>= 1
      }
    } else {
      hash = hashNode(hash, sibling)
    }
    node >>= 1
    last >>= 1
  }
  return last === 0 ? hash : null
}

/**
 * The root to which a proof leads from `leaf` (RFC 9162 section 2.1.3.2); null for an index outside the size, a path of any
 * other length than these two demand, and siblings that are not 32 bytes. Proves nothing by itself: what a device signed
 * must follow from this root and the size.
 */
export function inclusionRoot(leaf: Uint8Array, proof: InclusionProof): Uint8Array | null {
  return isPlausible(proof) ? foldPath(leaf, proof) : null
}

/**
 * True if `leaf` stands at `index` in the tree of `size` leaves under `root` (RFC 9162 section 2.1.3.2). False for an
 * index outside the size, a path of any other length, and siblings that are not 32 bytes; never throws.
 */
export function verifyInclusion(leaf: Uint8Array, proof: InclusionProof, root: Uint8Array): boolean {
  const found = inclusionRoot(leaf, proof)
  return found !== null && equalBytes(found, root)
}
