import { toHex } from '../../base/bytes.ts'
import { MalformedError } from '../../base/errors.ts'
import { parseCertificate } from '../../base/pki/certificate.ts'
import { describeName } from '../../base/pki/distinguished-name.ts'
import { imagePathOf } from '../../evidence/event-log/device-path.ts'
import { eventTypes, evNoAction, imageTypes, variableTypes } from '../../evidence/event-log/event-types.ts'
import type { LoggedEvent } from '../../evidence/event-log/logged-event.ts'
import { type DatabaseEntry, parseSignatureLists } from '../../evidence/event-log/signature-list.ts'
import { taggedEventOf } from '../../evidence/event-log/tagged-event.ts'
import { variableNameOf, variableOf } from '../../evidence/event-log/uefi-variable.ts'
import { isAaelData, parseAaelData } from '../../evidence/tdx/aael.ts'
import { coveredBytes, type EventBinding } from '../../verifier/event-log/event-binding.ts'

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })
const utf16 = new TextDecoder('utf-16le', { fatal: true, ignoreBOM: true })

/** What `read` gives; null for bytes that are not what it reads. */
export function ifReadable<T>(read: () => T): T | null {
  try {
    return read()
  } catch (error) {
    if (error instanceof MalformedError) return null
    throw error
  }
}

const shownCharacters = 400
const cut = (text: string) => (text.length > shownCharacters ? `${text.slice(0, shownCharacters)}…` : text)
const hexOf = (bytes: Uint8Array) =>
  bytes.length > 24 ? `${toHex(bytes.subarray(0, 24))}… (${bytes.length} bytes)` : toHex(bytes)

function decoded(decoder: typeof utf8, bytes: Uint8Array): string | null {
  try {
    return decoder.decode(bytes)
  } catch {
    return null
  }
}

/** Bytes as text where they are one, without the NUL behind it. */
export function textOf(bytes: Uint8Array): string | null {
  const decoder = bytes.length >= 2 && bytes.length % 2 === 0 && bytes[1] === 0 ? utf16 : utf8
  const text = decoded(decoder, bytes)?.replace(/\0$/, '') ?? null
  return text === null || /[\x00-\x08\x0e-\x1f]/.test(text) ? null : text
}

function variableText(data: Uint8Array, bound: EventBinding): string | null {
  const variable = variableOf(data)
  const name = variable && variableNameOf(variable)
  if (variable === null || name === null) return null
  const about = bound === 'variable-data' ? ' (name not measured)' : ''
  const value = variable.value.length <= 8 ? toHex(variable.value) : `${variable.value.length} bytes`
  return `${name} ${variable.guid}${about} = ${value === '' ? 'empty' : value}`
}

function taggedText(data: Uint8Array): string | null {
  if (isAaelData(data)) {
    const record = ifReadable(() => parseAaelData(data))
    return record && `${record.domain} ${record.operation} ${record.content}`
  }
  const tagged = taggedEventOf(data)
  return tagged && `tag ${tagged.id.toString(16).padStart(8, '0')} ${textOf(tagged.content) ?? hexOf(tagged.content)}`
}

function structuredText({ type, data }: LoggedEvent, bound: EventBinding): string | null {
  if (variableTypes.has(type)) return variableText(data, bound)
  if (imageTypes.has(type)) return imagePathOf(data)
  return type === eventTypes.eventTag ? taggedText(data) : null
}

/** What an event is about, in one line. Only what its binding covers is more than what the log says. */
export function contentText(event: LoggedEvent, bound: EventBinding): string {
  const structured = structuredText(event, bound)
  if (structured !== null) return cut(structured)
  if (event.type === evNoAction)
    return cut(event.data.subarray(0, 16).every((byte) => byte < 0x80) ? noActionText(event.data) : hexOf(event.data))
  const covered = bound === 'none' ? event.data : (coveredBytes(event, bound) ?? event.data)
  return cut(textOf(covered) || hexOf(covered))
}

/** A signature of at most 16 characters, and bytes. */
function noActionText(data: Uint8Array): string {
  const end = data.subarray(0, 16).indexOf(0)
  const signature = textOf(data.subarray(0, end < 0 ? 16 : end)) ?? ''
  return `${signature} ${hexOf(data.subarray(16))}`.trim()
}

/** The entries of a signature database, or null where it is none. */
export const databaseOf = (value: Uint8Array): DatabaseEntry[] | null => ifReadable(() => parseSignatureLists(value))

/** Who a certificate is about; what is no certificate is told by its bytes. */
export function subjectOf(der: Uint8Array): string {
  return ifReadable(() => describeName(parseCertificate(der).subject)) ?? `no certificate: ${hexOf(der)}`
}
