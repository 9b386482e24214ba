import type { Logger } from 'pino'
import type { Clock } from '../../base/clock.ts'
import { AttestdError } from '../../base/errors.ts'
import type { Task } from '../../base/tasks.ts'
import type { RecordJudge, TpmRegistry } from '../../registry/tpm-registry.ts'
import type { EnrolmentInputs } from '../../verifier/tpm/enrolment.ts'
import { recheckEnrolment } from '../../verifier/tpm/recheck-enrolment.ts'

export interface DailyRecheckParts {
  readonly registry: Pick<TpmRegistry, 'recheck'>
  /**
   * What enrolments are judged by today. It reads the configured files again, for revocation lists are replaced in
   * place, and from then on every appraisal must go by the same: else a key that was suspended here would be enrolled
   * again by lists of yesterday. `now` is ignored.
   */
  readonly inputs: () => Promise<EnrolmentInputs>
  /** Called after enrolments were suspended: no token of them may be served any more. */
  readonly suspended: () => void
  readonly clock: Pick<Clock, 'now' | 'boottime' | 'sleep'>
  readonly log: Pick<Logger, 'info' | 'warn'>
}

const hourMs = 3_600_000
/** ENR-10. */
const dayMs = 24 * hourMs

/** What a registry asks of one record: its certificates under `inputs` (ENR-10). */
export function recordJudge(inputs: () => EnrolmentInputs): RecordJudge {
  return (record) => recheckEnrolment(record, inputs())
}

async function recheckNow({ registry, inputs, suspended: drop, clock, log }: DailyRecheckParts): Promise<boolean> {
  try {
    const trust = await inputs()
    const suspended = await registry.recheck(recordJudge(() => ({ ...trust, now: clock.now() })))
    if (suspended > 0) drop()
    const event = { event: 'enrolments_rechecked', suspended }
    if (suspended > 0) log.warn(event, 'enrolments suspended: what vouched for their EK ended')
    else log.info(event, 'enrolments checked again')
    return true
  } catch (error) {
    if (!(error instanceof AttestdError)) throw error
    log.warn({ event: 'enrolments_not_rechecked', code: error.code }, 'enrolments could not be checked again')
    return false
  }
}

/**
 * Checks all enrolments at its start and once a day (ENR-10), counted on the boot-time clock: a machine that slept is
 * late by an hour at most. What cannot be read is tried again every hour, and suspends nobody.
 */
export function dailyRecheck(parts: DailyRecheckParts): Task {
  const { clock } = parts
  return async (signal) => {
    let due = clock.boottime()
    while (!signal.aborted) {
      if (clock.boottime() >= due && (await recheckNow(parts))) due = clock.boottime() + dayMs
      await clock.sleep(hourMs, signal).catch((reason: unknown) => {
        if (!signal.aborted) throw reason
      })
    }
  }
}
