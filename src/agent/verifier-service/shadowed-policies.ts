import type { Logger } from 'pino'
import { AttestdError } from '../../base/errors.ts'
import type { PolicyBook } from '../../registry/policies/policy-book.ts'
import { slotOfId } from './selected-policies.ts'

/**
 * Warns of each policy in the store that decides nothing because a file of the configuration has its id. A store that fails,
 * or that does not answer yet, stops nobody here: the log says that nobody looked.
 */
export async function warnOfShadowed(
  configuredIds: readonly string[],
  book: Pick<PolicyBook, 'active'>,
  log: Pick<Logger, 'warn'>,
): Promise<void> {
  try {
    for (const id of configuredIds) {
      if ((await book.active(slotOfId(id))) === null) continue
      const remedy = `take one of them away: from policies.files, or by attestd verifier policies reset --id ${id}`
      log.warn(
        { event: 'policy_shadowed', policy: id, remedy },
        `the store has a policy ${id}: the one of the file decides`,
      )
    }
  } catch (error) {
    if (!(error instanceof AttestdError)) throw error
    const says = 'whether the store has policies under ids of the configuration was not seen'
    log.warn({ event: 'policies_not_compared', code: error.code }, says)
  }
}
