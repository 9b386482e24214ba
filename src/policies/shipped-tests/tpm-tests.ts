import { tdxTpmDefault, tdxTpmImaDefault } from '../defaults/tdx-tpm-defaults.ts'
import { tpmDefault, tpmImaDefault } from '../defaults/tpm-defaults.ts'
import { compositeTdxTpm, tpmImaAllowList, tpmSecureBoot } from '../examples/tpm-examples.ts'
import type { GivenValues, PolicyTestSpec } from './policy-test-spec.ts'

type Refusals = PolicyTestSpec['refuses']

const firmware = [0, 1, 2, 3, 4, 5, 6, 7]

const tpm: GivenValues = {
  'attestation.simulated': false,
  'tpm.ak_trusted': true,
  'tpm.nonce_matched': true,
  'tpm.quoted_pcrs': firmware,
  'tpm.eventlog_verified': true,
}

const noTpm: Refusals = [
  ['simulated', { 'attestation.simulated': true }, 'deny-rule'],
  ['nobody says whether it is simulated', { 'attestation.simulated': null }, 'no-permit'],
  ['a key that nobody vouches for', { 'tpm.ak_trusted': false }, 'configuration'],
  ['nobody says whether the key is trusted', { 'tpm.ak_trusted': null }, 'no-permit'],
  ['a quote of another request', { 'tpm.nonce_matched': false }, 'no-permit'],
  ['PCR 7 was not quoted', { 'tpm.quoted_pcrs': firmware.slice(0, 7) }, 'configuration'],
  ['a firmware log that does not hold', { 'tpm.eventlog_verified': false }, 'no-permit'],
]

const ima: GivenValues = {
  'tpm.quoted_pcrs': [...firmware, 10],
  'ima.verified': true,
  'ima.boot_aggregate_matched': true,
  'ima.violation_count': 0,
  'ima.not_allowed_count': 0,
}

const noIma: Refusals = [
  ['PCR 10 was not quoted', { 'tpm.quoted_pcrs': firmware }, 'configuration'],
  ['an IMA log that does not hold', { 'ima.verified': false }, 'no-permit'],
  ['a log of another boot', { 'ima.boot_aggregate_matched': null }, 'no-permit'],
  ['a file that changed while it was measured', { 'ima.violation_count': 1 }, 'deny-rule'],
  ['nobody counted violations', { 'ima.violation_count': null }, 'no-permit'],
  ['a file that is not allowed', { 'ima.not_allowed_count': 1 }, 'deny-rule'],
  ['nothing to compare files with', { 'ima.not_allowed_count': null }, 'no-permit'],
]

const noSecureBoot: Refusals = [
  ['without secure boot', { 'tpm.secure_boot': false }, 'deny-rule'],
  ['nobody says whether secure boot is on', { 'tpm.secure_boot': null }, 'no-permit'],
]

const td: GivenValues = {
  'evidence.kinds': ['tdx', 'tpm'],
  'tdx.td_attributes.debug': false,
  'tdx.report_data_bound': true,
  'tdx.tcb_status': 'UpToDate',
  'tdx.collateral_expiration_status': '0',
}

const noTd: Refusals = [
  ['in debug mode', { 'tdx.td_attributes.debug': true }, 'deny-rule'],
  ['nobody says whether it is in debug mode', { 'tdx.td_attributes.debug': null }, 'no-permit'],
  ['nobody says of which request the report data are', { 'tdx.report_data_bound': null }, 'no-permit'],
  ['a platform that is out of date', { 'tdx.tcb_status': 'OutOfDate' }, 'no-permit'],
  ['collateral under a grace period', { 'tdx.collateral_expiration_status': '1' }, 'deny-rule'],
]

const noDefaultTd: Refusals = [
  ...noTd,
  ['report data of another request', { 'tdx.report_data_bound': false }, 'deny-rule'],
  ['an event log that does not hold', { 'tdx.eventlog_verified': false }, 'deny-rule'],
]

const hardening: NonNullable<PolicyTestSpec['permits']> = [
  ['a platform that needs software hardening', { 'tdx.tcb_status': 'SWHardeningNeeded' }],
]

const secureBootTests: PolicyTestSpec = {
  policy: tpmSecureBoot,
  kinds: ['tpm'],
  claims: {
    ...tpm,
    'tpm.secure_boot': true,
    'tpm.setup_mode': false,
    'tpm.eventlog.authorities': ['db:aa', 'Shim:bb'],
    'tpm.kernel_cmdline': '/vmlinuz ro',
  },
  token: { 'policy-name': tpmSecureBoot.name, 'secure-boot': true, 'kernel-cmdline': '/vmlinuz ro' },
  permits: [['a machine whose command line nobody measured', { 'tpm.kernel_cmdline': null }]],
  refuses: [
    ...noTpm,
    ...noSecureBoot,
    ['in setup mode', { 'tpm.setup_mode': true }, 'deny-rule'],
    ['nobody says whether it is in setup mode', { 'tpm.setup_mode': null }, 'no-permit'],
    ['an authority that is not known', { 'tpm.eventlog.authorities': ['db:aa', 'unknown'] }, 'deny-rule'],
  ],
}

const allowListTests: PolicyTestSpec = {
  policy: tpmImaAllowList,
  kinds: ['tpm', 'ima'],
  claims: { ...tpm, ...ima, 'ima.entry_count': 535 },
  token: { 'policy-name': tpmImaAllowList.name, 'measured-files': 535 },
  refuses: [
    ...noTpm,
    ...noIma,
    ['a wrong signature', { 'ima.signature_invalid_count': 1 }, 'deny-rule'],
    ['a record of an unknown template', { 'ima.unknown_template_count': 1 }, 'deny-rule'],
    ['a log with the strength of SHA-1', { 'ima.sha1_padded': true }, 'deny-rule'],
    ['another kernel without a reboot', { 'ima.kexec_count': 1 }, 'deny-rule'],
  ],
}

const compositeTests: PolicyTestSpec = {
  policy: compositeTdxTpm,
  kinds: ['tdx', 'tpm'],
  claims: {
    ...tpm,
    ...td,
    'attestation.freshness': 'challenge',
    'tpm.secure_boot': true,
    'tpm.ak_trust': 'ek-certificate',
  },
  token: { 'policy-name': compositeTdxTpm.name, 'tpm-trust': 'ek-certificate' },
  refuses: [
    ...noTpm,
    ...noTd,
    ...noSecureBoot,
    ['evidence of a TD alone', { 'evidence.kinds': ['tdx'] }, 'no-permit'],
    ['evidence of a TPM alone', { 'evidence.kinds': ['tpm'] }, 'no-permit'],
    ['evidence of no request', { 'attestation.freshness': 'unbound' }, 'deny-rule'],
    ['report data of another request', { 'tdx.report_data_bound': false }, 'no-permit'],
  ],
}

/** Without a claim about secure boot the token says false. */
const withoutSecureBoot = ({ name }: PolicyTestSpec['policy']) => ({ 'policy-name': name, 'secure-boot': false })

/** Tests of the shipped policies about TPMs, alone and beside a TD. */
export const tpmPolicyTests: readonly PolicyTestSpec[] = [
  secureBootTests,
  allowListTests,
  compositeTests,
  {
    policy: tpmDefault,
    kinds: ['tpm'],
    claims: { ...tpm, 'tpm.secure_boot': true },
    token: { 'policy-name': tpmDefault.name, 'secure-boot': true },
    permits: [['a machine without secure boot', { 'tpm.secure_boot': false }]],
    refuses: noTpm,
  },
  {
    policy: tpmImaDefault,
    kinds: ['tpm', 'ima'],
    claims: { ...tpm, ...ima },
    token: withoutSecureBoot(tpmImaDefault),
    refuses: [...noTpm, ...noIma],
  },
  {
    policy: tdxTpmDefault,
    kinds: ['tdx', 'tpm'],
    claims: { ...tpm, ...td },
    token: withoutSecureBoot(tdxTpmDefault),
    permits: hardening,
    refuses: [...noTpm, ...noDefaultTd],
  },
  {
    policy: tdxTpmImaDefault,
    kinds: ['tdx', 'tpm', 'ima'],
    claims: { ...tpm, ...td, ...ima },
    token: withoutSecureBoot(tdxTpmImaDefault),
    permits: hardening,
    refuses: [...noTpm, ...noDefaultTd, ...noIma],
  },
]
