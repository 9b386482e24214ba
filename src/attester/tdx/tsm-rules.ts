import type { attesterErrors } from '../errors.ts'

/** Where a quote by configfs-tsm stands. */
export type TsmStep = 'mkdir' | 'provider' | 'inblob' | 'generation' | 'outblob'

type Code = keyof typeof attesterErrors.declared

/** What an errno leads to (TDX-010). Every action but the waiting ones carries the error that it ends with. */
export interface TsmRule {
  readonly action: 'repeat' | 'back-off' | 'retry-once' | 'start-over' | 'next' | 'final'
  readonly code: Code
}

const rule = (action: TsmRule['action'], code: Code): TsmRule => ({ action, code })

const anywhere: Readonly<Record<string, TsmRule>> = {
  EINTR: rule('repeat', 'tsm_failed'),
  EACCES: rule('final', 'tsm_permission'),
  EPERM: rule('final', 'tsm_permission'),
  ENXIO: rule('next', 'tsm_no_provider'),
  // Somebody removed the entry that we made.
  ENOENT: rule('start-over', 'tsm_conflict'),
}

const atStep: Readonly<Partial<Record<TsmStep, Readonly<Record<string, TsmRule>>>>> = {
  mkdir: {
    ENOENT: rule('next', 'tsm_absent'),
    EEXIST: rule('start-over', 'tsm_conflict'),
  },
  outblob: {
    EINVAL: rule('final', 'tsm_refused'),
    EBUSY: rule('back-off', 'quote_host_busy'),
    EAGAIN: rule('back-off', 'quote_host_busy'),
    ETIMEDOUT: rule('retry-once', 'quote_host_silent'),
    EIO: rule('retry-once', 'quote_host_error'),
    EFBIG: rule('final', 'quote_too_large'),
  },
}

/** The row of the table in TDX 1.1. What it does not list is left to the next path: it may know better. */
export function tsmRule(step: TsmStep, errno: string): TsmRule {
  return atStep[step]?.[errno] ?? anywhere[errno] ?? rule('next', 'tsm_failed')
}
