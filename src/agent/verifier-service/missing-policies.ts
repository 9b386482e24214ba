import type { Logger } from 'pino'
import { AttestdError } from '../../base/errors.ts'
import { defaultPolicies } from '../../policies/index.ts'
import type { PolicyBook } from '../../registry/policies/policy-book.ts'
import { slotOfId } from './selected-policies.ts'

/**
 * Warns of each policy of `policies.default` that is nowhere yet: until it is set every request that names no policy is
 * refused (`AS.SERVICE.POLICY_MISSING`), which an operator should learn before the first client does. `ofFiles`: ids of
 * files. A store that does not answer stops nobody here: requests say so.
 */
export async function warnOfMissing(
  usual: readonly string[],
  ofFiles: readonly string[],
  book: Pick<PolicyBook, 'active'>,
  log: Pick<Logger, 'warn'>,
): Promise<void> {
  const elsewhere = new Set([...ofFiles, ...defaultPolicies.map(({ name }) => name)])
  try {
    for (const id of usual.filter((each) => !elsewhere.has(each))) {
      if ((await book.active(slotOfId(id))) !== null) continue
      const remedy = `set it: attestd verifier policies set --id ${id} FILE; or name another one as policies.default`
      log.warn(
        { event: 'policy_missing', policy: id, remedy },
        `policies.default names ${id}, which is not set: requests that name no policy are refused`,
      )
    }
  } catch (error) {
    if (!(error instanceof AttestdError)) throw error
    const says = 'whether the policies of policies.default are set was not seen'
    log.warn({ event: 'policies_not_seen', code: error.code }, says)
  }
}
