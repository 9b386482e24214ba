import { parseText, toBase64, toHex } from '../../base/bytes.ts'
import { isJsonObject, type JsonObject, type JsonValue } from '../../base/json.ts'
import {
  base64At,
  containerObject,
  filledBase64At,
  malformedMember as malformed,
  optional,
  parseSimulated,
  textAt,
} from '../container-members.ts'
import { type HashName, hashAlgorithms, hashNames, isHashName } from './algorithms.ts'
import type { ImaLogPart, TpmEvidence, TpmQuote } from './evidence.ts'

/** The one version of the container that is read and written (EVD-01). */
export const tpmEvidenceVersion = 1

const mebibyte = 1024 * 1024

/** Bytes after decoding (EVD-05, SVC-40, SVC-41); `document` counts the bytes or characters of the JSON text. */
export const tpmEvidenceLimits = {
  document: 32 * mebibyte,
  /** Of the JSON document: four quotes over all banks have 420. */
  values: 2048,
  attest: 2304,
  signature: 1024,
  publicArea: 1024,
  certificate: 4096,
  chain: 4,
  quotes: 4,
  eventLog: 2 * mebibyte,
  /** Characters; Linux takes no longer command line on any architecture. */
  kernelCmdline: 4096,
  /** What fits into the document in base64. */
  ima: 24 * mebibyte,
} as const

const pcrIndexForm = /^(?:0|[1-9][0-9]?)$/
const pemForm = /^-----BEGIN CERTIFICATE-----\r?\n(?:[A-Za-z0-9+/=]{1,76}\r?\n)+-----END CERTIFICATE-----(?:\r?\n)?$/

function objectAt(value: JsonValue | undefined, path: string, known: readonly string[]): JsonObject {
  if (!isJsonObject(value)) throw malformed(path, value === undefined ? 'is missing' : 'is not an object')
  const unknown = Object.keys(value).find((name) => !known.includes(name))
  if (unknown !== undefined) throw malformed(path, `has the unknown member ${JSON.stringify(unknown.slice(0, 64))}`)
  return value
}

function arrayAt(value: JsonValue | undefined, path: string, { min, max }: { min: number; max: number }): JsonValue[] {
  if (!Array.isArray(value)) throw malformed(path, value === undefined ? 'is missing' : 'is not an array')
  if (value.length < min || value.length > max) {
    throw malformed(path, `has ${value.length} items, must have ${min} to ${max}`)
  }
  return value
}

function parsePem(value: JsonValue, path: string): string {
  const text = textAt(value, path, 2 * tpmEvidenceLimits.certificate)
  if (!pemForm.test(text)) throw malformed(path, 'is not one certificate in PEM form')
  return text
}

function parseAk(value: JsonValue | undefined): TpmEvidence['ak'] {
  const ak = objectAt(value, 'evidence.ak', ['public', 'certificate'])
  return {
    publicArea: filledBase64At(ak['public'], 'evidence.ak.public', tpmEvidenceLimits.publicArea),
    certificate: optional(ak['certificate'], (present) => parsePem(present, 'evidence.ak.certificate')),
  }
}

function parseEk(value: JsonValue | undefined): TpmEvidence['ek'] {
  const { certificate, chain: length, publicArea } = tpmEvidenceLimits
  const ek = optional(value, (present) => objectAt(present, 'evidence.ek', ['public', 'certificate', 'chain'])) ?? {}
  const chain = optional(ek['chain'], (list) => arrayAt(list, 'evidence.ek.chain', { min: 0, max: length })) ?? []
  return {
    publicArea: optional(ek['public'], (text) => filledBase64At(text, 'evidence.ek.public', publicArea)),
    certificate: optional(ek['certificate'], (text) => filledBase64At(text, 'evidence.ek.certificate', certificate)),
    chain: chain.map((text, index) => filledBase64At(text, `evidence.ek.chain.${index}`, certificate)),
  }
}

function parseBank(value: JsonValue | undefined, hash: HashName, path: string): Map<number, Uint8Array> {
  if (!isJsonObject(value)) throw malformed(path, 'is not an object')
  const values = new Map<number, Uint8Array>()
  for (const [name, text] of Object.entries(value)) {
    if (!pcrIndexForm.test(name) || Number(name) > 23) {
      throw malformed(path, `has the member ${JSON.stringify(name.slice(0, 64))}, which is not a PCR index 0 to 23`)
    }
    const place = `${path}.${name}`
    const { size } = hashAlgorithms[hash]
    const bytes = parseText(textAt(text, place, 2 * size), 'hex', place)
    if (bytes.length !== size) throw malformed(place, `has ${bytes.length} bytes, a value of ${hash} has ${size}`)
    values.set(Number(name), bytes)
  }
  return values
}

function parseQuote(value: JsonValue, index: number): TpmQuote {
  const path = `evidence.quotes.${index}`
  const quote = objectAt(value, path, ['attest', 'signature', 'pcrs'])
  const banks = objectAt(quote['pcrs'], `${path}.pcrs`, hashNames)
  return {
    attest: filledBase64At(quote['attest'], `${path}.attest`, tpmEvidenceLimits.attest),
    signature: filledBase64At(quote['signature'], `${path}.signature`, tpmEvidenceLimits.signature),
    pcrs: new Map(
      hashNames
        .filter((hash) => Object.hasOwn(banks, hash))
        .map((hash) => [hash, parseBank(banks[hash], hash, `${path}.pcrs.${hash}`)]),
    ),
  }
}

function parseIma(value: JsonValue): ImaLogPart {
  const ima = objectAt(value, 'evidence.ima', ['format', 'from', 'column', 'data'])
  if (ima['format'] !== 'binary') throw malformed('evidence.ima.format', 'must be "binary"')
  const from = ima['from']
  if (typeof from !== 'number' || !Number.isSafeInteger(from) || from < 0) {
    throw malformed('evidence.ima.from', 'is not a count of records')
  }
  const column = ima['column'] === undefined ? 'sha1' : ima['column']
  if (typeof column !== 'string' || !isHashName(column)) {
    throw malformed('evidence.ima.column', `is not one of ${hashNames.join(', ')}`)
  }
  return { from, column, data: base64At(ima['data'], 'evidence.ima.data', tpmEvidenceLimits.ima) }
}

/** ELOG-20. Text that UTF-16 cannot hold or that ends early is none that a loader could have measured. */
function parseKernelCmdline(hints: JsonValue | undefined): Pick<TpmEvidence, 'kernelCmdline'> {
  const value = isJsonObject(hints) ? (hints['kernelCmdline'] ?? null) : null
  if (value === null) return {}
  const path = 'evidence.hints.kernelCmdline'
  const kernelCmdline = textAt(value, path, tpmEvidenceLimits.kernelCmdline)
  if (/\0|\p{Surrogate}/u.test(kernelCmdline)) throw malformed(path, 'is not the text of a command line')
  return { kernelCmdline }
}

/**
 * Parses TPM evidence, container version 1 (SVC-23), from its JSON text, its UTF-8 bytes, or the object that
 * `parseJsonObject` made of them. Strict (EVD-01 to EVD-06): the version, no unknown member outside `hints`, standard
 * base64 and lower-case hexadecimal in the one form that encoding gives, sizes, PCR indices. Structures inside the
 * members are not read, and nothing is verified. Throws only `MalformedError`, whose message begins with the path of
 * the member.
 */
export function parseTpmEvidence(document: string | Uint8Array | JsonObject): TpmEvidence {
  const known = ['version', 'ak', 'ek', 'quotes', 'eventlog', 'ima', 'hints']
  const limits = { integersOnly: true, maxDepth: 8, maxValues: tpmEvidenceLimits.values }
  const container = objectAt(containerObject(document, tpmEvidenceLimits.document, limits), 'evidence', known)
  if (container['version'] !== tpmEvidenceVersion) throw malformed('evidence.version', `must be ${tpmEvidenceVersion}`)
  const quotes = arrayAt(container['quotes'], 'evidence.quotes', { min: 1, max: tpmEvidenceLimits.quotes })
  return {
    ak: parseAk(container['ak']),
    ek: parseEk(container['ek']),
    quotes: quotes.map(parseQuote),
    eventLog: optional(container['eventlog'], (text) =>
      filledBase64At(text, 'evidence.eventlog', tpmEvidenceLimits.eventLog),
    ),
    ima: optional(container['ima'], parseIma),
    simulated: parseSimulated(container['hints']),
    ...parseKernelCmdline(container['hints']),
  }
}

function encodeQuote({ attest, signature, pcrs }: TpmQuote): JsonObject {
  const banks: JsonObject = {}
  for (const [hash, values] of pcrs) {
    const ascending = [...values].sort(([left], [right]) => left - right)
    banks[hash] = Object.fromEntries(ascending.map(([index, value]) => [String(index), toHex(value)]))
  }
  return { attest: toBase64(attest), signature: toBase64(signature), pcrs: banks }
}

function encodeIma({ from, column, data }: ImaLogPart): JsonObject {
  const head: JsonObject = { format: 'binary', from }
  return column === 'sha1' ? { ...head, data: toBase64(data) } : { ...head, column, data: toBase64(data) }
}

function encodeHints({ simulated, kernelCmdline }: TpmEvidence): JsonObject {
  return { ...(simulated ? { simulated } : {}), ...(kernelCmdline === undefined ? {} : { kernelCmdline }) }
}

/**
 * Writes the container of version 1 (SVC-23) that `parseTpmEvidence` reads back to the same evidence. `ima.column` is
 * written where it differs from its default, `hints` where the TPM is a simulator or the command line is known.
 */
export function encodeTpmEvidence(evidence: TpmEvidence): JsonObject {
  const base64OrNull = (bytes: Uint8Array | null) => (bytes === null ? null : toBase64(bytes))
  const { ak, ek, eventLog, ima } = evidence
  const container: JsonObject = {
    version: tpmEvidenceVersion,
    ak: { public: toBase64(ak.publicArea), certificate: ak.certificate },
    ek: {
      public: base64OrNull(ek.publicArea),
      certificate: base64OrNull(ek.certificate),
      chain: ek.chain.map(toBase64),
    },
    quotes: evidence.quotes.map(encodeQuote),
    eventlog: base64OrNull(eventLog),
    ima: ima === null ? null : encodeIma(ima),
  }
  const hints = encodeHints(evidence)
  return Object.keys(hints).length > 0 ? { ...container, hints } : container
}
