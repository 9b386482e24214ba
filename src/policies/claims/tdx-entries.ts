import { type ClaimLine, claimEntries } from './claim-entry.ts'

const hexFields = (prefix: string, fields: readonly (readonly [string, string])[]): ClaimLine[] =>
  fields.map(([name, meaning]): ClaimLine => [`${prefix}.${name}`, 'S', `hex: ${meaning}`])

const header = hexFields('tdx.quote.header', [
  ['version', 'version of the quote, little-endian: `0400`'],
  ['att_key_type', 'kind of the attestation key'],
  ['tee_type', '`81000000` for a TD'],
  ['reserved', 'bytes 8 to 11 of the header'],
  ['vendor_id', 'vendor of the quoting enclave'],
  ['user_data', 'written by the quoting enclave'],
])

const body = hexFields('tdx.quote.body', [
  ['tcb_svn', 'security versions of the TDX module (TEE_TCB_SVN)'],
  ['mr_seam', 'measurement of the TDX module'],
  ['mrsigner_seam', 'signer of the TDX module; zeros for Intel'],
  ['seam_attributes', 'attributes of the TDX module'],
  ['td_attributes', 'attributes of the TD, little-endian; single bits are `tdx.td_attributes.*`'],
  ['xfam', 'extended features of the TD'],
  ['mr_td', 'measurement of the initial contents of the TD'],
  ['mr_config_id', 'configuration that the owner of the TD gave: init data'],
  ['mr_owner', 'owner of the TD, as given by the host'],
  ['mr_owner_config', 'configuration of the owner'],
  ['rtmr_0', 'run-time register 0: firmware configuration'],
  ['rtmr_1', 'run-time register 1: boot loaders and kernel'],
  ['rtmr_2', 'run-time register 2: what boot loaders read'],
  ['rtmr_3', 'run-time register 3: for the running system'],
  ['report_data', '64 bytes that the guest gave'],
  ['tee_tcb_svn2', 'security versions now, where those of `tcb_svn` are of the launch (TDX 1.5)'],
  ['mr_servicetd', 'service TDs that are bound to the TD (TDX 1.5)'],
  ['vmid', 'number of the TD at its host (extended report)'],
  ['td_id', 'identifier of the TD (extended report)'],
  ['devinfo', 'devices that are attached to the TD (extended report)'],
  ['init_servtd_hash', 'service TDs at the launch (extended report)'],
  ['init_servtd_attr', 'attributes of the service TDs at the launch (extended report)'],
  ['init_cpusvn', 'CPUSVN at the launch (extended report)'],
  ['init_tee_tcb_svn', 'security versions at the launch (extended report)'],
  ['init_tee_fmspc', 'platform at the launch (extended report)'],
  ['curr_servtd_hash', 'service TDs now (extended report)'],
  ['curr_servtd_attr', 'attributes of the service TDs now (extended report)'],
])

const attributes: readonly ClaimLine[] = [
  ['tdx.td_attributes.debug', 'B', 'the TD can be read by its host', { debugValue: true }],
  ['tdx.td_attributes.septve_disable', 'B', 'no exceptions for pages that the host takes away'],
  ['tdx.td_attributes.protection_keys', 'B', 'supervisor protection keys may be used'],
  ['tdx.td_attributes.key_locker', 'B', 'Key Locker may be used'],
  ['tdx.td_attributes.perfmon', 'B', 'performance counters may be used'],
]

/** What the verifier finds out about the platform; of TDs and enclaves alike (TDX-252). */
export const platformLines = (tree: string): readonly ClaimLine[] => [
  [`${tree}.tcb_status`, 'S', '`UpToDate`, `SWHardeningNeeded`, `ConfigurationNeeded`, `OutOfDate` …'],
  [`${tree}.tcb_date`, 'S', 'UTC: date of the TCB level that matched'],
  [`${tree}.advisory_ids`, 'S*', 'advisories that apply to that level'],
  [`${tree}.tcb_status_current`, 'S', 'the status by the current security versions of the platform'],
  [`${tree}.tcb_date_current`, 'S', 'UTC: date of that level'],
  [`${tree}.advisory_ids_current`, 'S*', 'advisories that apply to that level'],
  [`${tree}.collateral_expiration_status`, 'S', '`0`: in force; `1`: expired, and used under a grace period'],
  [`${tree}.earliest_issue_date`, 'S', 'UTC: of the collateral'],
  [`${tree}.latest_issue_date`, 'S', 'UTC: of the collateral'],
  [`${tree}.earliest_expiration_date`, 'S', 'UTC: of the collateral'],
  [`${tree}.tcb_eval_num`, 'I', 'evaluation number of the TCB info'],
  [`${tree}.pck_crl_num`, 'I', 'number of the revocation list of PCK certificates'],
  [`${tree}.root_ca_crl_num`, 'I', 'number of the revocation list of the root'],
  [`${tree}.root_key_id`, 'S', 'hex: SHA-384 of the key of the root'],
  [`${tree}.sgx_type`, 'S', '`Standard`, `Scalable`, `Scalable with Integrity`'],
  [`${tree}.is_dynamic_platform`, 'B', 'the platform may change; not of standard platforms'],
  [`${tree}.is_cached_keys`, 'B', 'Intel keeps the root keys of the platform; not of standard platforms'],
  [`${tree}.is_smt_enabled`, 'B', 'several threads a core; not of standard platforms'],
  [`${tree}.report_data_bound`, 'B', 'the report data are the value that was computed for this request'],
]

const eventMembers =
  '`EventSeq`, `PcrIndex` (measurement register: 1 to 4 are RTMR0 to RTMR3), `EventTypeString`, `DigestBound`, `Digests`, and `ProcessedData` where the digest binds the data'

const logs: readonly ClaimLine[] = [
  [
    'tdx.init_data_bound',
    'B',
    'init data were given, and are those of `mr_config_id`',
    { notMade: 'init data are not yet part of a request' },
  ],
  ['tdx.eventlog_present', 'B', 'the evidence has an event log'],
  ['tdx.eventlog_verified', 'B', 'the log leads to the quoted registers; only if a log was given'],
  ['tdx.rtmr_replayed', 'I*', 'registers to which the log leads'],
  ['tdx.rtmr3_unaccounted', 'B', 'register 3 is not zero, and the log has no event for it'],
  ['tdx.kernel_cmdline', 'S*', 'command lines that a boot loader measured into RTMR2, as their digests bind them'],
  ['tdx.eventlog_too_long', 'B', 'true: the command lines are longer than claims may be, and left out'],
  [
    'tdx.events',
    'S',
    'the event log, if it is verified and has at most 8 192 events and 4 MiB of text',
    { document: { root: 'Events', members: eventMembers } },
  ],
]

const copies: readonly ClaimLine[] = [
  ['report_data', 'S', 'hex: as `tdx.quote.body.report_data`, or that of the enclave'],
  ['init_data', 'S', 'hex: as `tdx.quote.body.mr_config_id`, or CONFIGID of the enclave'],
]

const descriptor: readonly ClaimLine[] = [
  ['tdx.quote.type', 'S', 'hex: kind of the body (version 5)'],
  ['tdx.quote.size', 'S', 'hex: size of the body, little-endian (version 5)'],
]

export const tdxEntries = [
  ...claimEntries(['tdx'], [...header, ...descriptor, ...body, ...attributes, ...platformLines('tdx'), ...logs]),
  ...claimEntries(['tdx', 'sgx'], copies),
]
