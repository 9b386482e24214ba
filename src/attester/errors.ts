import { declareErrors } from '../base/errors.ts'

/**
 * Why evidence could not be collected. Names and kinds of the TPM errors are those of NAT 3.6; what the way to
 * the TPM does (not there, no answer in time) is declared by the room that opens it.
 */
export const attesterErrors = declareErrors({
  TPM_NOT_STARTED: {
    kind: 'unavailable',
    title: 'the firmware of this machine has not started the TPM',
    remedy: 'enable the TPM in the firmware or the instance settings and start the machine again',
  },
  TPM_NOT_READY: {
    kind: 'unavailable',
    title: 'the TPM keeps asking for more time',
    remedy: 'ask again later; a TPM that stays so is testing itself or protects its memory from wear',
  },
  TPM_NO_SLOTS: {
    kind: 'unavailable',
    title: 'the TPM has no room for another key or session',
    remedy: 'use /dev/tpmrm0 instead of /dev/tpm0, or end the program that keeps keys or sessions loaded',
  },
  TPM_STATE_LOST: {
    kind: 'unavailable',
    title: 'keys or sessions vanished from the TPM while they were in use, twice in a row',
    remedy: 'ask again; if it stays, another program resets the TPM or flushes what it does not own',
  },
  TPM_LOCKED_OUT: {
    kind: 'unavailable',
    title: 'the TPM refuses passwords after too many wrong ones or unclean power-offs',
    remedy:
      'wait for the stated number of seconds, or let the owner run tpm2_dictionarylockout --clear-lockout; do not delete keys',
  },
  TPM_FAILURE: {
    kind: 'unavailable',
    title: 'the TPM is in failure mode: a self-test failed',
    remedy: 'restart the machine; a TPM that fails again is defective',
  },
  TPM_PCR_CHANGING: {
    kind: 'unavailable',
    title: 'PCRs changed between reading and quoting, five times in a row',
    remedy: 'ask again when fewer files are measured, or leave PCR 10 out of the quote',
  },
  TPM_AUTH: {
    kind: 'configuration',
    title: 'the TPM asks for a password that this agent does not have',
    remedy: 'remove the password of the named hierarchy or key, or choose another key; nothing was tried twice',
  },
  TPM_BANK_INACTIVE: {
    kind: 'configuration',
    title: 'a PCR bank that is wanted is not active in this TPM',
    remedy: 'choose a bank that is active (tpm2_getcap pcrs lists them), or activate it in the firmware',
  },
  TPM_COMMAND_REFUSED: {
    kind: 'unavailable',
    title: 'the TPM refused a command',
    remedy: 'look up the response code; if the TPM is supported, report command and code',
    retryable: false,
  },
  TPM_RESPONSE_MALFORMED: {
    kind: 'malformed',
    title: 'what the TPM answered does not have the form of the answer',
    remedy: 'check that tpm.tcti names a TPM 2.0; a vTPM that does this is broken or hostile',
  },
  TPM_INCONSISTENT: {
    kind: 'malformed',
    title: 'what the TPM answered contradicts itself or what was asked',
    remedy: 'do not trust this TPM; a vTPM that does this is broken or hostile',
  },
  TPM_CREDENTIAL_REFUSED: {
    kind: 'refused',
    title: 'the credential of the verifier was not made for the keys of this TPM',
    remedy: 'enrol again: the challenge was damaged, or made for another machine',
  },
  AK_LOST: {
    kind: 'unavailable',
    title: 'there is no attestation key that this TPM can load',
    remedy:
      'the TPM was cleared or replaced, or the file of the key is damaged: move `ak` out of the state directory and start the agent again, which enrols a new key',
    retryable: false,
  },
  AK_MISMATCH: {
    kind: 'configuration',
    title: 'the kept attestation key is not of the configured kind',
    remedy: 'set tpm.key to the kind of the kept key, or enrol again with a new key',
  },
  EK_MISMATCH: {
    kind: 'malformed',
    title: 'the endorsement certificate is not for the endorsement key of this TPM',
    remedy: 'choose the endorsement key that the certificate was made for; otherwise the TPM is not what it claims',
  },
  EK_CERTIFICATE_MALFORMED: {
    kind: 'malformed',
    title: 'what lies at the place of the endorsement certificate is not a certificate',
    remedy: 'read the NV index with tpm2_nvread and ask the maker of the TPM, or choose another endorsement key',
  },
  EK_UNUSABLE: {
    kind: 'configuration',
    title: 'the endorsement key cannot be used with the authorisation that this agent can give',
    remedy: 'choose an endorsement key made from one of the templates of the TCG EK Credential Profile',
  },
  tsm_absent: {
    kind: 'unavailable',
    title: 'the kernel does not offer attestation reports (configfs-tsm)',
    remedy:
      'use Linux 6.7 or later in a TDX guest, load the module tdx_guest and mount configfs at /sys/kernel/config (attestd doctor)',
    retryable: false,
  },
  tsm_no_provider: {
    kind: 'unavailable',
    title: 'no driver offers attestation reports to configfs-tsm',
    remedy: 'load the module tdx_guest; a machine without it is not a TDX guest',
    retryable: false,
  },
  tsm_wrong_provider: {
    kind: 'unsupported',
    title: 'the attestation reports of this machine are not those of TDX',
    remedy: 'turn off the TDX evidence: this guest has another kind of protection',
  },
  tsm_permission: {
    kind: 'configuration',
    title: 'this process may not ask for attestation reports',
    remedy: 'run the collector as root, and do not protect configfs in its unit (ProtectKernelTunables=no)',
  },
  tsm_conflict: {
    kind: 'unavailable',
    title: 'another program keeps interfering with the entry of our attestation report',
    remedy: 'find the other program that writes below the report folder of configfs, and stop it',
  },
  tsm_refused: {
    kind: 'unavailable',
    title: 'the kernel refused the request for an attestation report as malformed',
    remedy: 'report this with the facts of the error and the version of the kernel',
    retryable: false,
  },
  tsm_failed: {
    kind: 'unavailable',
    title: 'a file operation of configfs-tsm failed',
    remedy: 'look up the errno, and read the kernel log for messages of tdx_guest',
  },
  quote_empty: {
    kind: 'unavailable',
    title: 'the host answered with an empty quote',
    remedy:
      'have the provider of the host start its quote generation service (QGS); some GPU instances have none for this path',
    retryable: false,
  },
  quote_echo_mismatch: {
    kind: 'malformed',
    title: 'what the host gave is not a TDX quote over the report data that was asked for',
    remedy: 'do not use it: the quote generation service of the host is broken or hostile',
  },
  quote_too_large: {
    kind: 'unavailable',
    title: 'the quote is larger than the kernel or this program takes',
    remedy: 'update the kernel; if the quote has more than 64 KiB, the quoting service of the host is at fault',
    retryable: false,
  },
  quote_host_busy: {
    kind: 'unavailable',
    title: 'the host still works on an earlier quote',
    remedy: 'ask again later; if it stays, the quote generation service of the host hangs',
  },
  quote_host_silent: {
    kind: 'unavailable',
    title: 'the host did not answer a request for a quote within 30 seconds, twice',
    remedy: 'ask again; if it stays, the quote generation service (QGS) of the host is not running',
  },
  quote_host_error: {
    kind: 'unavailable',
    title: 'the host failed to make a quote',
    remedy: 'ask again; if it stays, ask the provider about the quote generation service (QGS) of the host',
  },
  quote_path_unavailable: {
    kind: 'unavailable',
    title: 'a way to a quote cannot be used on this machine',
    remedy: 'nothing, if another way works; else see attestd doctor for what this way needs',
    retryable: false,
  },
  quote_busy: {
    kind: 'unavailable',
    title: 'too many requests wait for a quote',
    remedy: 'ask again later, and less often: a quote takes about a second, one at a time',
  },
  quote_timeout: {
    kind: 'unavailable',
    title: 'no quote came in time',
    remedy: 'ask again; if it stays, the quote generation service (QGS) of the host is slow or hangs',
  },
  quote_stuck: {
    kind: 'unavailable',
    title: 'an earlier request for a quote does not come back from the kernel',
    remedy: 'wait, or restart the collector; if it happens again, the host is at fault',
  },
  tdx_log_unreadable: {
    kind: 'configuration',
    title: 'an event log of this guest cannot be read',
    remedy: 'run the collector as root: the kernel shows the log of the firmware to root only',
  },
  rtmr_unsupported: {
    kind: 'unsupported',
    title: 'this kernel cannot extend measurement registers',
    remedy: 'use Linux 6.16 or later, or a kernel whose driver has the ioctl of its vendor; nothing was measured',
  },
  pcr_unsupported: {
    kind: 'unsupported',
    title: 'this PCR cannot be extended so that a verifier can follow it',
    remedy:
      'name PCR 16 or 23 in measure.registers and tpm.pcrs, on a machine whose event log holds SHA-256; nothing was measured',
  },
  rtmr_permission: {
    kind: 'configuration',
    title: 'this process may not use the measurement registers',
    remedy: 'run the collector as root, and let its unit write below /sys/devices/virtual/misc/tdx_guest',
  },
  rtmr_not_extended: {
    kind: 'unavailable',
    title: 'the measurement register was not extended',
    remedy: 'look up the errno and try again; nothing was measured and nothing was logged',
  },
  rtmr_log_pending: {
    kind: 'unavailable',
    title: 'a measurement register was extended, and its record is not in the log yet',
    remedy:
      'free space or correct the permissions of the log; the record is added at the next use: do not measure again',
    retryable: false,
  },
  rtmr_log_diverged: {
    kind: 'unavailable',
    title: 'measurement register and event log no longer agree',
    remedy: 'restart the machine: only that resets the register; find out what else extends it or writes the log',
    retryable: false,
  },
  rtmr_log_share: {
    kind: 'unavailable',
    title: 'the records of these domains take all of the event log that the rule gives them',
    remedy:
      'measure less often, or raise `measure_bytes_max` of the rule; only a restart of the machine begins a new log',
    retryable: false,
  },
  rtmr_log_full: {
    kind: 'unavailable',
    title: 'the event log has no room for another record',
    remedy: 'measure less often; only a restart of the machine begins a new log',
    retryable: false,
  },
})
