/** The checks of the event log of the firmware (tpm.md sections 6 and 7), in the order in which they are judged. */
export const eventLogChecks = {
  'tpm.eventlog.present': {
    title: 'the event log is there',
    rule: 'ELOG-00',
    remedy: 'let the collector read binary_bios_measurements, or do not require the event log',
  },
  'tpm.eventlog.wellFormed': {
    title: 'the event log parses to its last byte',
    rule: 'ELOG-02',
    remedy: 'send binary_bios_measurements as it is; if it stays, the firmware writes a log that cannot be judged',
  },
  'tpm.eventlog.replay': {
    title: 'the event log replays to the quoted PCRs',
    rule: 'ELOG-09',
    remedy: 'restart the machine; a log that does not lead to the quoted PCRs is incomplete or was changed',
  },
} as const

export type TpmEventLogCheckId = keyof typeof eventLogChecks
