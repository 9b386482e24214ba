import { createHash } from 'node:crypto'
import { parseText, toLatin1 } from '../base/bytes.ts'
import { MalformedError } from '../base/errors.ts'
import { parseEscapedName } from '../base/escaped-name.ts'
import { isJsonObject, type JsonObject, type JsonValue, parseJsonObject } from '../base/json.ts'
import {
  type DigestSet,
  maximumDigests,
  parseDigest,
  referenceAlgorithmNames,
  referenceAlgorithms,
  uniteDigests,
} from './digest-set.ts'
import { type PathPattern, parsePathPattern } from './path-pattern.ts'
import type { GoldenBank, GoldenPcr, MeasuredName, ReferenceHeader, ReferenceItem } from './reference-values.ts'

export const referenceFormat = 'attestd.reference-values'
export const referenceVersion = 1

/** Bytes of a name in a document. */
export const maximumReferenceName = 4096
const limits = { name: maximumReferenceName, text: 1024, digests: maximumDigests, der: 16_384 }
const goldenBanks = ['sha1', 'sha256', 'sha384', 'sha512'] as const
const pcrForm = /^(?:[0-9]|1[0-9]|2[0-3])$/

/** One line of a document, for errors that name it. */
export interface ReferenceLine {
  /** Name of the document. */
  readonly document: string
  /** From 1. */
  readonly number: number
  readonly text: string
}

const columnOf = (text: string, member: string) => Math.max(text.indexOf(JSON.stringify(member)), 0) + 1

function malformed({ document, number, text }: ReferenceLine, member: string, problem: string): MalformedError {
  const place = `(line ${number}, column ${columnOf(text, member)})`
  return new MalformedError({ path: document }, `${member} ${problem} ${place}`)
}

/** Runs a parser of one member; what it finds wrong is told with line and column. */
function parseMember<T>(line: ReferenceLine, member: string, parse: (path: string) => T): T {
  try {
    return parse(member)
  } catch (error) {
    if (!(error instanceof MalformedError)) throw error
    throw malformed(line, member, error.message.slice(error.path.length + 2))
  }
}

function requireMembers(line: ReferenceLine, object: JsonObject, known: readonly string[]): void {
  const unknown = Object.keys(object).find((name) => !known.includes(name))
  if (unknown !== undefined) throw malformed(line, unknown.slice(0, 64), 'is no member of such a line')
}

function textAt(line: ReferenceLine, object: JsonObject, member: string): string {
  const value = object[member]
  if (typeof value !== 'string') throw malformed(line, member, value === undefined ? 'is missing' : 'is not a text')
  if (value === '' || value.length > limits.text || /\p{C}/u.test(value)) {
    throw malformed(line, member, `is empty, longer than ${limits.text} characters, or has control characters`)
  }
  return value
}

function nameAt(line: ReferenceLine, object: JsonObject, member: string): MeasuredName {
  const value = object[member]
  if (typeof value !== 'string') throw malformed(line, member, value === undefined ? 'is missing' : 'is not a text')
  if (/[^ -~]/.test(value)) {
    throw malformed(line, member, 'has a character beyond printable ASCII; write each of its bytes as \\\\xNN')
  }
  const bytes = parseMember(line, member, (path) => parseEscapedName(value, path))
  if (bytes.length === 0 || bytes.length > limits.name || bytes.includes(0)) {
    throw malformed(line, member, `is empty, longer than ${limits.name} bytes, or has a NUL`)
  }
  return toLatin1(bytes)
}

function listAt(line: ReferenceLine, value: JsonValue | undefined, member: string): JsonValue[] {
  if (!Array.isArray(value) || value.length === 0 || value.length > limits.digests) {
    throw malformed(line, member, `is not a list of 1 to ${limits.digests} digests`)
  }
  return value
}

function digestsAt(line: ReferenceLine, object: JsonObject): DigestSet {
  const sets = referenceAlgorithmNames
    .filter((name) => Object.hasOwn(object, name))
    .flatMap((name) =>
      listAt(line, object[name], name).map((hex) => parseMember(line, name, (path) => parseDigest(name, hex, path))),
    )
  if (sets.length === 0) {
    throw new MalformedError({ path: line.document }, `has no digest (line ${line.number}, column 1)`)
  }
  return uniteDigests(...sets)
}

function patternAt(line: ReferenceLine, object: JsonObject, member: string): PathPattern {
  const value = object[member]
  const text = isJsonObject(value) ? value['prefix'] : value
  if (isJsonObject(value)) requireMembers(line, value, ['prefix'])
  if (typeof text !== 'string') throw malformed(line, member, 'is neither a glob nor {"prefix": "name"}')
  const pattern: PathPattern = { kind: text === value ? 'glob' : 'prefix', text }
  return parseMember(line, member, (path) => parsePathPattern(pattern, path))
}

function goldenPcr(line: ReferenceLine, hash: GoldenBank['hash'], pcr: string, values: JsonValue): GoldenPcr {
  if (!pcrForm.test(pcr)) throw malformed(line, pcr.slice(0, 64), 'is not a PCR from 0 to 23')
  const accepted = listAt(line, values, pcr).map((hex) => {
    parseMember(line, pcr, (path) => parseDigest(hash, hex, path))
    return String(hex)
  })
  return { pcr: Number(pcr), accepted: [...new Set(accepted)].sort() }
}

function goldenBanksAt(line: ReferenceLine, object: JsonObject): GoldenBank[] {
  const banks = object['pcrs']
  if (!isJsonObject(banks)) throw malformed(line, 'pcrs', 'is not an object of banks')
  requireMembers(line, banks, goldenBanks)
  const golden = goldenBanks.flatMap((hash) => {
    const bank = banks[hash]
    if (bank === undefined) return []
    if (!isJsonObject(bank)) throw malformed(line, hash, 'is not an object of PCRs')
    const pcrs = Object.entries(bank).map(([pcr, values]) => goldenPcr(line, hash, pcr, values))
    return pcrs.length === 0 ? [] : [{ hash, pcrs: pcrs.sort((left, right) => left.pcr - right.pcr) }]
  })
  if (golden.length === 0) throw malformed(line, 'pcrs', 'names no PCR')
  return golden
}

function keyItem(line: ReferenceLine, object: JsonObject): ReferenceItem {
  requireMembers(line, object, ['key', 'keyring', 'der'])
  const sha256 = object['key']
  parseMember(line, 'key', (path) => parseDigest('sha256', sha256, path))
  const der = object['der'] ?? null
  if (der !== null) {
    if (typeof der !== 'string' || der.length > limits.der)
      throw malformed(line, 'der', 'is not a text of a key in DER')
    const bytes = parseMember(line, 'der', (path) => parseText(der, 'base64', path))
    if (createHash('sha256').update(bytes).digest('hex') !== sha256) {
      throw malformed(line, 'der', 'is another key than the SHA-256 in "key"')
    }
  }
  return { kind: 'key', keyring: nameAt(line, object, 'keyring'), sha256: String(sha256), der }
}

const itemParsers: Readonly<Record<string, (line: ReferenceLine, object: JsonObject) => ReferenceItem>> = {
  file: (line, object) => {
    requireMembers(line, object, ['file', ...referenceAlgorithmNames])
    return { kind: 'file', path: nameAt(line, object, 'file'), digests: digestsAt(line, object) }
  },
  files: (line, object) => {
    requireMembers(line, object, ['files', ...referenceAlgorithmNames])
    return { kind: 'files', pattern: patternAt(line, object, 'files'), digests: digestsAt(line, object) }
  },
  exclude: (line, object) => {
    requireMembers(line, object, ['exclude', 'reason'])
    const reason = object['reason'] === undefined ? null : textAt(line, object, 'reason')
    return { kind: 'exclude', pattern: patternAt(line, object, 'exclude'), reason }
  },
  key: keyItem,
  buffer: (line, object) => {
    requireMembers(line, object, ['buffer', ...referenceAlgorithmNames])
    return { kind: 'buffer', name: nameAt(line, object, 'buffer'), digests: digestsAt(line, object) }
  },
  pcrs: (line, object) => {
    requireMembers(line, object, ['pcrs', 'image'])
    return { kind: 'pcrs', image: textAt(line, object, 'image'), banks: goldenBanksAt(line, object) }
  },
}

function objectOf({ document, number, text }: ReferenceLine): JsonObject {
  return parseJsonObject(text, document, { maxDepth: 4, maxValues: 2 * limits.digests, firstLine: number })
}

/** Parses the first line of a document. */
export function parseReferenceHeader(line: ReferenceLine): ReferenceHeader {
  const object = objectOf(line)
  if (object['format'] !== referenceFormat) throw malformed(line, 'format', `is not "${referenceFormat}"`)
  if (object['version'] !== referenceVersion) throw malformed(line, 'version', `is not ${referenceVersion}`)
  requireMembers(line, object, ['format', 'version', 'name', 'description'])
  const description = object['description'] === undefined ? null : textAt(line, object, 'description')
  return { name: textAt(line, object, 'name'), description }
}

/**
 * Parses any other line strictly: one of the kinds of `ReferenceItem`, no unknown and no repeated member, digests in
 * lower-case hexadecimal, names escaped. Throws `MalformedError` with document, line and column.
 */
export function parseReferenceLine(line: ReferenceLine): ReferenceItem {
  const object = objectOf(line)
  const kind = Object.keys(itemParsers).find((name) => Object.hasOwn(object, name))
  const parse = kind === undefined ? undefined : itemParsers[kind]
  if (parse === undefined) {
    const kinds = Object.keys(itemParsers).join(', ')
    throw new MalformedError({ path: line.document }, `is none of ${kinds} (line ${line.number}, column 1)`)
  }
  return parse(line, object)
}

const shaLength = 2 * referenceAlgorithms.sha256

/**
 * The line of one file with one SHA-256, as `encodeReferenceValues` writes it: nearly all lines of a long document are of this form,
 * and need no reader of JSON. The name has neither quote nor backslash. Anything else is read by `parseReferenceLine`,
 * which finds the same in such a line.
 */
export const plainFileForm = new RegExp(
  `^\\{"file":"([ !#-\\[\\]-~]{1,${limits.name}})","sha256":\\["([0-9a-f]{${shaLength}})"\\]\\}$`,
)
