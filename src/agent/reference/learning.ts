import { shownName } from '../../base/escaped-name.ts'
import type { DigestSet } from '../../reference-values/digest-set.ts'
import { ReferenceCollector } from '../../reference-values/reference-collector.ts'
import { maximumReferenceName } from '../../reference-values/reference-line.ts'
import { type MeasuredName, measuredName, type ReferenceItem } from '../../reference-values/reference-values.ts'

/** Why something was not learned. Those of `doubts` may be the work of an attacker, and are never learned silently. */
export const leftOutReasons = {
  changed: 'changed while it was read',
  unreadable: 'could not be read',
  'differs-from-package': 'differs from the manifest of its package',
  'changed-configuration': 'is a configuration file that was changed',
  unowned: 'belongs to no package',
  unlisted: 'has no checksum in the manifest of its package',
  'missing-from-tree': 'is in the manifest of a package and not in the tree',
  'weak-digest': 'has only a digest that is too weak (MD5)',
  violation: 'was open for writing while it was measured (violation)',
  'boot-aggregate': 'is the boot aggregate, which is no file',
  'unknown-template': 'has a template that is not known',
  'unknown-algorithm': 'has a digest of an algorithm that reference values do not have',
  'false-buffer': 'is a buffer whose digest is of something else',
  'other-register': 'was measured into another register than that of IMA',
  'long-name': 'has a name that is longer than that of any file',
  link: 'is a symbolic link',
  special: 'is no regular file',
  'other-file-system': 'is on another file system',
  excluded: 'was excluded',
  'not-executable': 'is not executable',
} as const

export type LeftOutReason = keyof typeof leftOutReasons

export const doubts: readonly LeftOutReason[] = [
  'changed',
  'unreadable',
  'differs-from-package',
  'changed-configuration',
  'unowned',
  'false-buffer',
]

export interface LeftOut {
  readonly count: number
  /** The first ones, escaped. */
  readonly examples: readonly string[]
}

const maximumExamples = 100

/** What a document writes as a name. */
function nameOf(item: ReferenceItem): MeasuredName {
  if (item.kind === 'file') return item.path
  if (item.kind === 'key') return item.keyring
  return item.kind === 'buffer' ? item.name : ''
}

/** What was learned, and what was left out and why. */
export class Learning {
  readonly collector = new ReferenceCollector()
  #leftOut = new Map<LeftOutReason, { count: number; examples: string[] }>()

  /** A file by its path in the file system; it is named as IMA will name it. */
  file(path: MeasuredName, digests: DigestSet): void {
    this.add({ kind: 'file', path: measuredName(path), digests })
  }

  add(item: ReferenceItem): void {
    const name = nameOf(item)
    if (name.length > maximumReferenceName) this.leaveOut('long-name', name)
    else this.collector.add(item)
  }

  leaveOut(reason: LeftOutReason, name: MeasuredName): void {
    const entry = this.#leftOut.get(reason) ?? { count: 0, examples: [] }
    entry.count++
    if (entry.examples.length < maximumExamples) entry.examples.push(shownName(Buffer.from(name, 'latin1')))
    this.#leftOut.set(reason, entry)
  }

  /** By reason, in the order of `leftOutReasons`. */
  leftOut(): ReadonlyMap<LeftOutReason, LeftOut> {
    const reasons = Object.keys(leftOutReasons) as LeftOutReason[]
    return new Map(
      reasons.flatMap((reason) => {
        const entry = this.#leftOut.get(reason)
        return entry === undefined ? [] : [[reason, entry] as const]
      }),
    )
  }
}
