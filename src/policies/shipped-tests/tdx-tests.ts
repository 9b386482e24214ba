import { sgxDefault, tdxDefault, tdxGpuDefault } from '../defaults/tdx-defaults.ts'
import { firstPolicy, gpuConfidentialComputing, tdxBaseline, tdxStrict } from '../examples/tdx-examples.ts'
import type { GivenValues, PolicyTestSpec } from './policy-test-spec.ts'

const td: GivenValues = {
  'attestation.simulated': false,
  'tdx.td_attributes.debug': false,
  'tdx.report_data_bound': true,
  'tdx.tcb_status': 'UpToDate',
  'tdx.collateral_expiration_status': '0',
}

type Refusals = PolicyTestSpec['refuses']

/** What every policy about TDs refuses. */
const noTd: Refusals = [
  ['simulated', { 'attestation.simulated': true }, 'deny-rule'],
  ['nobody says whether it is simulated', { 'attestation.simulated': null }, 'no-permit'],
  ['in debug mode', { 'tdx.td_attributes.debug': true }, 'deny-rule'],
  ['nobody says whether it is in debug mode', { 'tdx.td_attributes.debug': null }, 'no-permit'],
  ['nobody says of which request the report data are', { 'tdx.report_data_bound': null }, 'no-permit'],
]

/** What those refuse that ask for a maintained platform. */
const noPlatform: Refusals = [
  ...noTd,
  ['a platform that is out of date', { 'tdx.tcb_status': 'OutOfDate' }, 'no-permit'],
  ['a platform of which nothing is known', { 'tdx.tcb_status': null }, 'no-permit'],
]

const noDefault: Refusals = [
  ...noPlatform,
  ['report data of another request', { 'tdx.report_data_bound': false }, 'deny-rule'],
  ['an event log that does not hold', { 'tdx.eventlog_verified': false }, 'deny-rule'],
  ['collateral under a grace period', { 'tdx.collateral_expiration_status': '1' }, 'deny-rule'],
]

const hardening: NonNullable<PolicyTestSpec['permits']> = [
  ['a platform that needs software hardening', { 'tdx.tcb_status': 'SWHardeningNeeded' }],
]

const gpus: GivenValues = {
  'gpu.count': 2,
  'gpu.verified': true,
  'gpu.measurements_matched': true,
  'gpu.debug': false,
  'gpu.rim': 'full',
  'gpu.binding': 'transcript',
}

const noGpu: Refusals = [
  ['no GPU', { 'gpu.count': 0 }, 'no-permit'],
  ['one GPU that is not verified', { 'gpu.verified': [true, false] }, 'deny-rule'],
  ['nobody says whether they are verified', { 'gpu.verified': null }, 'no-permit'],
  ['one GPU with other measurements', { 'gpu.measurements_matched': [true, false] }, 'deny-rule'],
  ['nobody says whether they are measured', { 'gpu.measurements_matched': null }, 'no-permit'],
  ['one GPU in debug mode', { 'gpu.debug': [false, true] }, 'deny-rule'],
  ['nobody says whether they are in debug mode', { 'gpu.debug': null }, 'no-permit'],
  ['nobody says what they were compared with', { 'gpu.rim': null }, 'no-permit'],
  ['nobody says how they are bound to the TD', { 'gpu.binding': null }, 'no-permit'],
]

const tdxGpuTests: PolicyTestSpec = {
  policy: tdxGpuDefault,
  kinds: ['tdx', 'gpu'],
  claims: { ...td, ...gpus },
  token: { 'policy-name': tdxGpuDefault.name, 'gpu-count': 2 },
  permits: hardening,
  refuses: [
    ...noDefault,
    ...noGpu,
    ['GPUs bound by a prefix alone', { 'gpu.binding': 'prefix' }, 'deny-rule'],
    ['a part of the reference manifests', { 'gpu.rim': 'partial' }, 'deny-rule'],
  ],
}

const pinned = '0'.repeat(96)
const other = '1'.repeat(96)

const strictTests: PolicyTestSpec = {
  policy: tdxStrict,
  kinds: ['tdx'],
  claims: {
    ...td,
    'tdx.td_attributes.septve_disable': true,
    'tdx.td_attributes.perfmon': false,
    'tdx.tcb_status_current': 'UpToDate',
    'tdx.eventlog_verified': true,
    'tdx.quote.body.mr_td': pinned,
    'tdx.quote.body.rtmr_1': pinned,
    'tdx.quote.body.rtmr_2': pinned,
  },
  token: { 'policy-name': tdxStrict.name, kernel: pinned },
  refuses: [
    ...noTd,
    ['report data of another request', { 'tdx.report_data_bound': false }, 'no-permit'],
    ['a platform that needs software hardening', { 'tdx.tcb_status': 'SWHardeningNeeded' }, 'deny-rule'],
    ['a platform of which nothing is known', { 'tdx.tcb_status': null }, 'no-permit'],
    ['a platform that has fallen back since', { 'tdx.tcb_status_current': 'OutOfDate' }, 'deny-rule'],
    ['collateral under a grace period', { 'tdx.collateral_expiration_status': '1' }, 'deny-rule'],
    ['performance counters', { 'tdx.td_attributes.perfmon': true }, 'deny-rule'],
    ['exceptions for missing pages', { 'tdx.td_attributes.septve_disable': false }, 'no-permit'],
    ['an event log that does not hold', { 'tdx.eventlog_verified': false }, 'no-permit'],
    ['another firmware', { 'tdx.quote.body.mr_td': other }, 'no-permit'],
    ['another kernel', { 'tdx.quote.body.rtmr_1': other }, 'no-permit'],
    ['another command line', { 'tdx.quote.body.rtmr_2': other }, 'no-permit'],
  ],
}

const gpuTests: PolicyTestSpec = {
  policy: gpuConfidentialComputing,
  kinds: ['tdx', 'gpu'],
  claims: { ...td, ...gpus, 'gpu.driver_version': ['550.90.07', '570.124.06'], 'gpu.mode': ['SPT', 'MPT'] },
  token: {
    'policy-name': gpuConfidentialComputing.name,
    'gpu-count': 2,
    'gpu-drivers': ['550.90.07', '570.124.06'],
  },
  refuses: [
    ...noPlatform,
    ...noGpu,
    ['report data of another request', { 'tdx.report_data_bound': false }, 'no-permit'],
    ['GPUs bound by a prefix alone', { 'gpu.binding': 'prefix' }, 'no-permit'],
    ['a part of the reference manifests', { 'gpu.rim': 'partial' }, 'no-permit'],
    ['one driver that is not in the list', { 'gpu.driver_version': ['550.90.07', '1.0'] }, 'no-permit'],
    ['one GPU in another mode', { 'gpu.mode': ['MPT', 'DEVTOOLS'] }, 'no-permit'],
  ],
}

/** Tests of the shipped policies about TDs, GPUs and enclaves. */
export const tdxPolicyTests: readonly PolicyTestSpec[] = [
  {
    policy: firstPolicy,
    kinds: ['tdx'],
    claims: { ...td, 'tdx.quote.body.mr_td': other },
    token: { 'policy-name': firstPolicy.name, image: other },
    refuses: [...noTd, ['report data of another request', { 'tdx.report_data_bound': false }, 'no-permit']],
  },
  {
    policy: tdxBaseline,
    kinds: ['tdx'],
    claims: { ...td, 'tdx.advisory_ids': ['INTEL-SA-00001', 'INTEL-SA-00002'] },
    token: {
      'policy-name': tdxBaseline.name,
      'platform-status': 'UpToDate',
      advisories: ['INTEL-SA-00001', 'INTEL-SA-00002'],
    },
    permits: hardening,
    refuses: noDefault,
  },
  strictTests,
  gpuTests,
  {
    policy: tdxDefault,
    kinds: ['tdx'],
    claims: td,
    token: { 'policy-name': tdxDefault.name },
    permits: hardening,
    refuses: noDefault,
  },
  tdxGpuTests,
  {
    policy: sgxDefault,
    kinds: ['sgx'],
    claims: { 'x-ms-sgx-is-debuggable': false },
    token: { 'policy-name': sgxDefault.name },
    refuses: [
      ['in debug mode', { 'x-ms-sgx-is-debuggable': true }, 'deny-rule'],
      ['nobody says whether it is in debug mode', { 'x-ms-sgx-is-debuggable': null }, 'no-permit'],
    ],
  },
]
