import type { KeyObject } from 'node:crypto'
import { toHex } from '../../base/bytes.ts'
import { AttestdError } from '../../base/errors.ts'
import {
  exponentOf,
  hasAttribute,
  type ObjectAttribute,
  publicKeyOf,
  type TpmtPublic,
} from '../../evidence/tpm/public-area.ts'

/** What is wrong with an attestation key: one sentence a rule, or null where the rule holds. */
export interface AkKeyProblems {
  /** TPM-10: type, size, curve, name algorithm. */
  readonly publicArea: string | null
  /** TPM-11: attributes. */
  readonly attributes: string | null
}

const requiredSet: readonly ObjectAttribute[] = ['fixedTPM', 'fixedParent', 'sensitiveDataOrigin', 'restricted', 'sign']

/**
 * TPM-10 and TPM-11 for a parsed AK public area, at enrolment and at every appraisal. An unrestricted key
 * signs any bytes, also a home-made TPMS_ATTEST; one without fixedTPM may have been made in software. The
 * signing scheme is judged with the signature (TPM-15, TPM-16), not here.
 */
export function checkAkKey(area: TpmtPublic): AkKeyProblems {
  return { publicArea: keyStrengthProblem(area), attributes: akAttributesProblem(area) }
}

/** TPM-10, which endorsement keys must satisfy as well: type, size, curve, name algorithm, and that the key is one. */
export function keyStrengthProblem(area: TpmtPublic): string | null {
  return strongKeyOf(area).problem
}

export type StrongKey =
  | { readonly key: KeyObject; readonly problem: null }
  | { readonly key: null; readonly problem: string }

/** The key, if it satisfies TPM-10: importing one takes longer than verifying a signature, so it is done once. */
export function strongKeyOf(area: TpmtPublic): StrongKey {
  const problem = area.nameAlg === 'sha1' ? 'the name algorithm is SHA-1' : sizeProblem(area)
  return problem === null ? usableKeyOf(area) : { key: null, problem }
}

function sizeProblem(area: TpmtPublic): string | null {
  return area.type === 'rsa' ? rsaProblem(area) : curveProblem(area)
}

function rsaProblem(area: TpmtPublic & { type: 'rsa' }): string | null {
  if (area.keyBits < 2048) return `RSA with ${area.keyBits} bits; at least 2048 are required`
  if (exponentOf(area) !== 65537) return `RSA exponent ${exponentOf(area)} is not 65537`
  // A declared size that the modulus does not have would let a short key pass the comparison above.
  if (area.modulus.length * 8 !== area.keyBits || ((area.modulus[0] ?? 0) & 0x80) === 0) {
    return `the modulus does not have the declared ${area.keyBits} bits`
  }
  // No product of odd primes, and OpenSSL fails to encrypt a challenge for it.
  return ((area.modulus.at(-1) ?? 0) & 1) === 0 ? 'the modulus is even' : null
}

function curveProblem(area: TpmtPublic & { type: 'ecc' }): string | null {
  return area.curve === 'SM2' ? 'SM2 keys are not supported' : null
}

function usableKeyOf(area: TpmtPublic): StrongKey {
  try {
    return { key: publicKeyOf(area), problem: null }
  } catch (error) {
    if (error instanceof AttestdError) return { key: null, problem: error.message }
    throw error
  }
}

/** TPM-11. */
export function akAttributesProblem(area: TpmtPublic): string | null {
  const missing = requiredSet.filter((name) => !hasAttribute(area, name))
  const wrong = [
    ...missing.map((name) => `${name} is clear`),
    ...(hasAttribute(area, 'decrypt') ? ['decrypt is set'] : []),
  ]
  if (wrong.length === 0) return null
  const attributes = toHex(
    Uint8Array.of(area.attributes >>> 24, area.attributes >>> 16, area.attributes >>> 8, area.attributes),
  )
  return `attributes ${attributes}: ${wrong.join(', ')}`
}
