import { canonicalJson, isJsonObject, type JsonObject, type JsonValue } from '../../base/json.ts'
import {
  hashStructuredData,
  padReportData,
  parseRawRuntimeData,
  type RuntimeDataHash,
} from '../../evidence/runtime-data.ts'
import { invalidArgument, readArgument } from './invalid-argument.ts'

/** What a request says that the report data of its quote are (SVC-09). */
export interface BoundData {
  /** 64 bytes. */
  readonly reportData: Uint8Array
  /** The raw bytes, without the zeros behind them; or the canonical form of the structured document. */
  readonly bytes: Uint8Array
  /** The structured document; null for raw bytes. */
  readonly document: JsonObject | null
}

/** Bytes of the canonical form (SVC-41). */
export const longestDocument = 65_536
const hashes: readonly RuntimeDataHash[] = ['sha256', 'sha384', 'sha512']

/** The only member of `value` that is not null, which has to be one of `names`. */
export function soleMember(value: JsonValue, names: readonly string[], field: string): readonly [string, JsonValue] {
  const members = isJsonObject(value) ? Object.entries(value).filter(([, member]) => member !== null) : []
  const [first] = members
  if (members.length === 1 && first !== undefined && names.includes(first[0])) return first
  throw invalidArgument(field, `is not an object with exactly one of ${names.join(', ')}`)
}

/** Default sha384 (SVC-09). */
export function hashNamed(value: JsonValue | undefined, field: string): RuntimeDataHash {
  if (value === undefined || value === null) return 'sha384'
  const found = hashes.find((hash) => hash === value)
  if (found === undefined) throw invalidArgument(field, `is none of ${hashes.join(', ')}`)
  return found
}

/** Characters of names and texts, in whatever form: never more than the canonical form has bytes. */
function charactersOf(value: JsonValue): number {
  if (typeof value === 'string') return value.length
  if (Array.isArray(value)) return value.reduce<number>((sum, item) => sum + charactersOf(item), 0)
  if (!isJsonObject(value)) return 0
  return Object.entries(value).reduce((sum, [name, member]) => sum + name.length + charactersOf(member), 0)
}

/** An object whose canonical form is short enough to be bound and echoed. That form is not made of what is far too long. */
export function boundedObject(value: JsonValue, field: string): JsonObject {
  if (!isJsonObject(value)) throw invalidArgument(field, 'is not an object')
  const least = charactersOf(value)
  const size = least > longestDocument ? least : Buffer.byteLength(canonicalJson(value))
  if (size > longestDocument) throw invalidArgument(field, `has ${size} bytes or more, may have ${longestDocument}`)
  return value
}

/**
 * Reads `runtime_data` and `runtime_data_hash_algorithm` of `members` (SVC-09, SVC-24 to SVC-26); null where there is
 * none. Raw bytes are the report data themselves, a document is bound by its hash.
 */
export function parseRuntimeData(members: JsonObject, place: string): BoundData | null {
  const [field, hashField] = [`${place}runtime_data`, `${place}runtime_data_hash_algorithm`]
  const [given, hash] = [members['runtime_data'] ?? null, members['runtime_data_hash_algorithm'] ?? null]
  const [kind, value] = given === null ? ['none', null] : soleMember(given, ['raw', 'structured'], field)
  if (kind === 'structured') {
    const document = boundedObject(value, `${field}.structured`)
    const reportData = hashStructuredData(document, hashNamed(hash, hashField))
    return { reportData, bytes: new TextEncoder().encode(canonicalJson(document)), document }
  }
  if (hash !== null) throw invalidArgument(hashField, 'is for structured runtime data alone')
  if (kind === 'none') return null
  if (typeof value !== 'string') throw invalidArgument(`${field}.raw`, 'is not a text')
  const bytes = readArgument(`${field}.raw`, () => parseRawRuntimeData(value))
  return { reportData: padReportData(bytes), bytes, document: null }
}
