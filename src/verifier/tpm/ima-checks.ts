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
    remedy: 'send the log from the record that the appraisal names, or the whole log from record 0',
  },
  'tpm.ima.wellFormed': {
    title: 'the IMA log parses to its last byte',
    rule: 'IMA-01',
    remedy: 'send binary_runtime_measurements as it is, cut at the end of a record, and name the digest of its column',
  },
  'tpm.ima.replay': {
    title: 'a prefix of the IMA log replays to the quoted PCR',
    rule: 'IMA-08',
    remedy: 'restart the machine; kernel log and PCR parted, or the log was changed',
  },
  'tpm.ima.sha1': {
    title: 'no bank is reached by padded SHA-1 values',
    rule: 'IMA-06',
    remedy: 'update the kernel to Linux 5.8 or later; or accept the strength of SHA-1 with acceptSha1Padded',
  },
  'tpm.ima.column': {
    title: 'the column of every record but violations is the hash of its data',
    rule: 'IMA-04',
    remedy: 'send the log as the kernel gives it, and name the digest of its column; the list of hashes was changed',
  },
  'tpm.ima.template': {
    title: 'the data of every covered record has the form of its template',
    rule: 'IMA-07',
    remedy: 'send the log as the kernel gives it; names of templates are covered by no digest and were perhaps changed',
  },
  'tpm.ima.pending': {
    title: 'records that were not yet covered the last time are the same now',
    rule: 'IMA-09',
    remedy: 'send the log as the kernel gives it; its tail was changed between two quotes',
  },
  'tpm.ima.registers': {
    title: 'records of other PCRs lead to the quoted values of these',
    rule: 'IMA-19',
    remedy: 'let IMA alone extend a PCR that an IMA rule names (pcr=), or do not quote it',
  },
  'tpm.ima.firstRecord': {
    title: 'the first record of the boot is boot_aggregate',
    rule: 'IMA-12',
    remedy: 'send the log from the start of the boot',
  },
  'tpm.ima.bootAggregate': {
    title: 'the digest of the first record is that of the quoted PCR 0 to 7 or 0 to 9',
    rule: 'IMA-13',
    remedy:
      'let the TPM driver start before IMA (build it into the kernel); quote PCR 0 to 9 in the bank of the digest',
  },
  'tpm.ima.buffers': {
    title: 'the digest of every measured buffer is that of the buffer',
    rule: 'IMA-17',
    remedy: 'send the log as the kernel gives it; a measured buffer was changed',
  },
  'tpm.ima.violations': {
    title: 'there are no more violations than policy allows',
    rule: 'IMA-14',
    remedy: 'leave files that are written while they are measured out of the IMA policy, or raise maxViolations',
  },
  'tpm.ima.templates': {
    title: 'every covered record has a template that is known, or policy lets others be',
    rule: 'IMA-07',
    remedy: 'use a template of the kernel (ima_template=), or set unknownTemplates to report',
  },
  'tpm.ima.files': {
    title: 'every measured file has a reference value',
    rule: 'IMA-15',
    remedy: 'look at the files that are listed: remove them, add reference values for them, or exclude their paths',
  },
  'tpm.ima.signatures': {
    title: 'no signature of a measured file is invalid',
    rule: 'IMA-18',
    remedy: 'look at the files that are listed: their content is not what was signed; install them again',
  },
  'tpm.ima.keys': {
    title: 'every key and buffer that the kernel measured, and that a list is about, is on it',
    rule: 'IMA-17',
    remedy: 'look at the names that are listed: load only listed keys, or add reference values for what was loaded',
  },
  'tpm.ima.kexec': {
    title: 'no other kernel was started by kexec, or policy allows it',
    rule: 'IMA-20',
    remedy: 'restart the machine through its firmware, or set kexec to allow',
  },
} as const

export type TpmImaCheckId = keyof typeof imaChecks

export const imaCheckIds = Object.keys(imaChecks) as TpmImaCheckId[]
