import { concatBytes, equalsLatin1 } from '../../base/bytes.ts'
import type { LoggedEvent } from '../../evidence/event-log/event-log.ts'
import { sha384Of } from '../../evidence/tdx/cc-event-log.ts'
import { digestText } from '../../evidence/tpm/algorithms.ts'
import { grubTextOf } from './grub-text.ts'
import { variableOf } from './uefi-variable.ts'

/**
 * What of an event its digest covers (TDX-238). `data`: all of it; `variable-data`: the value of the UEFI variable and
 * not its name; `grub`: the text behind the label of the boot loader and not the label; `none`: nothing.
 */
export type EventBinding = 'data' | 'variable-data' | 'grub' | 'none'

const evIpl = 0x0000000d
const evEfiVariableBoot = 0x80000002
const nul = new Uint8Array(1)

/** A log may have sixty thousand events: a hash object for each takes longer than the hashing. Digests are no secrets. */
function isDigestOf(digest: Uint8Array, bytes: Uint8Array): boolean {
  return equalsLatin1(digest, digestText('sha384', bytes))
}

function bindsVariable(digest: Uint8Array, { data }: LoggedEvent): boolean {
  const variable = variableOf(data)
  return variable !== null && isDigestOf(digest, variable.value)
}

/** Boot loaders hash their text with or without the NUL behind it. */
function bindsGrubText(digest: Uint8Array, { data }: LoggedEvent): boolean {
  const { text } = grubTextOf(data)
  return isDigestOf(digest, text) || isDigestOf(digest, concatBytes(text, nul))
}

/**
 * Finds what of the content of an event was measured: the same digest with another content replays as well, so that
 * only bound content is known. Files, firmware and ACPI data are not in the log and cannot be bound.
 */
export function bindEvent(event: LoggedEvent): EventBinding {
  const digest = sha384Of(event)
  if (digest === undefined) return 'none'
  if (isDigestOf(digest, event.data)) return 'data'
  if (event.type === evEfiVariableBoot && bindsVariable(digest, event)) return 'variable-data'
  return event.type === evIpl && bindsGrubText(digest, event) ? 'grub' : 'none'
}
