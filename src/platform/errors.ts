import { declareErrors } from '../base/errors.ts'

const tpmWays = 'tpm.tcti names one of device:PATH, swtpm:path=P, swtpm:host=H,port=P, mssim:…, tabrmd:…'

/** What the host refuses or lacks. Names and kinds of the TPM errors are those of NAT 3.6. */
export const platformErrors = declareErrors({
  TPM_UNAVAILABLE: {
    kind: 'unavailable',
    title: 'no TPM answers at the configured place',
    remedy: 'attach a vTPM to the instance, load the kernel module of the TPM, or correct tpm.tcti',
  },
  TPM_PERMISSION: {
    kind: 'configuration',
    title: 'the TPM device may not be opened by this process',
    remedy: 'add the service to the group of the device (tss) and allow the device in the unit (DeviceAllow=)',
  },
  TPM_BUSY: {
    kind: 'unavailable',
    title: 'too many commands wait for the TPM',
    remedy: 'ask again later; if it stays, look for a TPM that answers slowly',
  },
  TPM_TIMEOUT: {
    kind: 'unavailable',
    title: 'the TPM did not answer a command in time',
    remedy: 'ask again; raise tpm.timeout if this TPM is known to be slow',
  },
  TPM_IO: {
    kind: 'unavailable',
    title: 'the way to the TPM failed during a command',
    remedy: 'ask again: the connection is opened anew; if it stays, read the kernel log for messages of the TPM',
  },
  TPM_STUCK: {
    kind: 'unavailable',
    title: 'calls into the TPM stack do not come back',
    remedy: 'restart the service; if it happens again, the host that provides the TPM is at fault',
    retryable: false,
  },
  TPM_RESPONSE_MALFORMED: {
    kind: 'malformed',
    title: 'what the TPM sent is not a response',
    remedy: 'check that tpm.tcti names a TPM 2.0; a vTPM that does this is broken or hostile',
  },
  TPM_TCTI_CONFIG: {
    kind: 'configuration',
    title: 'the TCTI configuration string is not accepted',
    remedy: `${tpmWays}; further names must be listed in tpm.allow_tcti`,
  },
  TPM_TCTI_UNAVAILABLE: {
    kind: 'configuration',
    title: 'the configured way to the TPM needs a library that is missing',
    remedy: 'install libtss2-tctildr with the named TCTI, and koffi, or use device: or swtpm:, which need neither',
  },
  TPM_TRANSPORT: {
    kind: 'configuration',
    title: 'tpm.transport cannot serve the configured TCTI string',
    remedy: 'set tpm.transport to auto, or to the transport that fits tpm.tcti',
  },
  TPM_SIMULATOR: {
    kind: 'configuration',
    title: 'a simulated TPM is configured but not allowed',
    remedy: 'use a real TPM; for tests set tpm.simulator = true: every result is then marked as simulated',
  },
  caller_gone: {
    kind: 'forbidden',
    status: 401,
    title: 'the calling process has ended',
    remedy: 'call from a process that lives until it has its answer',
  },
  caller_changed: {
    kind: 'forbidden',
    status: 401,
    title: 'the calling process is not who it was when it connected',
    remedy: 'connect again after changing the user',
  },
  identity_unavailable: {
    kind: 'unavailable',
    title: 'the caller could not be looked up in time',
    remedy: 'ask again',
  },
  SOCKET_ACTIVATION: {
    kind: 'configuration',
    title: 'the sockets passed by the service manager are not those expected',
    remedy: 'compare FileDescriptorName= and ListenStream= of the socket units with the documentation',
  },
  SERVICE_MANAGER: {
    kind: 'unavailable',
    title: 'messages to the service manager are lost',
    remedy: 'compare Type=notify and NotifyAccess= of the unit with the packaged one; the service works without',
  },
  SOCKET_IN_USE: {
    kind: 'configuration',
    title: 'another process listens on the socket',
    remedy: 'stop the other instance; use systemctl status to find it',
  },
  SOCKET_PATH: {
    kind: 'configuration',
    title: 'the path of the socket cannot be used',
    remedy: 'correct the path, or remove what lies there: only a dead socket of our own is replaced',
  },
  LISTEN_ADDRESS: {
    kind: 'configuration',
    title: 'the TCP address cannot be listened at',
    remedy: 'name 127.0.0.1 or [::1] with a free port above 1023: nothing but loopback is ever served over TCP',
  },
  FILE_UNSAFE: {
    kind: 'configuration',
    title: 'a file or folder is not protected as its content demands',
    remedy: 'correct owner and mode of the named file; symbolic links are not followed',
  },
  FILE_UNUSABLE: {
    kind: 'unavailable',
    title: 'a file cannot be read or written',
    remedy: 'check the named path, the permissions of the service and the free space',
  },
  TOKEN_DIRECTORY_MISSING: {
    kind: 'unavailable',
    title: 'the directory of a token file is not there, or may not be used',
    remedy:
      'create it with systemd-tmpfiles: `d PATH 2750 attestd GROUP`; outside of /run/attestd/tokens the unit also needs `ReadWritePaths=PATH`',
  },
  TOKEN_DIRECTORY_UNSAFE: {
    kind: 'configuration',
    title: 'the directory of a token file is not protected as tokens demand',
    remedy:
      'let it, and everything between it and the root, belong to root or the agent and be writable for nobody else; allow_consumer_writable and allow_disk make exceptions',
  },
  LOCK_HELD: {
    kind: 'unavailable',
    title: 'another process holds the lock',
    remedy: 'wait for the other process or stop it',
  },
  eventlog_unreadable: {
    kind: 'configuration',
    title: 'the event log of the firmware cannot be read',
    remedy: 'let the collector run as root, or add it to the group that owns binary_bios_measurements (tss)',
  },
  ima_unreadable: {
    kind: 'configuration',
    title: 'the IMA measurement list cannot be read',
    remedy: 'let the collector run as root: the kernel gives the list to root only',
  },
})

/** What keeps native code from being called: for the catalogue of all codes. */
export { nativeErrors } from '../../native/errors.ts'
