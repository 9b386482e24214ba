import type { ReferenceDifferences } from '../../reference-values/differences.ts'
import { encodeReferenceItem, referenceValuesId } from '../../reference-values/encode-reference-values.ts'
import type { ReferenceDocument } from '../../reference-values/parse-reference-values.ts'
import { createPathMatcher } from '../../reference-values/path-matcher.ts'
import { otherItems } from '../../reference-values/reference-items.ts'
import type { ReferenceItem, ReferenceValues } from '../../reference-values/reference-values.ts'
import type { Doubt } from '../reference/examine-references.ts'
import { doubts, type Learning, type LeftOutReason, leftOutReasons } from '../reference/learning.ts'
import { type CommandIo, escaped, painted } from './terminal.ts'

const counted = (count: number, one: string) => `${count} ${count === 1 ? one : `${one}s`}`

/** How much of each kind there is. */
function countsOf({ files, patterns, excludes, keys, buffers, pcrs }: ReferenceValues): Record<string, number> {
  const lists = { patterns, excludes, keys, buffers, images: pcrs }
  return { files: files.size, ...Object.fromEntries(Object.entries(lists).map(([name, list]) => [name, list.length])) }
}

function shownCounts(values: ReferenceValues): string {
  return Object.entries(countsOf(values))
    .filter(([name, count]) => count > 0 || name === 'files')
    .map(([name, count]) => counted(count, name.slice(0, -1)))
    .join(', ')
}

const isDoubt = (reason: LeftOutReason) => doubts.includes(reason)
const shownExamples = 10

/** What was learned: numbers, then what was left out and why; doubts with their names. */
export function renderLearning(learning: Learning, values: ReferenceValues, io: Pick<CommandIo, 'colour'>): string {
  const lines = [`learned ${shownCounts(values)}`, `id      ${referenceValuesId(values)}`]
  for (const [reason, { count, examples }] of learning.leftOut()) {
    const line = `left out ${count}: ${leftOutReasons[reason]}`
    lines.push(isDoubt(reason) ? painted(io, 'yellow', line) : line)
    if (!isDoubt(reason)) continue
    lines.push(...examples.slice(0, shownExamples).map((name) => `  ${name}`))
    if (count > shownExamples) lines.push(`  and ${count - shownExamples} more`)
  }
  return `${lines.join('\n')}\n`
}

export function learningDocument(learning: Learning, values: ReferenceValues): Record<string, unknown> {
  const leftOut = [...learning.leftOut()].map(([reason, { count, examples }]) => [reason, { count, examples }])
  return { id: referenceValuesId(values), learned: countsOf(values), left_out: Object.fromEntries(leftOut) }
}

type Headed = Pick<ReferenceDocument, 'header' | 'values'>

/** Name, id and numbers of a document, as JSON. */
export function documentHead({ header: { name, description }, values }: Headed): Record<string, unknown> {
  const about = description === null ? { name } : { name, description }
  return { ...about, id: referenceValuesId(values), counts: countsOf(values) }
}

/** Name, id and numbers of a document. */
export function renderHead({ header, values }: Headed): string {
  const description = header.description === null ? '' : `${escaped(header.description)}\n`
  return `${escaped(header.name)}\n${description}${shownCounts(values)}\nid ${referenceValuesId(values)}\n`
}

/** Files whose path matches the glob, as items; everything else if there is none. */
export function* shownItems(values: ReferenceValues, glob: string | undefined): Generator<ReferenceItem> {
  if (glob === undefined) {
    yield* otherItems(values)
    return
  }
  const matches = createPathMatcher([{ kind: 'glob', text: glob }])
  for (const [path, digests] of values.files) {
    const bytes = Buffer.from(path, 'latin1')
    if (matches(bytes, 0, bytes.length).length > 0) yield { kind: 'file', path, digests }
  }
}

/** Items with the sign of what became of them, in the order of a document. */
function* differenceLines({ files, others }: ReferenceDifferences): Generator<readonly ['+' | '-', ReferenceItem]> {
  for (const item of others.removed) yield ['-', item]
  for (const item of others.added) yield ['+', item]
  for (const [path, digests] of files.removed) yield ['-', { kind: 'file', path, digests }]
  for (const { path, added, removed } of files.changed) {
    if (removed !== '') yield ['-', { kind: 'file', path, digests: removed }]
    if (added !== '') yield ['+', { kind: 'file', path, digests: added }]
  }
  for (const [path, digests] of files.added) yield ['+', { kind: 'file', path, digests }]
}

/** One line for each item that is only in one document: `-` the first, `+` the second. */
export function* renderDifferences(found: ReferenceDifferences, io: Pick<CommandIo, 'colour'>): Generator<string> {
  for (const [sign, item] of differenceLines(found)) {
    yield `${painted(io, sign === '+' ? 'green' : 'red', `${sign} ${encodeReferenceItem(item)}`)}\n`
  }
}

export function differencesDocument(found: ReferenceDifferences): Record<string, unknown> {
  const items = [...differenceLines(found)]
  const of = (sign: '+' | '-') =>
    items.flatMap(([each, item]) => (each === sign ? [JSON.parse(encodeReferenceItem(item))] : []))
  return { removed: of('-'), added: of('+') }
}

export function renderDoubts(doubted: readonly Doubt[], io: Pick<CommandIo, 'colour'>): string {
  const lines = doubted.flatMap(({ says, count, examples }) => [
    painted(io, 'yellow', `${count} ${says}`),
    ...examples.map((name) => `  ${escaped(name)}`),
    ...(count > examples.length && examples.length > 0 ? [`  and ${count - examples.length} more`] : []),
  ])
  return lines.map((line) => `${line}\n`).join('')
}
