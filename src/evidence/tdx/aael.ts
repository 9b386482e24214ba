import { createHash } from 'node:crypto'
import { MalformedError } from '../../base/errors.ts'
import { parseUtf8 } from '../../base/json.ts'
import { bytesOf, constant, encode, parse, sizedBytes, struct, u16le, u32le } from '../../base/layout.ts'
import { encodeSpecIdHeader } from '../event-log/spec-id.ts'
import { hashAlgorithms } from '../tpm/algorithms.ts'

/** One runtime measurement of the guest: what happened, where, to what (TDX-034, TDX-035). */
export interface AaelEvent {
  /** Whose event it is; callers are bound to their domains. */
  readonly domain: string
  readonly operation: string
  readonly content: string
}

/** EV_EVENT_TAG. */
export const evEventTag = 6

/** Register of the log (RTMR + 1) that a PCR index of callers of TPM style stands for (TDX-033). */
export function registerOfPcr(pcr: number): 1 | 2 | 3 | 4 {
  if (pcr === 1 || pcr === 7) return 1
  if (pcr >= 2 && pcr <= 6) return 2
  return pcr >= 8 && pcr <= 15 ? 3 : 4
}

/** "AAEL" as a little-endian number: "LEAA" on disk. */
const tag = 0x4141454c
const contentLimit = 8192
const nameForm = /^[A-Za-z0-9._/-]{1,128}$/
/** Control characters, and halves of surrogate pairs, which UTF-8 cannot carry. */
const refusedCharacter = /[\p{Cc}\p{Cs}]/u

const dataLayout = struct({ tag: constant(u32le, tag), text: sizedBytes(u32le, { max: 2 * 129 + contentLimit }) })

const sha384Size = hashAlgorithms.sha384.size
const entryLayout = struct({
  register: u32le,
  type: constant(u32le, evEventTag),
  digestCount: constant(u32le, 1),
  algorithm: constant(u16le, hashAlgorithms.sha384.id),
  digest: bytesOf(sha384Size),
  data: sizedBytes(u32le),
})

/** TDX-035: no part of an event can pass for another, and none breaks the line of a log. */
function requireEvent(event: AaelEvent): AaelEvent {
  for (const member of ['domain', 'operation'] as const) {
    if (!nameForm.test(event[member])) {
      throw new MalformedError({ path: `event.${member}` }, 'is not 1 to 128 letters, digits and any of ._/-')
    }
  }
  const place = { path: 'event.content' }
  if (refusedCharacter.test(event.content))
    throw new MalformedError(place, 'has a control character or half a character')
  const { length } = new TextEncoder().encode(event.content)
  if (length > contentLimit) throw new MalformedError(place, `has ${length} bytes, may have ${contentLimit}`)
  return event
}

/**
 * The event data of TDX-034; what is extended is its SHA-384. Throws `MalformedError` that names the member for an
 * event that breaks TDX-035.
 */
export function encodeAaelData(event: AaelEvent): Uint8Array {
  const { domain, operation, content } = requireEvent(event)
  return encode(dataLayout, { tag, text: new TextEncoder().encode(`${domain} ${operation} ${content}`) })
}

/** A record and the 48 bytes to extend. */
export interface AaelRecord {
  readonly entry: Uint8Array
  readonly digest: Uint8Array
}

/**
 * The log entry of TDX-034 for the register that is really extended: `rtmr` 0 to 3 (TDX-032; the entry says RTMR + 1).
 * Errors as of `encodeAaelData`.
 */
export function encodeAaelRecord(rtmr: 0 | 1 | 2 | 3, event: AaelEvent): AaelRecord {
  const data = encodeAaelData(event)
  const digest = new Uint8Array(createHash('sha384').update(data).digest())
  const algorithm = hashAlgorithms.sha384.id
  const register = rtmr + 1
  return { entry: encode(entryLayout, { register, type: evEventTag, digestCount: 1, algorithm, digest, data }), digest }
}

/** The header of a log that holds runtime records only: SHA-384 (TDX-021). */
export function encodeAaelHeader(): Uint8Array {
  return encodeSpecIdHeader(1, [hashAlgorithms.sha384])
}

/** Whether the data of an EV_EVENT_TAG is a runtime record. */
export function isAaelData(data: Uint8Array): boolean {
  return data.length >= 8 && new DataView(data.buffer, data.byteOffset).getUint32(0, true) === tag
}

/**
 * Parses the data of a runtime record; nothing is verified: only where the register's digest is the SHA-384 of `data`
 * did the guest measure it. Throws `MalformedError` for anything that `encodeAaelData` would not write.
 */
export function parseAaelData(data: Uint8Array): AaelEvent {
  const text = parseUtf8(parse(dataLayout, data, 'aael').text, 'aael.text')
  const [domain = '', operation = ''] = text.split(' ', 2)
  const start = domain.length + operation.length + 2
  if (start > text.length)
    throw new MalformedError({ path: 'aael.text' }, 'is not a domain, an operation and a content')
  return requireEvent({ domain, operation, content: text.slice(start) })
}
