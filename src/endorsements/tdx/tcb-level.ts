import type { Members } from './members.ts'

export const tcbStatuses = [
  'UpToDate',
  'SWHardeningNeeded',
  'ConfigurationNeeded',
  'ConfigurationAndSWHardeningNeeded',
  'OutOfDate',
  'OutOfDateConfigurationNeeded',
  'Revoked',
] as const
/** What TCB info says of a platform at one level. */
export type TcbStatus = (typeof tcbStatuses)[number]

export const enclaveTcbStatuses = ['UpToDate', 'OutOfDate', 'Revoked'] as const
/** What is said of a quoting enclave or a TDX module at one level. */
export type EnclaveTcbStatus = (typeof enclaveTcbStatuses)[number]

/** One level of a quoting enclave (TDX-152) or of a TDX module (TDX-162). */
export interface EnclaveTcbLevel {
  readonly isvSvn: number
  /** Milliseconds since the epoch. */
  readonly tcbDate: number
  readonly status: EnclaveTcbStatus
  readonly advisoryIds: readonly string[]
}

/**
 * The member `tcbLevels`: at least one level, no two with an equal SVN, because which of two would count depends on the
 * reader. In the order of the document. Throws `MalformedError`.
 */
export function readEnclaveTcbLevels(owner: Members, maximumSvn: number): EnclaveTcbLevel[] {
  const levels = owner.objects('tcbLevels', 1).map((level) => ({
    isvSvn: level.object('tcb').integer('isvsvn', maximumSvn),
    tcbDate: level.date('tcbDate'),
    status: level.oneOf('tcbStatus', enclaveTcbStatuses),
    advisoryIds: level.texts('advisoryIDs'),
  }))
  if (new Set(levels.map(({ isvSvn }) => isvSvn)).size < levels.length) {
    throw owner.malformed('tcbLevels', 'has two levels with one isvsvn')
  }
  return levels
}

/** The highest first: the first whose SVN is not above the one at hand is the level that counts (TDX-159, TDX-174). */
export function sortEnclaveTcbLevels(levels: readonly EnclaveTcbLevel[]): EnclaveTcbLevel[] {
  return [...levels].sort((a, b) => b.isvSvn - a.isvSvn)
}
