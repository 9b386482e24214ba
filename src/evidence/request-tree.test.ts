import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { toHex } from '../base/bytes.ts'
import {
  growRequestTree,
  hashLeaf,
  hashNode,
  inclusionPath,
  inclusionRoot,
  maxTreeSize,
  treeRoot,
  verifyInclusion,
} from './request-tree.ts'

const leavesOf = (size: number) =>
  Array.from({ length: size }, (_, index) => hashLeaf(Uint8Array.of(index >> 8, index)))
const at = (leaves: readonly Uint8Array[], index: number) => leaves[index] as Uint8Array

describe('the request tree (BRK-86)', () => {
  it('has the shape of RFC 9162: five leaves are split 4 + 1', () => {
    const leaves = leavesOf(5)
    const node = (left: number, right: number) => hashNode(at(leaves, left), at(leaves, right))
    expect(toHex(treeRoot(leaves))).toBe(toHex(hashNode(hashNode(node(0, 1), node(2, 3)), at(leaves, 4))))
  })

  it('has its only leaf as root', () => {
    const leaves = leavesOf(1)
    expect(treeRoot(leaves)).toEqual(leaves[0])
    expect(inclusionPath(leaves, 0)).toEqual([])
  })

  it('grows at once with the paths that are found one by one, and every proof leads to its root', () => {
    for (const size of [1, 2, 3, 5, 8, 13, 64, 65, 100]) {
      const leaves = leavesOf(size)
      const { root, paths } = growRequestTree(leaves)
      expect(root).toEqual(treeRoot(leaves))
      expect(paths).toEqual(leaves.map((_, index) => inclusionPath(leaves, index)))
      paths.forEach((path, index) => {
        expect(inclusionRoot(at(leaves, index), { index, size, path })).toEqual(root)
        expect(inclusionRoot(at(leaves, index), { index: size, size, path })).toBeNull()
        expect(inclusionRoot(at(leaves, index), { index, size, path: [...path, root] })).toBeNull()
      })
    }
    expect(() => growRequestTree([])).toThrow(RangeError)
    expect(() => growRequestTree(leavesOf(maxTreeSize + 1))).toThrow(RangeError)
  })

  it('tells a leaf from a node with the same content', () => {
    const [left, right] = leavesOf(2) as [Uint8Array, Uint8Array]
    expect(toHex(hashLeaf(new Uint8Array([...left, ...right])))).not.toBe(toHex(hashNode(left, right)))
  })

  it('proves every leaf of every size up to 70, and of the largest', () => {
    for (const size of [...Array.from({ length: 70 }, (_, index) => index + 1), maxTreeSize]) {
      const leaves = leavesOf(size)
      const root = treeRoot(leaves)
      const indices = size > 70 ? [0, 1, 511, 512, size - 1] : leaves.keys()
      for (const index of indices) {
        const path = inclusionPath(leaves, index)
        expect(verifyInclusion(at(leaves, index), { index, size, path }, root)).toBe(true)
      }
    }
  })

  it('refuses a path that is longer or shorter than index and size say, though its hashes lead to the root', () => {
    const eight = leavesOf(8)
    const last = { index: 3, size: 4, path: inclusionPath(eight, 7) }
    expect(verifyInclusion(at(eight, 7), last, treeRoot(eight))).toBe(false)
    const four = leavesOf(4)
    const first = { index: 0, size: 8, path: inclusionPath(four, 0) }
    expect(verifyInclusion(at(four, 0), first, treeRoot(four))).toBe(false)
    expect(verifyInclusion(at(four, 3), { index: 3, size: 2, path: inclusionPath(four, 3) }, treeRoot(four))).toBe(
      false,
    )
  })

  it('refuses siblings that are no hashes, though the root was made of them', () => {
    const leaf = hashLeaf(new Uint8Array(1))
    for (const size of [0, 31, 33, 64]) {
      const sibling = new Uint8Array(size)
      expect(verifyInclusion(leaf, { index: 1, size: 2, path: [sibling] }, hashNode(sibling, leaf))).toBe(false)
    }
  })

  it('refuses sizes out of bounds', () => {
    expect(() => treeRoot([])).toThrow(RangeError)
    expect(() => treeRoot(leavesOf(maxTreeSize + 1))).toThrow(RangeError)
    expect(() => inclusionPath(leavesOf(3), 3)).toThrow(RangeError)
    expect(() => inclusionPath(leavesOf(3), -1)).toThrow(RangeError)
  })

  it('refuses every proof that is not exactly the right one', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 40 }), fc.nat(), fc.nat(), (size, pick, other) => {
        const leaves = leavesOf(size)
        const root = treeRoot(leaves)
        const index = pick % size
        const path = inclusionPath(leaves, index)
        const leaf = at(leaves, index)
        const stranger = hashLeaf(new Uint8Array(3))
        const bad = [
          { index, size, path: [...path, stranger] },
          { index, size, path: [stranger, ...path] },
          { index: size, size, path },
          { index: -1, size, path },
          { index: index + 0.5, size, path },
          { index, size: 0, path },
          { index, size: size + 2 ** 32, path },
          { index, size: Number.NaN, path },
          ...(path.length > 0
            ? [
                { index, size, path: path.slice(1) },
                { index, size, path: path.slice(0, -1) },
                { index, size, path: path.map((sibling, step) => (step === other % path.length ? stranger : sibling)) },
                { index, size, path: path.map((sibling) => sibling.subarray(1)) },
              ]
            : []),
        ]
        for (const proof of bad) expect(verifyInclusion(leaf, proof, root)).toBe(false)
        expect(verifyInclusion(stranger, { index, size, path }, root)).toBe(false)
        if (size > 1) expect(verifyInclusion(leaf, { index: (index + 1) % size, size, path }, root)).toBe(false)
      }),
    )
  })
})
