import { MalformedError } from '../base/errors.ts'
import { shownName } from '../base/escaped-name.ts'
import { type DigestSet, uniteDigests } from './digest-set.ts'
import { encodeReferenceItem } from './encode-reference-values.ts'
import { otherItems } from './reference-items.ts'
import type { MeasuredName, PatternReference, ReferenceItem, ReferenceValues } from './reference-values.ts'

/** Of one path: 16 384 of SHA-256. More cost time for every one that is added, and say nothing about the file. */
const maximumOfOne = 16_384 * 33

/**
 * Puts items together, from one document or several: digests of one path (or glob, or buffer) are united, and whatever is
 * said twice counts once.
 */
export class ReferenceCollector {
  #files = new Map<MeasuredName, DigestSet>()
  #patterns = new Map<string, PatternReference>()
  #buffers = new Map<MeasuredName, DigestSet>()
  #others = new Map<string, Extract<ReferenceItem, { kind: 'exclude' | 'key' | 'pcrs' }>>()
  #repeated = 0

  /** Items that named something again that was there, and so were united with it. */
  get repeated(): number {
    return this.#repeated
  }

  get fileCount(): number {
    return this.#files.size
  }

  get otherCount(): number {
    return this.#patterns.size + this.#buffers.size + this.#others.size
  }

  addFile(path: MeasuredName, digests: DigestSet): void {
    this.#unite(this.#files, path, digests)
  }

  add(item: ReferenceItem): void {
    if (item.kind === 'file') this.addFile(item.path, item.digests)
    else if (item.kind === 'buffer') this.#unite(this.#buffers, item.name, item.digests)
    else if (item.kind === 'files') this.#addPattern(item)
    else this.#addOther(item)
  }

  addAll(values: ReferenceValues): void {
    for (const [path, digests] of values.files) this.addFile(path, digests)
    for (const item of otherItems(values)) this.add(item)
  }

  build(): ReferenceValues {
    const others = [...this.#others.values()]
    return {
      files: this.#files,
      patterns: [...this.#patterns.values()],
      buffers: Array.from(this.#buffers, ([name, digests]) => ({ name, digests })),
      excludes: others.flatMap(({ kind, ...rule }) => (kind === 'exclude' && 'pattern' in rule ? [rule] : [])),
      keys: others.flatMap(({ kind, ...key }) => (kind === 'key' && 'keyring' in key ? [key] : [])),
      pcrs: others.flatMap(({ kind, ...golden }) => (kind === 'pcrs' && 'image' in golden ? [golden] : [])),
    }
  }

  #unite(into: Map<string, DigestSet>, name: string, digests: DigestSet): void {
    const before = into.get(name)
    if (before !== undefined) this.#repeated++
    const united = before === undefined ? digests : uniteDigests(before, digests)
    if (united.length > maximumOfOne) {
      const shown = shownName(Buffer.from(name, 'latin1'))
      throw new MalformedError({ path: shown }, `has more than ${maximumOfOne} bytes of digests`)
    }
    into.set(name, united)
  }

  #addPattern({ pattern, digests }: PatternReference): void {
    const name = `${pattern.kind} ${pattern.text}`
    const before = this.#patterns.get(name)
    if (before !== undefined) this.#repeated++
    this.#patterns.set(name, { pattern, digests: uniteDigests(before?.digests ?? '', digests) })
  }

  #addOther(item: Extract<ReferenceItem, { kind: 'exclude' | 'key' | 'pcrs' }>): void {
    const line = encodeReferenceItem(item)
    if (this.#others.has(line)) this.#repeated++
    else this.#others.set(line, item)
  }
}

/** What several documents say together: allow-lists of packages, and an operator's own. The order does not matter. */
export function joinReferenceValues(parts: Iterable<ReferenceValues>): ReferenceValues {
  const collector = new ReferenceCollector()
  for (const part of parts) collector.addAll(part)
  return collector.build()
}
