import { createHash } from 'node:crypto'
import { parseText, toBase64 } from '../../base/bytes.ts'
import { MalformedError } from '../../base/errors.ts'
import { isJsonObject, type JsonObject, type JsonValue, parseJsonObject, parseUtf8 } from '../../base/json.ts'
import type { CollateralItem } from './collateral-item.ts'
import { type ItemKey, nameOfItem } from './item-key.ts'
import type { UpdateSet } from './query.ts'

/** An item with when it was last confirmed by a source, as it is kept over a restart. */
export interface StoredItem {
  readonly key: ItemKey
  readonly item: CollateralItem
  /** Milliseconds since the epoch. */
  readonly fetchedAt: number
}

/** Bytes of a file: a document of 1 MiB in JSON strings, whose quotation marks take two characters. */
export const longestStoredItem = 3 * 1_048_576

const format = 'attestd-collateral-item/1'
const digestOf = (text: string): string => createHash('sha256').update(text).digest('hex')
const malformed = (says: string) => new MalformedError({ path: 'storedItem' }, says)

/**
 * The content of the file: a line with the SHA-256 of the rest, then JSON. The digest finds what a disk damaged
 * (PCS-05); it vouches for nothing, whoever writes the file writes the digest.
 */
export function encodeStoredItem({ key, item, fetchedAt }: StoredItem): Uint8Array {
  const content = 'der' in item ? { der: toBase64(item.der) } : { text: item.text, signature: item.signature }
  const text = `${JSON.stringify({ format, key, fetchedAt, issuerChain: item.issuerChain, ...content })}\n`
  return new TextEncoder().encode(`${digestOf(text)}\n${text}`)
}

function textMember(object: JsonObject, member: string): string {
  const value = object[member]
  if (typeof value !== 'string') throw malformed(`${member} is not a string`)
  return value
}

function updateOf(value: JsonValue | undefined): UpdateSet {
  if (value === 'standard' || value === 'early') return value
  const number = isJsonObject(value) ? value['evaluationNumber'] : undefined
  if (typeof number === 'number' && Number.isSafeInteger(number)) return { evaluationNumber: number }
  throw malformed('key.update is no update set')
}

function oneOf<T extends string>(object: JsonObject, member: string, ...allowed: readonly T[]): T {
  const found = allowed.find((name) => name === object[member])
  if (found === undefined) throw malformed(`key.${member} is not known`)
  return found
}

function keyOf(value: JsonValue | undefined): ItemKey {
  if (!isJsonObject(value)) throw malformed('key is not an object')
  const kind = oneOf(value, 'kind', 'tcb-info', 'qe-identity', 'pck-crl', 'root-crl')
  if (kind === 'root-crl') return { kind }
  if (kind === 'pck-crl') return { kind, ca: oneOf(value, 'ca', 'platform', 'processor') }
  const [tee, update] = [oneOf(value, 'tee', 'sgx', 'tdx'), updateOf(value['update'])]
  return kind === 'qe-identity' ? { kind, tee, update } : { kind, tee, update, fmspc: textMember(value, 'fmspc') }
}

function itemOf(object: JsonObject, { kind }: ItemKey): CollateralItem {
  if (kind === 'root-crl') return { kind, der: derOf(object), issuerChain: null }
  const issuerChain = textMember(object, 'issuerChain')
  if (kind === 'pck-crl') return { kind, der: derOf(object), issuerChain }
  return { kind, issuerChain, text: textMember(object, 'text'), signature: textMember(object, 'signature') }
}

const derOf = (object: JsonObject): Uint8Array => parseText(textMember(object, 'der'), 'base64', 'storedItem.der')

/** Parses the file of the item that is called `name`; `MalformedError` if it is damaged or holds another item. */
export function parseStoredItem(bytes: Uint8Array, name: string): StoredItem {
  if (bytes.length > longestStoredItem) throw malformed('is too long')
  const content = parseUtf8(bytes, 'storedItem')
  const end = content.indexOf('\n')
  const text = content.slice(end + 1)
  if (content.slice(0, Math.max(end, 0)) !== digestOf(text)) throw malformed('its checksum is wrong')
  const object = parseJsonObject(text, 'storedItem')
  if (object['format'] !== format) throw malformed('is of another format')
  const key = keyOf(object['key'])
  if (nameOfItem(key) !== name) throw malformed('holds another item than its name says')
  const { fetchedAt } = object
  if (typeof fetchedAt !== 'number') throw malformed('fetchedAt is not a number')
  return { key, fetchedAt, item: itemOf(object, key) }
}
