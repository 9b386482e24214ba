import { createHash } from 'node:crypto'
import { concatBytes, parseText } from '../../base/bytes.ts'
import {
  isJsonObject,
  type JsonNumberReader,
  type JsonObject,
  type JsonValue,
  parseJsonObject,
  parseJsonWith,
  parseUtf8,
} from '../../base/json.ts'
import { azureErrors } from './errors.ts'

/** Data that the report data of a quote bind, as the client calls it (POL-911). */
export interface AzureRuntimeData {
  readonly bytes: Uint8Array
  /** The object that they are, if the client says that they are one; null for binary data. */
  readonly json: JsonObject | null
}

/** A request to attest a TD (POL-910), in form and nothing more. */
export interface AttestRequest {
  readonly quote: Uint8Array
  readonly runtimeData: AzureRuntimeData | null
  /** Copied into the token; it proves nothing (POL-912). */
  readonly nonce: string | null
}

/** Bytes, decoded (SVC-41). */
const longest = { quote: 16_384, runtimeData: 65_536, nonce: 1024 } as const

const invalid = (says: string) => azureErrors.error('AZURE_REQUEST_INVALID', says)

/**
 * Reads the body of `POST /attest/TdxVm`. Members that are not known are ignored; those that would ask for what is not
 * done are refused (POL-911, POL-913). Throws the errors for `InvalidParameter` and `InvalidOperation`.
 */
export function parseAttestRequest(body: Uint8Array): AttestRequest {
  const members = parseJsonObject(body, 'body', { maxDepth: 8, maxItems: 64, maxValues: 256 })
  if (isThere(members['draftPolicyForAttestation'])) {
    const says = 'draft policies are not evaluated, for the answer would be an unsecured token'
    throw azureErrors.error('AZURE_OPERATION_REFUSED', `${says}; use \`attestd policy explain --evidence\``)
  }
  if (isThere(members['initTimeData'])) throw invalid('there is no binding of initTimeData for TDX')
  return {
    quote: binary(members['quote'], 'quote', longest.quote),
    runtimeData: runtimeDataOf(members['runtimeData']),
    nonce: nonceOf(members['nonce']),
  }
}

/** The 64 bytes that a quote over this data has as report data (POL-911). */
export function reportDataFor({ bytes }: AzureRuntimeData): Uint8Array {
  return concatBytes(createHash('sha256').update(bytes).digest(), new Uint8Array(32))
}

function isThere(value: JsonValue | undefined): boolean {
  return value !== undefined && value !== null
}

/** Base64url without padding or standard base64 with it, never a mixture of both (POL-910). */
function binary(value: JsonValue | undefined, name: string, most: number): Uint8Array {
  if (typeof value !== 'string' || value === '') throw invalid(`\`${name}\` is not a text`)
  if (value.length > Math.ceil(most / 3) * 4) throw invalid(`\`${name}\` has more than ${most} bytes`)
  const bytes = parseText(value, /[+/=]/.test(value) ? 'base64' : 'base64url', name)
  if (bytes.length > most) throw invalid(`\`${name}\` has more than ${most} bytes`)
  return bytes
}

/** The token would state a number that the quote does not bind: readers of JSON round it into another one. */
const readNumber: JsonNumberReader<number> = ({ text, isInteger }, refuse) => {
  const value = Number(text)
  if (!Number.isFinite(value) || (isInteger && !Number.isSafeInteger(value))) throw refuse('number is not exact')
  return value
}

/** What becomes `x-ms-runtime` (POL-911): it has to say exactly what the bytes say. */
function runtimeObject(bytes: Uint8Array): JsonObject {
  const name = 'runtimeData.data'
  const limits = { maxDepth: 16, maxValues: 10_000, refuseLoneSurrogates: true }
  const value = parseJsonWith(parseUtf8(bytes, name), name, limits, readNumber)
  if (!isJsonObject(value)) throw invalid(`\`${name}\` is not a JSON object`)
  return value
}

function runtimeDataOf(value: JsonValue | undefined): AzureRuntimeData | null {
  if (!isThere(value)) return null
  if (!isJsonObject(value)) throw invalid('`runtimeData` is not an object')
  const { data, dataType } = value
  const bytes = binary(data, 'runtimeData.data', longest.runtimeData)
  if (dataType === 'Binary') return { bytes, json: null }
  if (dataType !== 'JSON') throw invalid('`runtimeData.dataType` is neither JSON nor Binary')
  return { bytes, json: runtimeObject(bytes) }
}

function nonceOf(value: JsonValue | undefined): string | null {
  if (!isThere(value)) return null
  if (typeof value === 'string' && value.length <= longest.nonce) return value
  throw invalid(`\`nonce\` is not a text of at most ${longest.nonce} characters`)
}
