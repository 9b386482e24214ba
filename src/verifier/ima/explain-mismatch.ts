import { equalBytes } from '../../base/bytes.ts'
import type { ImaLogPart } from '../../evidence/tpm/evidence.ts'
import type { ImaProgress } from './ima-progress.ts'
import { ImaRegisters, type QuotedValues } from './ima-registers.ts'
import { ImaRun } from './ima-run.ts'

/** True where the first records of the log lead to the values that they led to earlier. */
function isUnchanged({ data, column }: ImaLogPart, { pcr, records, running }: ImaProgress): boolean {
  const own = running.filter((value) => value.pcr === pcr)
  const quoted: QuotedValues = new Map(own.map(({ bank, value }) => [bank, new Map([[pcr, value]])]))
  const banks = own.map(({ bank }) => bank)
  const acceptSha1Padded = own.some(({ form }) => form === 'sha1-padded')
  const registers = new ImaRegisters({ quoted, pcr, banks, acceptSha1Padded, running: null })
  const run = new ImaRun({ data, column, from: 0, registers, judge: null, pending: null })
  while (run.records < records && run.next()) run.extendRegisters()
  const now = registers.running().filter((value) => value.pcr === pcr)
  return own.every((kept) =>
    now.some(({ bank, form, value }) => bank === kept.bank && form === kept.form && equalBytes(value, kept.value)),
  )
}

/**
 * Says of a whole log that leads to none of the quoted values (IMA-08) what can be said beside what was judged of the same
 * boot: whether it was cut, whether the trouble is in the records that were judged, or behind them. `records`: of the log,
 * which parses. Null where nothing was judged before.
 */
export function explainMismatch(log: ImaLogPart, records: number, before: ImaProgress | null): string | null {
  if (before === null || log.from > 0) return null
  const judged = `the first ${before.records} records`
  if (records < before.records) return `the log was cut: ${before.records} records were judged earlier in this boot`
  if (!isUnchanged(log, before)) {
    return `${judged} are not those that were judged earlier in this boot: some were dropped, exchanged or changed`
  }
  return `${judged} are as they were judged earlier: behind them the log was cut or changed, or something else extended the PCR`
}
