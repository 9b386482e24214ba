import { escapedName } from '../../base/escaped-name.ts'
import { type DigestSet, hasAlgorithm } from '../../reference-values/digest-set.ts'
import type { ReferenceDocument } from '../../reference-values/parse-reference-values.ts'
import { createPathMatcher } from '../../reference-values/path-matcher.ts'
import type { PathPattern } from '../../reference-values/path-pattern.ts'
import type { ExcludeRule, ReferenceValues } from '../../reference-values/reference-values.ts'

/** Something in a document that is allowed, and that its author hardly wants. */
export interface Doubt {
  readonly about: 'weak-digest' | 'weak-pcrs' | 'hidden-file' | 'covered-exclude' | 'key-without-der' | 'repeated'
  readonly says: string
  readonly count: number
  /** The first ones, escaped. */
  readonly examples: readonly string[]
}

const maximumExamples = 10

const shown = (name: string) => escapedName(Buffer.from(name, 'latin1'))

function doubt(about: Doubt['about'], says: string, names: readonly string[]): Doubt[] {
  const examples = names.slice(0, maximumExamples)
  return names.length === 0 ? [] : [{ about, says, count: names.length, examples }]
}

/** Collisions of SHA-1 can be made: two files, one that is listed and one that is run. */
const isWeak = (digests: DigestSet) => hasAlgorithm(digests, 'sha1')

function weakDigests({ files, patterns, buffers }: ReferenceValues): Doubt[] {
  const names = [
    ...[...files].filter(([, digests]) => isWeak(digests)).map(([path]) => shown(path)),
    ...patterns.filter(({ digests }) => isWeak(digests)).map(({ pattern }) => pattern.text),
    ...buffers.filter(({ digests }) => isWeak(digests)).map(({ name }) => shown(name)),
  ]
  return doubt('weak-digest', 'accept a SHA-1 digest, of which collisions can be made', names)
}

function weakPcrs({ pcrs }: ReferenceValues): Doubt[] {
  const weak = pcrs.filter(({ banks }) => banks.every(({ hash }) => hash === 'sha1'))
  return doubt(
    'weak-pcrs',
    'give PCRs of the SHA-1 bank alone, which never suffice',
    weak.map(({ image }) => image),
  )
}

const textOf = ({ kind, text }: PathPattern) => (kind === 'glob' ? text : `prefix ${text}`)

/** An accepted digest says nothing about a file that is not judged. */
function hiddenFiles({ files, excludes }: ReferenceValues): Doubt[] {
  const matches = createPathMatcher(excludes.map(({ pattern }) => pattern))
  const hidden: string[] = []
  for (const path of files.keys()) {
    const bytes = Buffer.from(path, 'latin1')
    const [first] = matches(bytes, 0, bytes.length)
    const rule = first === undefined ? undefined : excludes[first]
    if (rule !== undefined) hidden.push(`${shown(path)} (${textOf(rule.pattern)})`)
  }
  return doubt('hidden-file', 'are listed with digests, and excluded: they are not judged', hidden)
}

/** What every matching path begins with, if the rule asks for nothing else; null for other globs. */
function prefixOf({ kind, text }: PathPattern): string | null {
  if (kind === 'prefix') return text
  return /^[^*?[\]{}\\]+\*\*$/.test(text) ? text.slice(0, -2) : null
}

/** What every path that it matches begins with. */
const startOf = ({ kind, text }: PathPattern) => (kind === 'prefix' ? text : (/^[^*?[\]{}\\]*/.exec(text)?.[0] ?? ''))

function coveredExcludes({ excludes }: ReferenceValues): Doubt[] {
  const isCoveredBy = (rule: ExcludeRule, other: ExcludeRule, later: boolean) => {
    const [mine, theirs] = [prefixOf(rule.pattern), prefixOf(other.pattern)]
    if (theirs === null || !startOf(rule.pattern).startsWith(theirs)) return false
    return mine !== theirs || later
  }
  const covered = excludes.flatMap((rule, index) => {
    const by = excludes.find((other, at) => at !== index && isCoveredBy(rule, other, at < index))
    return by === undefined ? [] : [`${textOf(rule.pattern)} (by ${textOf(by.pattern)})`]
  })
  return doubt('covered-exclude', 'exclude what another rule excludes', covered)
}

function keysWithoutDer({ keys }: ReferenceValues): Doubt[] {
  const names = keys.filter(({ der }) => der === null).map(({ keyring, sha256 }) => `${shown(keyring)} ${sha256}`)
  return doubt('key-without-der', 'are keys that may be loaded, and by which no signature is verified', names)
}

/** Looks for what is weak, hidden or said twice in a document. */
export function examineReferences({ values, repeated }: ReferenceDocument): Doubt[] {
  const again: Doubt = {
    about: 'repeated',
    says: 'name again what an earlier line names',
    count: repeated,
    examples: [],
  }
  return [
    ...weakDigests(values),
    ...weakPcrs(values),
    ...hiddenFiles(values),
    ...coveredExcludes(values),
    ...keysWithoutDer(values),
    ...(repeated === 0 ? [] : [again]),
  ]
}
