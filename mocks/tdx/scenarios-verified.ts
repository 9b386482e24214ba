import { pceSvnFor } from './documents.ts'
import { defaultPlatform, enclaveSvns, loaderSvns, type PlatformStatus, teeTcbSvn } from './platform.ts'
import { debugAttributes } from './quotes.ts'
import type { Scenario, ScenarioVerdict } from './scenarios.ts'

const upToDate: ScenarioVerdict = { class: 'verified', status: 'UpToDate', advisoryIds: [], failed: [] }

/** Statuses that the default policy accepts (TDX-190). */
const accepted: ReadonlySet<string> = new Set(['UpToDate', 'SWHardeningNeeded'])

function verified(
  status: NonNullable<ScenarioVerdict['status']>,
  more: Partial<ScenarioVerdict> = {},
): ScenarioVerdict {
  return { class: 'verified', status, failed: accepted.has(status) ? [] : ['tdx.policy.tcbStatus'], ...more }
}

/** Both ends of a period belong to it. */
function boundaries(now: number): Scenario[] {
  const [first, last] = [
    { issued: now, nextUpdate: now + 60_000 },
    { issued: now - 60_000, nextUpdate: now },
  ]
  const all = (period: typeof first) => ({
    collateral: { periods: { tcbInfo: period, qeIdentity: period, rootCrl: period, pckCrl: period } },
  })
  return [
    { name: 'the first second of all collateral', rules: ['TDX-163'], ...all(first), expected: upToDate },
    { name: 'the last second of all collateral', rules: ['TDX-163'], ...all(last), expected: upToDate },
    {
      name: 'the one second of a PCK',
      rules: ['TDX-118'],
      quote: { pckValidity: { notBefore: now, notAfter: now } },
      expected: upToDate,
    },
  ]
}

const sgx = { tee: 'sgx' } as const

/** Every form of a quote of a platform that lacks nothing. */
export function healthyScenarios(now: number): Scenario[] {
  return [
    { name: 'TD 1.0, version 4', rules: ['TDX-282'], expected: upToDate },
    { name: 'TD 1.0, version 5', rules: ['TDX-105'], quote: { version: 5, bodyType: 2 }, expected: upToDate },
    { name: 'TD 1.5, version 5', rules: ['TDX-105'], quote: { version: 5, bodyType: 3 }, expected: upToDate },
    { name: 'TD 1.5 extended, version 5', rules: ['TDX-105'], quote: { version: 5, bodyType: 4 }, expected: upToDate },
    { name: 'enclave, version 3', rules: ['TDX-103'], quote: { version: 3 }, collateral: sgx, expected: upToDate },
    { name: 'enclave, version 4', rules: ['TDX-103'], quote: { bodyType: 1 }, collateral: sgx, expected: upToDate },
    {
      name: 'enclave, version 5',
      rules: ['TDX-105'],
      quote: { version: 5, bodyType: 1 },
      collateral: sgx,
      expected: upToDate,
    },
    {
      name: 'enclave, TCB info of version 2',
      rules: ['TDX-162'],
      quote: { version: 3 },
      collateral: { tee: 'sgx', tcbInfoVersion: 2 },
      expected: upToDate,
    },
    {
      name: 'PCK of the processor authority',
      rules: ['TDX-121', 'TDX-280'],
      quote: { ca: 'processor' },
      collateral: { ca: 'processor' },
      expected: upToDate,
    },
    { name: 'zero padding', rules: ['TDX-108'], quote: { paddingBytes: 3065 }, expected: upToDate },
    { name: 'no QE auth data', rules: ['TDX-141'], quote: { qeAuthData: new Uint8Array() }, expected: upToDate },
    { name: 'long QE auth data', rules: ['TDX-141'], quote: { qeAuthData: new Uint8Array(999) }, expected: upToDate },
    { name: 'module TDX_03', rules: ['TDX-170'], quote: { teeTcbSvn: teeTcbSvn({ version: 3 }) }, expected: upToDate },
    {
      name: 'module without a version',
      rules: ['TDX-170', 'TDX-173'],
      quote: { teeTcbSvn: teeTcbSvn({ version: 0 }) },
      expected: upToDate,
    },
    { name: 'early collateral', rules: ['TDX-205'], collateral: { update: 'early' }, expected: upToDate },
    ...boundaries(now),
    {
      name: 'debug TD',
      rules: ['TDX-190'],
      quote: { tdAttributes: debugAttributes },
      expected: verified('UpToDate', { failed: ['tdx.policy.debug'] }),
    },
    {
      name: 'debug enclave',
      rules: ['TDX-190'],
      quote: { version: 3, enclave: { attributes: Uint8Array.of(7, ...new Uint8Array(15)) } },
      collateral: sgx,
      expected: verified('UpToDate', { failed: ['tdx.policy.debug'] }),
    },
  ]
}

const platformScenarios = (Object.keys(loaderSvns) as PlatformStatus[]).flatMap((status): Scenario[] => [
  {
    name: `platform ${status}`,
    rules: ['TDX-173'],
    quote: { teeTcbSvn: teeTcbSvn({ platform: status }) },
    expected: verified(status),
  },
  {
    name: `enclave platform ${status}`,
    rules: ['TDX-173'],
    quote: { version: 3, platform: { pceSvn: pceSvnFor(defaultPlatform, status) } },
    collateral: sgx,
    expected: verified(status),
  },
])

function subStatusScenarios(): Scenario[] {
  const outOfDateQe = { isvSvn: enclaveSvns.OutOfDate }
  const behind = ['SIM-SA-00003']
  return [
    {
      name: 'module out of date',
      rules: ['TDX-174', 'TDX-175'],
      quote: { teeTcbSvn: teeTcbSvn({ module: 'OutOfDate' }) },
      expected: verified('OutOfDate', { advisoryIds: behind }),
    },
    {
      name: 'module revoked',
      rules: ['TDX-175'],
      quote: { teeTcbSvn: teeTcbSvn({ module: 'Revoked' }) },
      expected: verified('Revoked'),
    },
    {
      name: 'QE out of date',
      rules: ['TDX-159', 'TDX-175'],
      quote: { qeReport: outOfDateQe },
      expected: verified('OutOfDate', { advisoryIds: behind }),
    },
    {
      name: 'QE revoked',
      rules: ['TDX-175'],
      quote: { qeReport: { isvSvn: enclaveSvns.Revoked } },
      expected: verified('Revoked'),
    },
    {
      name: 'QE out of date hides hardening',
      rules: ['TDX-175'],
      quote: { qeReport: outOfDateQe, teeTcbSvn: teeTcbSvn({ platform: 'SWHardeningNeeded' }) },
      expected: verified('OutOfDate', { advisoryIds: ['SIM-SA-00001', 'SIM-SA-00003'] }),
    },
    {
      name: 'module out of date keeps configuration',
      rules: ['TDX-175'],
      quote: { teeTcbSvn: teeTcbSvn({ platform: 'ConfigurationNeeded', module: 'OutOfDate' }) },
      expected: verified('OutOfDateConfigurationNeeded', { advisoryIds: ['SIM-SA-00002', 'SIM-SA-00003'] }),
    },
  ]
}

const advised = (configuration: boolean, more: Partial<ScenarioVerdict>) =>
  verified(configuration ? 'TDRelaunchAdvisedConfigurationNeeded' : 'TDRelaunchAdvised', more)

function relaunchScenarios(bodyType: 3 | 4): Scenario[] {
  const relaunch = (
    name: string,
    launch: Parameters<typeof teeTcbSvn>[0],
    current: Parameters<typeof teeTcbSvn>[0],
    expected: ScenarioVerdict,
  ): Scenario => ({
    name: `${name}, type ${bodyType}`,
    rules: ['TDX-176'],
    quote: { version: 5, bodyType, teeTcbSvn: teeTcbSvn(launch), teeTcbSvn2: teeTcbSvn(current) },
    expected,
  })
  const outOfDate = { launch: 'OutOfDate', current: 'UpToDate' } as const
  return [
    relaunch('relaunch for the module', { module: 'OutOfDate' }, {}, advised(false, outOfDate)),
    relaunch('relaunch for the platform', { platform: 'OutOfDate' }, {}, advised(false, outOfDate)),
    relaunch(
      'relaunch into another module version',
      { module: 'OutOfDate' },
      { version: 3 },
      advised(false, outOfDate),
    ),
    relaunch(
      'relaunch and configuration',
      { platform: 'OutOfDate' },
      { platform: 'ConfigurationNeeded' },
      advised(true, { launch: 'OutOfDate', current: 'ConfigurationNeeded' }),
    ),
    relaunch(
      'relaunch of an unconfigured platform',
      { platform: 'OutOfDateConfigurationNeeded' },
      {},
      advised(true, { launch: 'OutOfDateConfigurationNeeded', current: 'UpToDate' }),
    ),
    relaunch(
      'relaunch does not help',
      { module: 'OutOfDate' },
      { module: 'OutOfDate' },
      verified('OutOfDate', { launch: 'OutOfDate', current: 'OutOfDate' }),
    ),
    relaunch(
      'a revoked launch stays revoked',
      { module: 'Revoked' },
      {},
      verified('Revoked', { launch: 'Revoked', current: 'UpToDate' }),
    ),
    relaunch(
      'nothing covers the present',
      {},
      { platform: 'UpToDate', version: 2 },
      {
        class: 'tcb_not_supported',
        status: null,
        failed: ['tdx.tcb.current'],
      },
    ),
  ]
}

/** Quotes that verify, of platforms that their maker is not content with; and what converges into what. */
export function statusScenarios(): Scenario[] {
  return [...platformScenarios, ...subStatusScenarios(), ...relaunchScenarios(3), ...relaunchScenarios(4)]
}
