import { concatBytes, equalsLatin1 } from '../../base/bytes.ts'
import { eventTypes } from '../../evidence/event-log/event-types.ts'
import { grubTextOf } from '../../evidence/event-log/grub-text.ts'
import type { LoggedEvent } from '../../evidence/event-log/logged-event.ts'
import { loadOptionsTag, taggedEventOf } from '../../evidence/event-log/tagged-event.ts'
import { variableOf } from '../../evidence/event-log/uefi-variable.ts'
import { digestText, type HashName, hashAlgorithms } from '../../evidence/tpm/algorithms.ts'

/**
 * What of an event its digest covers (ELOG-13, TDX-238).
 * - `data`: all of its data
 * - `variable-data`: the value of the UEFI variable, and neither its name nor its GUID
 * - `data-tail`: the data up to the end of the variable, and not the bytes behind it
 * - `grub`: the text of a boot loader behind its label, and not the label
 * - `utf16`: the UTF-16 text of a boot loader, whose terminator the log has another number of bytes of
 * - `section-name`: the name of a section of a unified kernel image in ASCII; its content is the next event
 * - `load-options`: a command line that came beside the log (ELOG-20), and nothing of the data
 * - `none`: nothing
 */
export type EventBinding =
  | 'data'
  | 'variable-data'
  | 'data-tail'
  | 'grub'
  | 'utf16'
  | 'section-name'
  | 'load-options'
  | 'none'

/** What one digest covers: the verdict, and the bytes themselves; no bytes for `none`. */
export interface BoundContent {
  readonly bound: EventBinding
  readonly bytes: Uint8Array
}

const nothing: BoundContent = { bound: 'none', bytes: new Uint8Array() }
const nul = new Uint8Array(1)
const wideNul = new Uint8Array(2)

/** Whether a digest is that of some bytes. */
type Covers = (bytes: Uint8Array) => boolean

/** A log may have a hundred thousand events: a hash object for each takes longer than the hashing. Digests are no secrets. */
function coveredBy(bank: HashName, digest: Uint8Array): Covers {
  return (bytes) => equalsLatin1(digest, digestText(bank, bytes))
}

function boundIf(bound: EventBinding, bytes: Uint8Array, holds: boolean): BoundContent {
  return holds ? { bound, bytes } : nothing
}

function bindValue(covers: Covers, data: Uint8Array): BoundContent {
  const variable = variableOf(data)
  if (variable === null || variable.tail.length > 0) return nothing
  return boundIf('variable-data', variable.value, covers(variable.value))
}

function bindUpToTail(covers: Covers, data: Uint8Array): BoundContent {
  const tail = variableOf(data)?.tail.length ?? 0
  const whole = data.subarray(0, data.length - tail)
  return boundIf('data-tail', whole, tail > 0 && covers(whole))
}

/** Boot loaders hash their text with or without the NUL behind it. */
function bindGrubText(covers: Covers, data: Uint8Array): BoundContent {
  const { text } = grubTextOf(data)
  return boundIf('grub', text, covers(text) || covers(concatBytes(text, nul)))
}

/** UTF-16LE text without its terminator, of which the logged copy may lack a byte. */
function wideTextOf(data: Uint8Array): Uint8Array {
  const whole = data.length % 2 === 1 && data.at(-1) === 0 ? data.subarray(0, -1) : data
  return whole.length >= 2 && whole.at(-1) === 0 && whole.at(-2) === 0 ? whole.subarray(0, -2) : whole
}

function bindWideText(covers: Covers, text: Uint8Array): BoundContent {
  if (text.length % 2 === 1) return nothing
  return boundIf('utf16', text, covers(text) || covers(concatBytes(text, wideNul)))
}

/** Names of sections have at most eight bytes in a PE image. */
const longestSectionName = 8

/** systemd-stub measures the name of a section in ASCII with a NUL, and logs it in UTF-16. */
function bindSectionName(covers: Covers, text: Uint8Array): BoundContent {
  if (text.length % 2 === 1 || text.length > 2 * longestSectionName) return nothing
  if (text.some((byte, at) => (at % 2 === 1 ? byte !== 0 : byte > 0x7f))) return nothing
  const name = text.filter((_byte, at) => at % 2 === 0)
  return boundIf('section-name', name, covers(concatBytes(name, nul)))
}

function bindLoaderText(covers: Covers, data: Uint8Array): BoundContent {
  const grub = bindGrubText(covers, data)
  if (grub.bound !== 'none') return grub
  const text = wideTextOf(data)
  const wide = bindWideText(covers, text)
  return wide.bound === 'none' ? bindSectionName(covers, text) : wide
}

/** ELOG-20: the Linux EFI stub measures the options it was started with, and does not log them. */
function bindLoadOptions(covers: Covers, { pcr, data }: LoggedEvent, hint: Uint8Array | null): BoundContent {
  if (hint === null || pcr !== 9 || taggedEventOf(data)?.id !== loadOptionsTag) return nothing
  return boundIf('load-options', hint, covers(concatBytes(hint, wideNul)))
}

export interface BindingOptions {
  /** UTF-16LE text of a command line that came beside the log, without a terminator. Unauthenticated until bound. */
  readonly loadOptions?: Uint8Array | null
}

/**
 * Finds what of the content of an event was measured in `bank`: the same digest with another content replays as well,
 * so that only covered bytes are known (ELOG-13). Files, images, firmware and ACPI data are not in the log and cannot
 * be bound. Whether `bank` is proved for the register, and whether the event was extended at all, is for the caller. Work is linear in the data.
 */
export function boundContent(event: LoggedEvent, bank: HashName, options: BindingOptions = {}): BoundContent {
  const { type } = event
  const digest = event.digest(hashAlgorithms[bank].id)
  if (digest === undefined) return nothing
  const { data } = event
  const covers = coveredBy(bank, digest)
  if (covers(data)) return { bound: 'data', bytes: data }
  if (type === eventTypes.variableBoot) return bindValue(covers, data)
  // Firmware of the time of TPM 1.2 measured values alone; with a newer bank nobody does (tpm.md section 6).
  if (type === eventTypes.variableDriverConfig && bank === 'sha1') return bindValue(covers, data)
  if (type === eventTypes.variableAuthority) return bindUpToTail(covers, data)
  if (type === eventTypes.ipl) return bindLoaderText(covers, data)
  return type === eventTypes.eventTag ? bindLoadOptions(covers, event, options.loadOptions ?? null) : nothing
}

/** The verdict of `boundContent` alone. */
export function bindEvent(event: LoggedEvent, bank: HashName, options: BindingOptions = {}): EventBinding {
  return boundContent(event, bank, options).bound
}
