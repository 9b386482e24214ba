import { attesterErrors } from './errors.ts'
import { describeFailure } from './tdx/system-refusal.ts'

type Code =
  | 'rtmr_unsupported'
  | 'rtmr_permission'
  | 'rtmr_not_extended'
  | 'rtmr_log_pending'
  | 'pcr_unsupported'
  | 'tdx_log_unreadable'

/** `code` for what a port could not do; a bug is passed on as it is. */
export function refused(cause: unknown, code: Code, doing: string): unknown {
  const failure = describeFailure(cause)
  if (failure === null) return cause
  return attesterErrors.error(code, `${doing}: ${failure.says}`, { cause, facts: failure.facts })
}

export async function attempt<T>(code: Code, doing: string, run: () => Promise<T>): Promise<T> {
  try {
    return await run()
  } catch (cause) {
    throw refused(cause, code, doing)
  }
}
