import { isFilledWith, toBase64url } from '../../base/bytes.ts'
import { imagePathOf } from '../../evidence/event-log/device-path.ts'
import { imageTypes, variableTypes } from '../../evidence/event-log/event-types.ts'
import type { LoggedEvent } from '../../evidence/event-log/logged-event.ts'
import { variableNameOf, variableOf } from '../../evidence/event-log/uefi-variable.ts'
import type { EventBinding } from '../event-log/event-binding.ts'

/** `ProcessedData` of an event: what its digest covers, and nothing else (POL-432, ELOG-13). */
export type ProcessedData =
  | { readonly VariableGuid: string; readonly UnicodeName: string; readonly VariableData: string }
  | { readonly VariableData: string }
  | { readonly String: string }
  | { readonly DevicePath: string }

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })
const utf16 = new TextDecoder('utf-16le', { fatal: true, ignoreBOM: true })

function decoded(decoder: typeof utf8, bytes: Uint8Array): string | null {
  try {
    return decoder.decode(bytes)
  } catch {
    return null
  }
}

const withoutNul = (text: string) => (text.endsWith('\0') ? text.slice(0, -1) : text)

/** Control characters are no text: bytes that happen to be UTF-8 are not shown as such. */
const textForm = /^[^\p{Control}]+$/u

function textData(text: string | null): ProcessedData | null {
  const shown = text === null ? '' : withoutNul(text)
  return textForm.test(shown) ? { String: shown } : null
}

/** ASCII in UTF-16LE has a zero byte behind each letter: no text in UTF-8 has. */
const isWide = (bytes: Uint8Array) => bytes.length % 2 === 0 && bytes.length > 0 && bytes[1] === 0

function variableData(bytes: Uint8Array): ProcessedData | null {
  const variable = variableOf(bytes)
  const name = variable && variableNameOf(variable)
  if (variable === null || name === null) return null
  const { guid, value } = variable
  return { VariableGuid: guid.toUpperCase(), UnicodeName: name, VariableData: toBase64url(value) }
}

/** The type says how to read the bytes; no digest covers it, so that what does not fit is not named. */
function wholeData(type: number, bytes: Uint8Array): ProcessedData | null {
  if (variableTypes.has(type)) return variableData(bytes)
  if (imageTypes.has(type)) {
    const path = imagePathOf(bytes)
    return path === null ? null : { DevicePath: path }
  }
  if (bytes.length === 4 && (isFilledWith(bytes, 0) || isFilledWith(bytes, 0xff))) return null
  return textData(decoded(isWide(bytes) ? utf16 : utf8, bytes))
}

/**
 * What of an event is known: `bytes` are those that its digest covers under `bound`. Of a variable whose value alone was
 * measured neither name nor GUID is known; of the text of a boot loader not the label, which everybody can put there.
 */
export function processedData(
  { type }: Pick<LoggedEvent, 'type'>,
  bound: EventBinding,
  bytes: Uint8Array | null,
): ProcessedData | null {
  if (bytes === null) return null
  switch (bound) {
    case 'data':
      return wholeData(type, bytes)
    case 'data-tail':
      return variableData(bytes)
    case 'variable-data':
      return { VariableData: toBase64url(bytes) }
    case 'grub':
    case 'section-name':
      return textData(decoded(utf8, bytes))
    case 'utf16':
    case 'load-options':
      return textData(decoded(utf16, bytes))
    case 'none':
      return null
  }
}
