import { describe, expect, it } from 'vitest'
import { enclaveTcbStatuses, type TcbStatus, tcbStatuses } from '../../endorsements/tdx/tcb-level.ts'
import { convergeStatus, relaunchStatus } from './tcb-status.ts'

const outdated: Readonly<Record<TcbStatus, TcbStatus>> = {
  UpToDate: 'OutOfDate',
  SWHardeningNeeded: 'OutOfDate',
  ConfigurationNeeded: 'OutOfDateConfigurationNeeded',
  ConfigurationAndSWHardeningNeeded: 'OutOfDateConfigurationNeeded',
  OutOfDate: 'OutOfDate',
  OutOfDateConfigurationNeeded: 'OutOfDateConfigurationNeeded',
  Revoked: 'Revoked',
}

describe('the status of a platform and its parts (TDX-175)', () => {
  it.each(tcbStatuses)('%s stays what it is beside parts that are up to date', (status) => {
    expect(convergeStatus(status, [])).toBe(status)
    expect(convergeStatus(status, ['UpToDate', 'UpToDate'])).toBe(status)
  })

  it.each(tcbStatuses)('%s beside a part that is out of date, whichever it is', (status) => {
    expect(convergeStatus(status, ['OutOfDate', 'UpToDate'])).toBe(outdated[status])
    expect(convergeStatus(status, ['UpToDate', 'OutOfDate'])).toBe(outdated[status])
  })

  it('is revoked if anything is', () => {
    for (const status of tcbStatuses) {
      for (const part of enclaveTcbStatuses) {
        expect(convergeStatus(status, ['Revoked', part])).toBe('Revoked')
        expect(convergeStatus('Revoked', [part])).toBe('Revoked')
      }
    }
  })
})

describe('the status of a TD whose host was updated (TDX-176)', () => {
  const advised = 'TDRelaunchAdvised'
  const withConfiguration = 'TDRelaunchAdvisedConfigurationNeeded'

  it.each([
    ['OutOfDate', 'UpToDate', advised],
    ['OutOfDate', 'SWHardeningNeeded', advised],
    ['OutOfDate', 'ConfigurationNeeded', withConfiguration],
    ['OutOfDate', 'ConfigurationAndSWHardeningNeeded', withConfiguration],
    ['OutOfDateConfigurationNeeded', 'UpToDate', withConfiguration],
    ['OutOfDateConfigurationNeeded', 'SWHardeningNeeded', withConfiguration],
    ['OutOfDateConfigurationNeeded', 'ConfigurationNeeded', withConfiguration],
    ['OutOfDateConfigurationNeeded', 'ConfigurationAndSWHardeningNeeded', withConfiguration],
  ] as const)('launched as %s and now %s: %s', (launch, current, status) => {
    expect(relaunchStatus(launch, current)).toBe(status)
  })

  it('is that of the launch in every other case', () => {
    const outOfDate: readonly TcbStatus[] = ['OutOfDate', 'OutOfDateConfigurationNeeded']
    for (const launch of tcbStatuses) {
      for (const current of tcbStatuses) {
        const mended = outOfDate.includes(launch) && ![...outOfDate, 'Revoked'].includes(current)
        if (!mended) expect(relaunchStatus(launch, current)).toBe(launch)
      }
    }
  })
})
