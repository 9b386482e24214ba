import { createHash } from 'node:crypto'
import { toHex } from '../base/bytes.ts'
import { escapedName } from '../base/escaped-name.ts'
import { type DigestSet, digestsOf, maximumDigests, referenceAlgorithmNames, splitDigests } from './digest-set.ts'
import type { PathPattern } from './path-pattern.ts'
import { otherItems } from './reference-items.ts'
import type { GoldenBank, MeasuredName, ReferenceHeader, ReferenceItem, ReferenceValues } from './reference-values.ts'

const chunkLength = 1 << 16
const plainName = /^[ !#-[\]-~]*$/

const nameText = (name: MeasuredName): string =>
  plainName.test(name) ? `"${name}"` : JSON.stringify(escapedName(Buffer.from(name, 'latin1')))

const onlySha256 = '\u0002'

function digestMembers(digests: DigestSet): string {
  if (digests.length === 33 && digests.startsWith(onlySha256)) {
    return `"sha256":["${Buffer.from(digests, 'latin1').toString('hex', 1)}"]`
  }
  const all = digestsOf(digests)
  return referenceAlgorithmNames
    .map(
      (name) => [name, all.filter(({ algorithm }) => algorithm === name).map(({ digest }) => toHex(digest))] as const,
    )
    .filter(([, list]) => list.length > 0)
    .map(([name, list]) => `"${name}":${JSON.stringify(list)}`)
    .join(',')
}

const patternText = ({ kind, text }: PathPattern) => JSON.stringify(kind === 'glob' ? text : { prefix: text })

const banksText = (banks: readonly GoldenBank[]) =>
  JSON.stringify(
    Object.fromEntries(
      banks.map(({ hash, pcrs }) => [hash, Object.fromEntries(pcrs.map(({ pcr, accepted }) => [pcr, accepted]))]),
    ),
  )

/** The one line that stands for an item, without its line feed. */
export function encodeReferenceItem(item: ReferenceItem): string {
  switch (item.kind) {
    case 'file':
      return `{"file":${nameText(item.path)},${digestMembers(item.digests)}}`
    case 'files':
      return `{"files":${patternText(item.pattern)},${digestMembers(item.digests)}}`
    case 'buffer':
      return `{"buffer":${nameText(item.name)},${digestMembers(item.digests)}}`
    case 'exclude': {
      const reason = item.reason === null ? '' : `,"reason":${JSON.stringify(item.reason)}`
      return `{"exclude":${patternText(item.pattern)}${reason}}`
    }
    case 'key': {
      const der = item.der === null ? '' : `,"der":"${item.der}"`
      return `{"key":"${item.sha256}","keyring":${nameText(item.keyring)}${der}}`
    }
    case 'pcrs':
      return `{"pcrs":${banksText(item.banks)},"image":${JSON.stringify(item.image)}}`
  }
}

/** Shorter sets than any that has to be cut. */
const certainlyShort = 21 * maximumDigests

/** An item that has more digests than one line may have, as several that say the same together. */
function inLines<Item extends ReferenceItem>(item: Item): readonly Item[] {
  if (!('digests' in item) || item.digests.length <= certainlyShort) return [item]
  return splitDigests(item.digests, maximumDigests).map((digests) => ({ ...item, digests }))
}

/** Those of a list are already in order wherever a document that was written here was read. */
function ascending(names: string[]): string[] {
  const inOrder = names.every((name, index) => index === 0 || (names[index - 1] ?? '') <= name)
  return inOrder ? names : names.sort()
}

function* canonicalLines(values: ReferenceValues): Generator<string> {
  yield* [...otherItems(values)].flatMap(inLines).map(encodeReferenceItem).sort()
  for (const path of ascending([...values.files.keys()])) {
    yield* inLines({ kind: 'file', path, digests: values.files.get(path) ?? '' } as const).map(encodeReferenceItem)
  }
}

function* chunked(lines: Iterable<string>): Generator<Uint8Array> {
  const encoder = new TextEncoder()
  let text = ''
  for (const line of lines) {
    text += `${line}\n`
    if (text.length < chunkLength) continue
    yield encoder.encode(text)
    text = ''
  }
  if (text !== '') yield encoder.encode(text)
}

/**
 * A document in chunks of bytes, with its items in canonical order: what says the same is written the same but for the
 * header, so that versions of a document can be compared line by line.
 */
export function* encodeReferenceValues(
  values: ReferenceValues,
  { name, description }: ReferenceHeader,
): Generator<Uint8Array> {
  const header = {
    format: 'attestd.reference-values',
    version: 1,
    name,
    ...(description === null ? {} : { description }),
  }
  yield new TextEncoder().encode(`${JSON.stringify(header)}\n`)
  yield* chunked(canonicalLines(values))
}

/**
 * SHA-256, in lower-case hexadecimal, of everything behind the header of `encodeReferenceValues`: the same for the same
 * values in whatever order and documents they came. What a result was compared with has this name.
 */
export function referenceValuesId(values: ReferenceValues): string {
  const hash = createHash('sha256')
  for (const chunk of chunked(canonicalLines(values))) hash.update(chunk)
  return hash.digest('hex')
}
