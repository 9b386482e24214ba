import { AttestdError } from '../../base/errors.ts'

/** Told once for each log that cannot be read although it is there. */
export type LogWarning = (code: string, message: string) => void

const unreadable = new Set(['eventlog_unreadable', 'ima_unreadable'])

/**
 * Reads a measurement log that policy does not require: one that this user may not read counts as absent, with a
 * warning, and the appraisal says that it is missing. IMA's belongs to root, and the agent is somebody else. A log that
 * is required throws instead: evidence without it would be refused with less to say.
 */
export function optionalLog<T, Arguments extends unknown[]>(
  requirement: 'required' | 'optional',
  read: (...given: Arguments) => Promise<T | null>,
  warn: LogWarning,
): (...given: Arguments) => Promise<T | null> {
  let warned = false
  return async (...given) => {
    try {
      return await read(...given)
    } catch (error) {
      if (requirement === 'required' || !(error instanceof AttestdError) || !unreadable.has(error.code)) throw error
      if (!warned) warn(error.code, error.message)
      warned = true
      return null
    }
  }
}
