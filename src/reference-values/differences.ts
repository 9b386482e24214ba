import { type DigestSet, withoutDigests } from './digest-set.ts'
import { encodeReferenceItem } from './encode-reference-values.ts'
import { otherItems } from './reference-items.ts'
import type { MeasuredName, ReferenceItem, ReferenceValues } from './reference-values.ts'

/** A path of which other digests are accepted than before. Those that stayed are in neither set. */
export interface ChangedFile {
  readonly path: MeasuredName
  readonly added: DigestSet
  readonly removed: DigestSet
}

export type OtherItem = Exclude<ReferenceItem, { kind: 'file' }>

/** What has to be done to the values before to have the values after. */
export interface ReferenceDifferences {
  readonly files: {
    readonly added: ReadonlyMap<MeasuredName, DigestSet>
    readonly removed: ReadonlyMap<MeasuredName, DigestSet>
    readonly changed: readonly ChangedFile[]
  }
  /** Patterns, excludes, keys, buffers and PCRs: one that was changed is removed and added. */
  readonly others: { readonly added: readonly OtherItem[]; readonly removed: readonly OtherItem[] }
}

type Files = ReadonlyMap<MeasuredName, DigestSet>

const notIn = (files: Files, others: Files): Map<MeasuredName, DigestSet> =>
  new Map([...files].filter(([path]) => !others.has(path)))

function changedFiles(before: Files, after: Files): ChangedFile[] {
  const changed: ChangedFile[] = []
  for (const [path, digests] of before) {
    const now = after.get(path)
    if (now === undefined || now === digests) continue
    changed.push({ path, added: withoutDigests(now, digests), removed: withoutDigests(digests, now) })
  }
  return changed
}

function otherLines(values: ReferenceValues): Map<string, OtherItem> {
  return new Map(Array.from(otherItems(values), (item) => [encodeReferenceItem(item), item]))
}

function missing(from: ReadonlyMap<string, OtherItem>, others: ReadonlyMap<string, OtherItem>): OtherItem[] {
  return [...from].flatMap(([line, item]) => (others.has(line) ? [] : [item]))
}

/** Compares two sets of reference values, path by path and item by item. */
export function differences(before: ReferenceValues, after: ReferenceValues): ReferenceDifferences {
  const [othersBefore, othersAfter] = [otherLines(before), otherLines(after)]
  return {
    files: {
      added: notIn(after.files, before.files),
      removed: notIn(before.files, after.files),
      changed: changedFiles(before.files, after.files),
    },
    others: { added: missing(othersAfter, othersBefore), removed: missing(othersBefore, othersAfter) },
  }
}

/** True where both sides say the same. */
export function areEqual({ files, others }: ReferenceDifferences): boolean {
  const counts = [
    files.added.size,
    files.removed.size,
    files.changed.length,
    others.added.length,
    others.removed.length,
  ]
  return counts.every((count) => count === 0)
}
