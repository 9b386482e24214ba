import { digestSet, type ReferenceAlgorithm } from '../../reference-values/digest-set.ts'
import { createPathMatcher } from '../../reference-values/path-matcher.ts'
import type { MeasuredName } from '../../reference-values/reference-values.ts'
import { hashFile } from './hash-file.ts'
import type { Learning } from './learning.ts'
import { forEachAtOnce, type TreeEntry, walkTree } from './walk-tree.ts'

export interface TreeLearning {
  readonly algorithm: ReferenceAlgorithm
  /** Stands before every path: where the tree will be mounted. Without a `/` at its end. */
  readonly rootPrefix: MeasuredName
  /** Globs over paths with the prefix. */
  readonly exclude: readonly string[]
  readonly executableOnly: boolean
  readonly crossFileSystems: boolean
  /** Called for every file that was looked at. */
  readonly onFile: () => void
}

/** A test of paths by globs. Throws `MalformedError`. */
export function exclusion(globs: readonly string[]): (name: MeasuredName) => boolean {
  const matches = createPathMatcher(globs.map((text) => ({ kind: 'glob', text })))
  return (name) => {
    const bytes = Buffer.from(name, 'latin1')
    return matches(bytes, 0, bytes.length).length > 0
  }
}

async function learnFile({ path }: TreeEntry, name: MeasuredName, learning: Learning, options: TreeLearning) {
  const hashed = await hashFile(path, [options.algorithm])
  options.onFile()
  if (hashed.outcome !== 'hashed') learning.leaveOut(hashed.outcome, name)
  else if (options.executableOnly && !hashed.executable) learning.leaveOut('not-executable', name)
  else learning.file(name, digestSet(hashed.digests.map((digest) => ({ algorithm: options.algorithm, digest }))))
}

/** Learns the regular files of a directory tree, such as the root of an image. */
export async function learnTree(root: string, learning: Learning, options: TreeLearning): Promise<void> {
  const isExcluded = exclusion(options.exclude)
  const named = (name: MeasuredName) => `${options.rootPrefix}${name}`
  const tree = walkTree(root, {
    isExcluded: (name) => isExcluded(named(name)),
    crossFileSystems: options.crossFileSystems,
  })
  await forEachAtOnce(tree, async (entry) => {
    const name = named(entry.name)
    if (entry.kind === 'file') await learnFile(entry, name, learning, options)
    else learning.leaveOut(entry.kind, name)
  })
}
