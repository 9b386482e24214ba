import type { EnclaveTcbStatus, TcbStatus } from '../../endorsements/tdx/tcb-level.ts'
import type { PlatformTcbStatus } from './inputs.ts'

/** What an out-of-date part makes of the platform: hardening is hidden, configuration is kept (TDX-175). */
const outdated: Readonly<Record<TcbStatus, TcbStatus>> = {
  UpToDate: 'OutOfDate',
  SWHardeningNeeded: 'OutOfDate',
  ConfigurationNeeded: 'OutOfDateConfigurationNeeded',
  ConfigurationAndSWHardeningNeeded: 'OutOfDateConfigurationNeeded',
  OutOfDate: 'OutOfDate',
  OutOfDateConfigurationNeeded: 'OutOfDateConfigurationNeeded',
  Revoked: 'Revoked',
}

/** One status of the platform and its parts, quoting enclave and TDX module (TDX-175). */
export function convergeStatus(platform: TcbStatus, parts: readonly EnclaveTcbStatus[]): TcbStatus {
  if (parts.includes('Revoked')) return 'Revoked'
  return parts.includes('OutOfDate') ? outdated[platform] : platform
}

const isOutOfDate = (status: TcbStatus) => status === 'OutOfDate' || status === 'OutOfDateConfigurationNeeded'

const needsConfiguration = (status: TcbStatus) =>
  status === 'ConfigurationNeeded' ||
  status === 'ConfigurationAndSWHardeningNeeded' ||
  status === 'OutOfDateConfigurationNeeded'

/**
 * The status of a TD from those with the SVNs of its launch and of now (TDX-176): where the host was updated under a
 * running TD, a restart is all that is missing. A revoked launch stays revoked.
 */
export function relaunchStatus(launch: TcbStatus, current: TcbStatus): PlatformTcbStatus {
  if (!isOutOfDate(launch) || isOutOfDate(current) || current === 'Revoked') return launch
  return needsConfiguration(launch) || needsConfiguration(current)
    ? 'TDRelaunchAdvisedConfigurationNeeded'
    : 'TDRelaunchAdvised'
}
