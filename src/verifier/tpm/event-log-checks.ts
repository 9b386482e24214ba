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
  'tpm.eventlog.banks': {
    title: 'the event log has every quoted bank',
    rule: 'ELOG-11',
    remedy: 'quote the banks that the firmware logs; for a log of SHA-1 alone, activate SHA-256 in the firmware setup',
  },
  'tpm.eventlog.locality': {
    title: 'the event log states the locality in which the TPM was started at most once, before PCR 0 was extended',
    rule: 'ELOG-06',
    remedy: 'update the firmware; a log that chooses its own start of PCR 0 is not believed',
  },
  'tpm.eventlog.replay': {
    title: 'the event log replays to the quoted PCRs',
    rule: 'ELOG-09',
    remedy: 'restart the machine; a log that does not lead to the quoted PCRs is incomplete or was changed',
  },
  'tpm.eventlog.payloads': {
    title: 'variables, separators, actions and partition tables in the event log are those that were measured',
    rule: 'ELOG-12',
    remedy: 'send binary_bios_measurements as it is; data that their digests do not cover were changed',
  },
  'tpm.eventlog.separators': {
    title: 'PCR 0 to 7 have at most one separator each, and none that says that the firmware failed',
    rule: 'ELOG-14',
    remedy: 'restart the machine, and look for errors of its firmware; a second separator was not written by firmware',
  },
  'tpm.eventlog.types': {
    title: 'in PCR 1 to 7 separators, and nothing else, have the digest of a separator',
    rule: 'ELOG-15',
    remedy: 'send binary_bios_measurements as it is; types of events were changed to hide where the firmware ended',
  },
  'tpm.eventlog.secureBoot': {
    title: 'what the event log says of secure boot does not contradict itself',
    rule: 'SB-02',
    remedy: 'restart the machine, and update its firmware; variables of secure boot were measured twice or too late',
  },
} as const

export type TpmEventLogCheckId = keyof typeof eventLogChecks
