import type { TdxInputs } from '../../verifier/index.ts'
import type { QuotePlatform } from '../quote-platform.ts'
import type { OfflineQuestion } from './question.ts'

/** What a quote is judged with, whatever it is bound to. */
export function offlineTd({ td, simulator, requireEventLog }: OfflineQuestion): Omit<TdxInputs, 'now' | 'reportData'> {
  const { collateral, trustAnchors, references, tcbStatuses, allowDebug } = td
  return {
    collateral,
    trustAnchors,
    simulator,
    policy: { acceptDebug: allowDebug, ...(tcbStatuses === null ? {} : { tcbStatuses }) },
    ...(references === null ? {} : { references }),
    ...(requireEventLog ? { eventLog: { requirement: 'required' } } : {}),
  }
}

/** How to get the collateral that is missing; `isQuote`: the evidence is a file that holds a quote alone. */
export function fetchHint(platform: QuotePlatform | null, isQuote: boolean): string {
  if (platform === null) return 'the quote names no platform for which collateral could be fetched'
  const { tee, fmspc, ca } = platform
  const of = isQuote ? '--quote FILE' : `--tee ${tee} --fmspc ${fmspc} --ca ${ca}`
  return `attestd collateral fetch ${of} --output BUNDLE`
}

/** What the appraisal of a quote does not show. */
export function notesOnTd({ td, nonce, simulator }: OfflineQuestion, hint: string): string[] {
  const notes: string[] = []
  if (td.collateral === null) {
    notes.push(`without --collateral neither revocation nor TCB is judged, and nothing is affirmed: ${hint}`)
  }
  if (nonce === 'any') notes.push('the report data was not compared: this may be a recording of any age')
  if (td.references === null) notes.push('no measurement was compared: name --references for what has to run')
  if (simulator) notes.push('simulated TDs were let through: whoever runs one makes it say anything')
  return notes
}
