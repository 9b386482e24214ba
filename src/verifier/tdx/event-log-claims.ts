import { toHex } from '../../base/bytes.ts'
import { MalformedError } from '../../base/errors.ts'
import { grubTextOf } from '../../evidence/event-log/grub-text.ts'
import { variableNameOf, variableOf } from '../../evidence/event-log/uefi-variable.ts'
import { evEventTag, isAaelData, parseAaelData } from '../../evidence/tdx/aael.ts'
import type { EventLogVerdict, JudgedEvent } from './event-log-policy.ts'

type Claims = Record<string, unknown>

/** Characters of all named content together: claims become tokens, and a guest can log as much as it likes. */
const contentLimit = 16_384

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

function textOf(bytes: Uint8Array): string | null {
  try {
    return utf8.decode(bytes)
  } catch {
    return null
  }
}

/** The register of boot loaders and of what they start. */
const loaderRtmr = 2

/**
 * Boot loaders hash the command line without its label, so that the label alone does not prove what the text is. In
 * another register than theirs no loader measured it, whatever the label.
 */
function commandLineOf({ bound, data, rtmr }: JudgedEvent): string | null {
  if (rtmr !== loaderRtmr) return null
  const { label, text } = grubTextOf(data)
  const isKernel = label === 'kernel_cmdline: ' || label === 'grub_kernel_cmdline '
  return bound === 'grub' && isKernel ? textOf(text) : null
}

/** RTMR2 and RTMR3 are extended by what was booted, and never by the firmware that reads variables. */
const lastFirmwareRtmr = 1

function bootVariableOf({ bound, data, rtmr }: JudgedEvent): Claims | null {
  if (rtmr === null || rtmr > lastFirmwareRtmr) return null
  const variable = bound === 'variable-data' ? variableOf(data) : null
  const name = variable && variableNameOf(variable)
  return variable && name !== null ? { name, value: toHex(variable.value) } : null
}

function runtimeEventOf({ bound, data, type, rtmr }: JudgedEvent): Claims | null {
  if (bound !== 'data' || type !== evEventTag || !isAaelData(data)) return null
  try {
    return { ...parseAaelData(data), rtmr }
  } catch (error) {
    if (!(error instanceof MalformedError)) throw error
    return null
  }
}

/** The named content (TDX-238), or that there is more of it than a token can hold. */
function contentClaims(events: readonly JudgedEvent[]): Claims {
  const content = {
    kernel_cmdline: events.flatMap((event) => commandLineOf(event) ?? []),
    boot_variables: events.flatMap((event) => bootVariableOf(event) ?? []),
    aael: events.flatMap((event) => runtimeEventOf(event) ?? []),
  }
  return JSON.stringify(content).length > contentLimit ? { too_long: true } : content
}

/**
 * Claims about the event log (POL-431): `rtmr_replayed` lists the registers to which the log led. Content is named only
 * of a log that matches, of events that extend a register, and as far as their digests bind it; labels of boot loaders
 * and names of variables are not bound, so that a policy on them should hold RTMR2 and RTMR1 to reference values as well.
 */
export function eventLogClaims(present: boolean, verdict: EventLogVerdict | null): Claims {
  if (!present) return { eventlog_present: false }
  if (verdict === null || !verdict.matches) return { eventlog_present: true, eventlog_verified: false }
  const matched = verdict.registers.filter(({ outcome }) => outcome === 'matched').map(({ rtmr }) => rtmr)
  const measured = verdict.events.filter(({ rtmr }) => rtmr !== null && matched.includes(rtmr))
  return {
    eventlog_present: true,
    eventlog_verified: true,
    rtmr_replayed: matched,
    rtmr3_unaccounted: verdict.rtmr3Unaccounted,
    eventlog: contentClaims(measured),
  }
}
