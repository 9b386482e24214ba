/** The checks of the IMA log (tpm.md section 8), in the order in which they are judged. */
export const imaChecks = {
  'tpm.ima.present': {
    title: 'the IMA log is there, and its PCR is quoted',
    rule: 'IMA-00',
    remedy: 'boot with an IMA policy, quote the IMA PCR and let the collector read the log, or do not require it',
  },
  'tpm.ima.offset': {
    title: 'the IMA log starts with the boot, or where the last accepted one ended',
    rule: 'IMA-10',
    remedy: 'send the whole log from record 0',
  },
  'tpm.ima.wellFormed': {
    title: 'the IMA log parses to its last byte',
    rule: 'IMA-01',
    remedy: 'send binary_runtime_measurements as it is, cut at the end of a record',
  },
  'tpm.ima.replay': {
    title: 'a prefix of the IMA log replays to the quoted PCR',
    rule: 'IMA-08',
    remedy: 'restart the machine; kernel log and PCR parted, or the log was changed',
  },
} as const

export type TpmImaCheckId = keyof typeof imaChecks
