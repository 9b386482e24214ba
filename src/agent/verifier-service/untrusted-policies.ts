import type { Logger } from 'pino'
import { AttestdError } from '../../base/errors.ts'
import { policiesWithoutTrust } from '../../issuer/administration/signer-standing.ts'
import type { OpenedStore } from './opened-store.ts'

type Books = {
  readonly policies: Pick<OpenedStore['policies'], 'slots' | 'active'>
  readonly signers: Pick<OpenedStore['signers'], 'history'>
}

/** As `policiesWithoutTrust`; null where the store fails, or does not answer yet. */
export async function untrustedPolicies({ policies, signers }: Books): Promise<readonly string[] | null> {
  try {
    return await policiesWithoutTrust(policies, signers)
  } catch (error) {
    if (error instanceof AttestdError) return null
    throw error
  }
}

/** Warns of each policy that goes on deciding although nobody who is trusted has signed it (POL-704). */
export async function warnOfUntrusted(books: Books, log: Pick<Logger, 'warn'>): Promise<void> {
  for (const slot of (await untrustedPolicies(books)) ?? []) {
    const option = slot.replace(/^(id|type):/, '--$1 ')
    const remedy = `set it again, signed by one who is trusted: attestd verifier policies set ${option} FILE; or reset it`
    log.warn(
      { event: 'policy_signer_untrusted', policy: slot, remedy },
      `the policy ${slot} is active, and nobody who is trusted has signed it`,
    )
  }
}
