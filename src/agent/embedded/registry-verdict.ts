import { AttestdError } from '../../base/errors.ts'
import { passportErrors } from '../../passport/errors.ts'
import { registryErrors } from '../../registry/errors.ts'

/**
 * What the registry forbids, an enrolment that rests or has ended for instance, is the verifier's verdict on this machine: no
 * token may outlive it (BRK-47). Callers get its code and its remedy.
 */
export async function asVerdict<T>(work: Promise<T>): Promise<T> {
  try {
    return await work
  } catch (error) {
    if (!(error instanceof AttestdError)) throw error
    const { kind, code, message, facts, remedy } = error
    if (kind !== 'forbidden' || !Object.hasOwn(registryErrors.declared, code)) throw error
    throw passportErrors.error('issuer_rejected', message, {
      facts: { ...facts, upstream_code: code, cause_code: code },
      cause: error,
      remedy,
    })
  }
}
