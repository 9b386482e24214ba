import type { HashName } from '../../evidence/tpm/algorithms.ts'
import type { ImaLogPart } from '../../evidence/tpm/evidence.ts'
import { attemptImaLog, type ImaLogInputs, type ImaLogVerdict } from '../ima/judge-ima-log.ts'
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
}

/** The engine of the IMA log, as an appraisal of TPM evidence needs it. Does not throw for a bad log. */
export interface LogReplays {
  /** The verdict, or why the log does not parse. */
  judgeImaLog(part: ImaLogPart, inputs: ImaLogInputs): ImaLogVerdict | string
}

/** The engine of this verifier. */
export const logReplays: LogReplays = { judgeImaLog: attemptImaLog }

function imaVerdict({ matched, records, pending, wrongColumn }: ImaReplay): LogVerdict {
  if (matched === null)
    return { ok: false, detail: `none of the prefixes of ${records} records leads to the quoted PCR` }
  if (wrongColumn !== null) {
    return { ok: false, detail: `the template hash of record ${wrongColumn} is not that of its data` }
  }
  return { ok: true, detail: `${matched} records are covered by the quote, ${pending} are pending` }
}

/**
 * Whether a whole log leads to values of the register that IMA extends, bank → value; its content is not judged. Does
 * not throw for a bad log.
 */
export function imaLogOutcome(
  { column, data }: ImaLogPart,
  quoted: ReadonlyMap<HashName, Uint8Array>,
  pcr: number,
): LogOutcome {
  const { value, problem } = attempt(() => replayImaLog(data, { quoted, pcr, column, acceptSha1Padded: false }))
  if (value === null) return { wellFormed: { ok: false, detail: problem }, replay: null }
  return { wellFormed: { ok: true, detail: `${value.records} records` }, replay: imaVerdict(value) }
}
