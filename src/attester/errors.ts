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
    remedy: 'enrol this machine: the key was never made, its file is damaged, or the TPM was cleared or replaced',
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
})
