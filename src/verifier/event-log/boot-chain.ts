import { isFilledWith } from '../../base/bytes.ts'
import { imagePathOf } from '../../evidence/event-log/device-path.ts'
import { eventTypes } from '../../evidence/event-log/event-types.ts'
import { grubTextOf } from '../../evidence/event-log/grub-text.ts'
import type { LoggedEvent } from '../../evidence/event-log/logged-event.ts'
import { initrdTag, loadOptionsTag, taggedEventOf } from '../../evidence/event-log/tagged-event.ts'
import type { HashName } from '../../evidence/tpm/algorithms.ts'
import type { JudgedEventLog, MeasuredEvent } from './judged-event-log.ts'

/** Something that was measured by its digest; its content is not in the log. */
export interface MeasuredItem {
  readonly event: LoggedEvent
  readonly digest: Uint8Array
  readonly bank: HashName
  /** What the log calls it: a device path, a file name. No digest covers it. */
  readonly unboundName: string | null
}

/** A section of a unified kernel image: its name is measured, and its content behind it. */
export interface KernelSection {
  /** Without the dot: `linux`, `initrd`, `cmdline`. Null where no measured name stands in front of it. */
  readonly name: string | null
  readonly digest: Uint8Array
  readonly bank: HashName
}

/** A text of a boot loader; null where no digest covers it, or where it is no text. */
export interface LoaderText {
  readonly event: LoggedEvent
  readonly text: string | null
}

/** What started what. Holds only for a log that replays, register by register: nothing joins their orders (ELOG-16). */
export interface BootChain {
  /** PCR 4: everything but separators and texts of the firmware, whatever the type: no image hides under another one. */
  readonly images: readonly MeasuredItem[]
  /** PCR 2: drivers from devices. */
  readonly drivers: readonly MeasuredItem[]
  /** PCR 9: everything that was read. */
  readonly files: readonly MeasuredItem[]
  /** PCR 14: lists of owners' keys that shim measured. */
  readonly mokLists: readonly MeasuredItem[]
  /** PCR 11: all that is no name. Whoever forges the log can leave names out, so that none may be left out here. */
  readonly sections: readonly KernelSection[]
  /** PCR 8 and 12: every event. */
  readonly loaderTexts: readonly LoaderText[]
  /**
   * Events that carry the label of a command line, in any register (ELOG-17). Text only of those in PCR 8, where GRUB
   * measures: others begin or end with what anybody puts there, and no list of texts shows them.
   */
  readonly labelledCommandLines: readonly LoaderText[]
  /** Load options that the kernel measured and a hint says (ELOG-20); null for those that it does not say. */
  readonly loadOptions: readonly LoaderText[]
}

type Draft = { [Member in keyof BootChain]: BootChain[Member][number][] }

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })
const utf16 = new TextDecoder('utf-16le', { fatal: true, ignoreBOM: true })

function decoded(decoder: typeof utf8, bytes: Uint8Array): string | null {
  try {
    return decoder.decode(bytes)
  } catch {
    return null
  }
}

const withoutNul = (text: string | null) => (text?.endsWith('\0') ? text.slice(0, -1) : text)

/** Latin letters in UTF-16LE have a zero byte behind them: no text of a boot loader in ASCII or UTF-8 has. */
const isWide = (bytes: Uint8Array) => bytes.length % 2 === 0 && bytes.length > 0 && bytes[1] === 0

function loaderText({ bound, bytes }: MeasuredEvent): string | null {
  if (bytes === null) return null
  if (bound === 'grub') return decoded(utf8, bytes)
  if (bound === 'utf16') return decoded(utf16, bytes)
  return bound === 'data' ? withoutNul(decoded(isWide(bytes) ? utf16 : utf8, bytes)) : null
}

/** Told by what was measured: the type of an event is not (ELOG-16). */
function isSeparator({ bound, bytes }: MeasuredEvent): boolean {
  return bound === 'data' && bytes?.length === 4 && isFilledWith(bytes, 0)
}

const printable = /^[\x20-\x7e]{1,256}$/

/** What firmware says of its own doing; an image is longer, and no text, also under the type of an action. */
function isFirmwareText({ bound, bytes }: MeasuredEvent): boolean {
  return bound === 'data' && bytes !== null && bytes.length <= 256 && printable.test(decoded(utf8, bytes) ?? '')
}

const tagNames: ReadonlyMap<number, string> = new Map([
  [initrdTag, 'initial ramdisk'],
  [loadOptionsTag, 'load options'],
])

function unboundNameOf({ type, data }: LoggedEvent): string | null {
  if (type === eventTypes.eventTag) return tagNames.get(taggedEventOf(data)?.id ?? 0) ?? null
  if (type !== eventTypes.ipl) return imagePathOf(data)
  const text = isWide(data) ? decoded(utf16, data) : decoded(utf8, grubTextOf(data).text)
  return withoutNul(text)
}

function itemOf({ event, digest, bank }: MeasuredEvent): MeasuredItem {
  return { event, digest, bank, unboundName: unboundNameOf(event) || null }
}

const sectionName = /^\.([a-z0-9]{1,7})$/

/** Joins a measured name with the content behind it; order within one register is proved. */
class Sections {
  readonly found: KernelSection[] = []
  #name: string | null = null

  take({ bound, bytes, digest, bank }: MeasuredEvent): void {
    const name = this.#name
    this.#name = null
    if (name === null && bound === 'section-name' && bytes !== null) {
      this.#name = sectionName.exec(decoded(utf8, bytes) ?? '')?.[1] ?? null
    }
    if (this.#name === null) this.found.push({ name, digest, bank })
  }
}

/** The register of the texts of GRUB. */
const grubTexts = 8

const isCommandLineLabel = (label: string | null) => label === 'kernel_cmdline: ' || label === 'grub_kernel_cmdline '

function takeTexts(draft: Draft, measured: MeasuredEvent): void {
  const { event, bound } = measured
  if (event.type === eventTypes.ipl && isCommandLineLabel(grubTextOf(event.data).label)) {
    const isOfGrub = bound === 'grub' && event.pcr === grubTexts
    draft.labelledCommandLines.push({ event, text: isOfGrub ? loaderText(measured) : null })
  }
  if (event.pcr === 9 && event.type === eventTypes.eventTag && taggedEventOf(event.data)?.id === loadOptionsTag) {
    const text = bound === 'load-options' && measured.bytes ? decoded(utf16, measured.bytes) : null
    draft.loadOptions.push({ event, text })
  }
}

/** Registers whose every event is one item of a list, but for separators. */
const listOf: ReadonlyMap<number, 'images' | 'drivers' | 'files' | 'mokLists'> = new Map([
  [2, 'drivers'],
  [4, 'images'],
  [9, 'files'],
  [14, 'mokLists'],
])

function takeRegister(draft: Draft, sections: Sections, measured: MeasuredEvent): void {
  const { event } = measured
  const list = listOf.get(event.pcr)
  if (event.pcr === 11) sections.take(measured)
  else if (event.pcr === 8 || event.pcr === 12) draft.loaderTexts.push({ event, text: loaderText(measured) })
  else if (list === undefined || isSeparator(measured)) return
  else if (list !== 'images' || !isFirmwareText(measured)) draft[list].push(itemOf(measured))
}

/** Reads the boot chain of a log out of its proved registers. */
export function bootChainOf(judged: JudgedEventLog): BootChain {
  const sections = new Sections()
  const draft: Draft = {
    ...{ images: [], drivers: [], files: [], mokLists: [] },
    ...{ sections: sections.found, loaderTexts: [], labelledCommandLines: [], loadOptions: [] },
  }
  for (const measured of judged.measured()) {
    takeTexts(draft, measured)
    takeRegister(draft, sections, measured)
  }
  return draft
}
