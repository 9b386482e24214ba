import { parseEventLog } from '../../evidence/event-log/event-log.ts'
import type { HashName } from '../../evidence/tpm/algorithms.ts'
import type { ImaLogPart } from '../../evidence/tpm/evidence.ts'
import { type EventLogReplay, matchRegisters, replayEventLog } from '../event-log/replay-event-log.ts'
import { type ImaReplay, replayImaLog } from '../ima/replay-ima-log.ts'
import { attempt } from './each-quote.ts'
import type { PcrValues } from './pcr-values.ts'

export interface LogVerdict {
  readonly ok: boolean
  readonly detail: string
}

/** What one log says beside quoted registers; `replay` is null where the log does not parse. */
export interface LogOutcome {
  readonly wellFormed: LogVerdict
  readonly replay: LogVerdict | null
  /** A bank was reached only by padded SHA-1 values, and so has their strength (IMA-06). */
  readonly sha1Padded?: boolean
}

/** The log engines, as an appraisal of TPM evidence needs them. Neither throws for a bad log. */
export interface LogReplays {
  /** `quoted`: every signed value, bank → PCR → value. */
  replayEventLog(log: Uint8Array, quoted: PcrValues): LogOutcome
  /** `quoted`: bank → value of the register that IMA extends. */
  replayImaLog(
    log: ImaLogPart,
    quoted: ReadonlyMap<HashName, Uint8Array>,
    pcr: number,
    options?: { readonly acceptSha1Padded: boolean },
  ): LogOutcome
}

const malformed = (detail: string): LogOutcome => ({ wellFormed: { ok: false, detail }, replay: null })

/** The first few of a list that a hostile log may have made long. */
const few = (items: readonly string[]) =>
  items.length > 4 ? `${items.slice(0, 4).join('; ')}; and ${items.length - 4} more` : items.join('; ')

function eventLogVerdict(replay: EventLogReplay, quoted: PcrValues): LogVerdict {
  const { mismatches, missingBanks, unaccounted } = matchRegisters(replay, quoted)
  const problems = [
    ...(replay.localityProblem === null ? [] : [replay.localityProblem]),
    ...missingBanks.map((bank) => `the log has no bank ${bank}`),
    ...mismatches.map(({ bank, pcr }) => `${bank} PCR ${pcr} is not what the log leads to`),
  ]
  if (problems.length > 0) return { ok: false, detail: few(problems) }
  const open = unaccounted.length === 0 ? 'no register' : `PCR ${unaccounted.join(', ')}`
  return { ok: true, detail: `accounts for all quoted registers from 0 to 7, leaves open ${open}` }
}

function imaVerdict({ matched, records, pending, wrongColumn }: ImaReplay): LogVerdict {
  if (matched === null)
    return { ok: false, detail: `none of the prefixes of ${records} records leads to the quoted PCR` }
  if (wrongColumn !== null) {
    return { ok: false, detail: `the template hash of record ${wrongColumn} is not that of its data` }
  }
  return { ok: true, detail: `${matched} records are covered by the quote, ${pending} are pending` }
}

/** The engines of this verifier. */
export const logReplays: LogReplays = {
  replayEventLog: (log, quoted) => {
    const { value, problem } = attempt(() => parseEventLog(log))
    if (value === null) return malformed(problem)
    const wellFormed = { ok: true, detail: `${value.events.length} events` }
    return { wellFormed, replay: eventLogVerdict(replayEventLog(value, quoted), quoted) }
  },
  replayImaLog: ({ column, data }, quoted, pcr, { acceptSha1Padded } = { acceptSha1Padded: false }) => {
    const { value, problem } = attempt(() => replayImaLog(data, { quoted, pcr, column, acceptSha1Padded }))
    if (value === null) return malformed(problem)
    const sha1Padded = [...value.forms.values()].includes('sha1-padded')
    return { wellFormed: { ok: true, detail: `${value.records} records` }, replay: imaVerdict(value), sha1Padded }
  },
}
