import { openLog, tooLong, unreadable } from './open-log.ts'
import { readToEnd } from './protected-file.ts'

const usualPath = '/sys/kernel/security/tpm0/binary_bios_measurements'

/** In bytes. Firmware writes some ten kilobytes. */
const usualLimit = 8 << 20

/**
 * Reads the event log of the firmware to its end; its `stat` says size 0 (TPM-08). Null where the machine has none.
 * Throws `eventlog_unreadable` where it may not be read, cannot be read, or is longer than `limit` bytes.
 */
export async function readEventLog(path = usualPath, limit = usualLimit): Promise<Uint8Array | null> {
  try {
    await using file = await openLog(path, 'eventlog_unreadable')
    if (file === null) return null
    const log = await readToEnd(file, limit)
    if (log === null) throw tooLong('eventlog_unreadable', path, limit)
    return log
  } catch (error) {
    throw unreadable('eventlog_unreadable', path, error)
  }
}
