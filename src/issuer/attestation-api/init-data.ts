import { createHash } from 'node:crypto'
import { parse, TomlError } from 'smol-toml'
import { parseText } from '../../base/bytes.ts'
import { canonicalJson, type JsonObject, type JsonValue } from '../../base/json.ts'
import { parseRawRuntimeData, type RuntimeDataHash } from '../../evidence/runtime-data.ts'
import { invalidArgument, readArgument } from './invalid-argument.ts'
import { boundedObject, hashNamed, longestDocument, soleMember } from './runtime-data.ts'

/** What a request says that MRCONFIGID of its TD is (SVC-28). */
export interface InitData {
  /** At most 48 bytes; zeros follow in the register. */
  readonly digest: Uint8Array
  /** For the token; null where only bytes were given. */
  readonly document: JsonObject | null
}

const registerSize = 48
/** Of the hashes that init data may have: a shorter one, filled up with zeros, could stand for an empty register. */
const digestSizes: readonly number[] = [32, 48, 64]

const cut = (bytes: Uint8Array): Uint8Array => bytes.subarray(0, registerSize)

function hashOf(text: string, hash: RuntimeDataHash): Uint8Array {
  return cut(createHash(hash).update(text).digest())
}

function requireText(value: JsonValue, field: string): string {
  if (typeof value !== 'string') throw invalidArgument(field, 'is not a text')
  return value
}

function fromDigest(value: JsonValue, field: string): InitData {
  const digest = readArgument(field, () => parseText(requireText(value, field), 'base64url', field))
  if (!digestSizes.includes(digest.length)) throw invalidArgument(field, 'is not a digest of 32, 48 or 64 bytes')
  return { digest: cut(digest), document: null }
}

function parseToml(text: string, field: string): Readonly<Record<string, unknown>> {
  try {
    return parse(text)
  } catch (error) {
    if (!(error instanceof TomlError)) throw error
    throw invalidArgument(field, `is not TOML (line ${error.line}, column ${error.column})`)
  }
}

function textsOf(data: unknown, field: string): JsonObject {
  const isTable = typeof data === 'object' && data !== null && !Array.isArray(data)
  const entries = isTable ? Object.entries(data) : []
  const texts = entries.flatMap(([name, value]) => (typeof value === 'string' ? [[name, value] as const] : []))
  if (!isTable || texts.length < entries.length) throw invalidArgument(field, 'has no table `data` of texts')
  return Object.fromEntries(texts)
}

/** The digest is over the whole text, with the hash that the text names itself. */
function fromToml(value: JsonValue, field: string): InitData {
  const text = requireText(value, field)
  const size = Buffer.byteLength(text)
  if (size > longestDocument) throw invalidArgument(field, `has ${size} bytes, may have ${longestDocument}`)
  const { version, algorithm, data } = parseToml(text, field)
  const name = typeof algorithm === 'string' ? /^sha-?(256|384|512)$/.exec(algorithm)?.[1] : undefined
  if (typeof version !== 'string' || typeof algorithm !== 'string' || name === undefined) {
    throw invalidArgument(field, 'names no `version`, or no `algorithm` of sha256, sha384, sha512')
  }
  const hash = hashNamed(`sha${name}`, field)
  return { digest: hashOf(text, hash), document: { version, algorithm, data: textsOf(data, field) } }
}

function fromOlderEra(kind: string, value: JsonValue, hash: JsonValue | undefined, place: string): InitData {
  const field = `${place}init_data.${kind}`
  const hashField = `${place}init_data_hash_algorithm`
  if (kind === 'structured') {
    const document = boundedObject(value, field)
    return { digest: hashOf(canonicalJson(document), hashNamed(hash, hashField)), document }
  }
  return {
    digest: cut(readArgument(field, () => parseRawRuntimeData(requireText(value, field), field))),
    document: null,
  }
}

/**
 * Reads `init_data` of `members` (SVC-28), in the form of today or in that before mid-2025 (AS-01); null where there is
 * none. Nothing is compared yet.
 */
export function parseInitData(members: JsonObject, place: string): InitData | null {
  const field = `${place}init_data`
  const [given, hash] = [members['init_data'] ?? null, members['init_data_hash_algorithm'] ?? null]
  const names = ['init_data_digest', 'init_data_toml', 'raw', 'structured']
  const [kind, value] = given === null ? ['none', null] : soleMember(given, names, field)
  if (hash !== null && kind !== 'structured') {
    throw invalidArgument(`${field}_hash_algorithm`, 'is for structured init data alone')
  }
  if (kind === 'none') return null
  if (kind === 'init_data_digest') return fromDigest(value, `${field}.${kind}`)
  if (kind === 'init_data_toml') return fromToml(value, `${field}.${kind}`)
  return fromOlderEra(kind, value, hash, place)
}
