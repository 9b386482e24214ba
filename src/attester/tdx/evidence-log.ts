import { AttestdError } from '../../base/errors.ts'
import { ccEventLogLimits, composeCcEventLog } from '../../evidence/tdx/cc-event-log.ts'
import { ccTypeTdx, parseCcelTable } from '../../evidence/tdx/ccel-table.ts'
import { attesterErrors } from '../errors.ts'
import type { BootLogFiles, RuntimeLogFiles } from './event-log-sources.ts'
import { describeFailure } from './system-refusal.ts'

/** The log that goes into evidence (TDX-022). */
export interface EvidenceLog {
  /** Null where the machine has none. One that does not parse is carried along as it is: the verifier judges it. */
  readonly bytes: Uint8Array | null
  readonly problem: string | null
}

const limit = ccEventLogLimits.bytes

async function attempt<T>(what: string, run: () => Promise<T>): Promise<T> {
  try {
    return await run()
  } catch (cause) {
    const failure = describeFailure(cause)
    if (failure === null) throw cause
    const tooLong = failure.facts['errno'] === 'EFBIG'
    const detail = tooLong ? `${what} has more than ${limit} bytes` : `${what}: ${failure.says}`
    throw attesterErrors.error('tdx_log_unreadable', detail, { cause, facts: failure.facts })
  }
}

/** The problem of a log that is not what it should be; everything else is thrown on. */
function problemOf(error: unknown): string {
  if (error instanceof AttestdError && error.code === 'MALFORMED') return error.message
  throw error
}

async function readFirmwareLog(files: BootLogFiles): Promise<EvidenceLog> {
  const table = await attempt('the CCEL table', () => files.readTable())
  if (table === null) return { bytes: null, problem: null }
  try {
    const { ccType, logAreaLength } = parseCcelTable(table)
    if (ccType !== ccTypeTdx) return { bytes: null, problem: `the CCEL table is of type ${ccType}, not of TDX` }
    const log = await attempt('the log of the firmware', () => files.readLog(limit))
    const area = logAreaLength > BigInt(limit) ? limit : Number(logAreaLength)
    return { bytes: log?.subarray(0, area) ?? null, problem: null }
  } catch (error) {
    return { bytes: null, problem: problemOf(error) }
  }
}

const absentIfEmpty = (log: Uint8Array | null): Uint8Array | null => (log?.length === 0 ? null : log)

/** Reads both logs and puts them together. Throws `tdx_log_unreadable`. */
export async function collectEvidenceLog(bootLog: BootLogFiles, runtimeLog: RuntimeLogFiles): Promise<EvidenceLog> {
  const { bytes, problem } = await readFirmwareLog(bootLog)
  const firmware = absentIfEmpty(bytes)
  const runtime = absentIfEmpty(await attempt('the runtime log', () => runtimeLog.read(limit)))
  try {
    return { bytes: composeCcEventLog(firmware, runtime), problem }
  } catch (error) {
    return { bytes: firmware ?? runtime, problem: problem ?? problemOf(error) }
  }
}
