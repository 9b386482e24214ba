import type { HashName } from '../../evidence/tpm/algorithms.ts'
import type { ImaLogPart } from '../../evidence/tpm/evidence.ts'
import { type ImaReplay, replayImaLog } from '../ima/replay-ima-log.ts'
import { attempt } from './each-quote.ts'

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

/** The engine of the IMA log, as an appraisal of TPM evidence needs it. Does not throw for a bad log. */
export interface LogReplays {
  /** `quoted`: bank → value of the register that IMA extends. */
  replayImaLog(
    log: ImaLogPart,
    quoted: ReadonlyMap<HashName, Uint8Array>,
    pcr: number,
    options?: { readonly acceptSha1Padded: boolean },
  ): LogOutcome
}

const malformed = (detail: string): LogOutcome => ({ wellFormed: { ok: false, detail }, replay: null })

function imaVerdict({ matched, records, pending, wrongColumn }: ImaReplay): LogVerdict {
  if (matched === null)
    return { ok: false, detail: `none of the prefixes of ${records} records leads to the quoted PCR` }
  if (wrongColumn !== null) {
    return { ok: false, detail: `the template hash of record ${wrongColumn} is not that of its data` }
  }
  return { ok: true, detail: `${matched} records are covered by the quote, ${pending} are pending` }
}

/** The engine of this verifier. */
export const logReplays: LogReplays = {
  replayImaLog: ({ column, data }, quoted, pcr, { acceptSha1Padded } = { acceptSha1Padded: false }) => {
    const { value, problem } = attempt(() => replayImaLog(data, { quoted, pcr, column, acceptSha1Padded }))
    if (value === null) return malformed(problem)
    const sha1Padded = [...value.forms.values()].includes('sha1-padded')
    return { wellFormed: { ok: true, detail: `${value.records} records` }, replay: imaVerdict(value), sha1Padded }
  },
}
