import { hasAttribute, type ObjectAttribute, type TpmtPublic } from '../../evidence/tpm/public-area.ts'
import { keyStrengthProblem } from './ak-key.ts'
import { challengeProblem } from './make-credential.ts'

const requiredSet: readonly ObjectAttribute[] = [
  'fixedTPM',
  'fixedParent',
  'sensitiveDataOrigin',
  'restricted',
  'decrypt',
]

/**
 * Why a public area is not that of an endorsement key that can be challenged, or null (ENR-01): a restricted
 * decryption key that was made in its TPM and cannot leave it. A decryption key that is not restricted would open a
 * credential outside of TPM2_ActivateCredential, for any attestation key.
 */
export function ekTemplateProblem(area: TpmtPublic): string | null {
  const missing = requiredSet.filter((name) => !hasAttribute(area, name)).map((name) => `${name} is clear`)
  const wrong = hasAttribute(area, 'sign') ? [...missing, 'sign is set'] : missing
  if (wrong.length > 0) return wrong.join(', ')
  return keyStrengthProblem(area) ?? challengeProblem(area)
}
