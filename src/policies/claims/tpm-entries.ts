import { type ClaimLine, claimEntries } from './claim-entry.ts'

const key: readonly ClaimLine[] = [
  ['tpm.ak_trusted', 'B', 'the attestation key is believed to live in a genuine TPM'],
  ['tpm.ak_trust', 'S', 'why: `ek-certificate`, `ek-pinned`, `ak-certificate`, `td-bound`; else `none`'],
  ['tpm.ak_name', 'S', 'hex: Name of the attestation key'],
  ['tpm.ak_pub_sha256', 'S', 'hex: SHA-256 of the SubjectPublicKeyInfo of the attestation key'],
  ['tpm.ek_spki_sha256', 'S', 'hex: SHA-256 of the endorsement key'],
  ['tpm.ek_cert_sha256', 'S', 'hex: SHA-256 of its certificate'],
  ['tpm.ek_anchor', 'S', 'trust anchor of that certificate: profile name or fingerprint'],
  ['tpm.crl_status', 'S', '`fresh`, `stale`, `none`, `off`'],
  ['tpm.instance_id', 'S', 'instance that the certificate names, where the verifier compared it'],
]

const quote: readonly ClaimLine[] = [
  ['tpm.nonce_matched', 'B', 'the quote is over the value that was computed for this request'],
  ['tpm.qualifying_data', 'S', 'hex: what the quote is over'],
  ['tpm.quoted_pcrs', 'I*', 'registers that were quoted'],
  ['tpm.pcr_bank', 'S*', 'banks that were quoted: `sha256` …'],
  ['tpm.pcr.<n>', 'S', 'hex: value of register n in the SHA-256 bank'],
  ['tpm.image', 'S', 'name of the reference image whose registers were quoted'],
  ['tpm.reset_count', 'I', 'only of keys under the endorsement key'],
  ['tpm.restart_count', 'I', 'only of keys under the endorsement key'],
  ['tpm.clock_safe', 'B', 'the clock of the TPM never went back'],
  ['tpm.new_boot', 'B', 'the machine was reset since the last accepted quote'],
  ['tpm.firmware_version', 'S', '16 hex digits; only of keys under the endorsement key'],
]

const log: readonly ClaimLine[] = [
  ['tpm.eventlog_present', 'B', 'the evidence has an event log'],
  ['tpm.eventlog_verified', 'B', 'every check of the log passed; only if a log was given'],
  ['tpm.events_unbound', 'I', 'measured events whose digest does not bind their data'],
  ['tpm.unaccounted_pcrs', 'I*', 'registers 8 to 23 that are not zero, and have no event'],
  ['tpm.startup_locality', 'I', 'where register 0 began'],
  ['tpm.secure_boot', 'B', 'only from bound events; absent where anything is missing'],
  ['tpm.setup_mode', 'B', 'no platform key is set'],
  ['tpm.kernel_cmdline', 'S', 'the one command line that was measured'],
]

const databases = ['pk', 'kek', 'db', 'dbx'].flatMap((name): ClaimLine[] => [
  [`tpm.eventlog.${name}_sha256`, 'S', `hex: SHA-256 of the value of the UEFI variable ${name}`],
  [`tpm.eventlog.${name}_certificates`, 'S*', `hex: SHA-256 of each certificate in ${name}`],
  [`tpm.eventlog.${name}_subjects`, 'S*', `subject of each certificate in ${name}`],
  [`tpm.eventlog.${name}_digests`, 'S*', `digests in ${name}, each behind the name of its hash`],
])

const chain: readonly ClaimLine[] = [
  ['tpm.eventlog.authorities', 'S*', 'what verified an image: `db:` and SHA-256 of a certificate, or `unknown`'],
  ['tpm.eventlog.authority_subjects', 'S*', 'subjects of these certificates'],
  ['tpm.eventlog.boot_images', 'S*', 'digest of every image in register 4, behind the name of its bank'],
  ['tpm.eventlog.boot_drivers', 'S*', 'digest of every driver in register 2'],
  ['tpm.eventlog.boot_files', 'S*', 'digest of everything in register 9'],
  ['tpm.eventlog.mok_lists', 'S*', 'digest of everything in register 14'],
  ['tpm.eventlog.kernel_sections.<name>', 'S*', 'digests of a section of a unified kernel image'],
  ['tpm.eventlog.kernel_sections_unnamed', 'I', 'sections without a measured name'],
  ['tpm.eventlog.loader_texts', 'S*', 'texts in registers 8 and 12 that digests bind'],
  ['tpm.eventlog.loader_texts_unbound', 'I', 'events in these registers without such a text'],
  ['tpm.eventlog.too_long', 'S*', 'names of parts that are longer than claims may be, and left out'],
]

const eventMembers =
  '`EventSeq` (place in the log), `PcrIndex`, `EventTypeString`, `DigestBound`, `Digests`, and only where `DigestBound` is true `ProcessedData`: `{VariableGuid, UnicodeName, VariableData}`, `{String}` or `{DevicePath}`'

const documents: readonly ClaimLine[] = [
  [
    'tpm.events',
    'S',
    'the event log, if it is verified and has at most 8 192 events and 4 MiB of text',
    { document: { root: 'Events', members: eventMembers } },
  ],
  [
    'tpm.pcrs',
    'S',
    'all quoted registers',
    { isReadOnly: true, document: { root: 'PCRs', members: '`Index`, `Digests` `{SHA1, SHA256, …}` in hex' } },
  ],
]

export const tpmEntries = claimEntries(['tpm'], [...key, ...quote, ...log, ...databases, ...chain, ...documents])

const imaMembers =
  '`Index`, `Template`, `Digest` (hash name and hex), `Path` (escaped), `Signed`, `Violation`; only of the verified prefix'

const ima: readonly ClaimLine[] = [
  ['ima.verified', 'B', 'a prefix of the log leads to the quoted register'],
  [
    'ima.boot_aggregate_matched',
    'B',
    'its first record is over the quoted registers; absent where those are not quoted',
  ],
  ['ima.boot_aggregate_pcrs', 'S', '`0-7` or `0-9`'],
  ['ima.entry_count', 'I', 'records of the verified prefix, since the boot'],
  ['ima.pending_count', 'I', 'records behind it, of which nothing is known'],
  ['ima.violation_count', 'I', 'files that changed while they were measured'],
  ['ima.not_allowed_count', 'I', 'files without a reference value, or with another one; absent without references'],
  ['ima.excluded_count', 'I', 'files that the references exclude; absent without references'],
  ['ima.kexec_count', 'I', 'further boot_aggregate records'],
  ['ima.signature_invalid_count', 'I', 'files whose signature is wrong'],
  ['ima.unknown_template_count', 'I', 'records of templates that are not known'],
  ['ima.sha1_padded', 'B', 'the log has the strength of SHA-1'],
  [
    'ima.log',
    'S',
    'the whole log since the boot, if it was sent at once, is verified and has at most 20 000 records and 8 MiB of text',
    { isReadOnly: true, document: { root: 'Entries', members: imaMembers } },
  ],
]

export const imaEntries = claimEntries(['ima'], ima)
