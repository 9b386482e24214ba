import type { PolicyProperties } from './properties.ts'
import type { WorkingClaim, WorkingSet } from './working-set.ts'

function ofService(working: WorkingSet, type: string): readonly WorkingClaim[] {
  return working.ofType(type).filter(({ issuer }) => issuer === 'AttestationService')
}

/** Bit n: the quote covers PCR n. */
function quotedMask(claims: readonly WorkingClaim[]): bigint {
  let mask = 0n
  for (const { value } of claims) if (typeof value === 'bigint' && value >= 0n && value < 24n) mask |= 1n << value
  return mask
}

/**
 * What the configuration demands of a TPM (POL-428): the lines of the rules that are not met, or undefined if all are.
 * Only claims of the service count: the attester must not be able to say what was quoted.
 */
export function unmetConfiguration(working: WorkingSet, properties: PolicyProperties): readonly number[] | undefined {
  const required = properties.value('required_pcr_mask')
  const quoted = ofService(working, 'tpm.quoted_pcrs')
  if (typeof required === 'bigint' && quoted.length > 0 && (required & ~quotedMask(quoted)) !== 0n) {
    return properties.lines('required_pcr_mask')
  }
  const isTrusted = ofService(working, 'tpm.ak_trusted').every(({ value }) => value === true)
  if (!isTrusted && properties.value('require_valid_aik_cert') !== false) {
    return properties.lines('require_valid_aik_cert')
  }
  return undefined
}
