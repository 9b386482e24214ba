import { equalBytes } from '../../base/bytes.ts'
import { encodePublic, exponentOf, type TpmtPublic } from '../../evidence/tpm/public-area.ts'

const empty = new Uint8Array()

/** A public area without what is unique to the key. */
function templateOf(area: TpmtPublic): TpmtPublic {
  return area.type === 'rsa' ? { ...area, exponent: exponentOf(area), modulus: empty } : { ...area, x: empty, y: empty }
}

/** True when `area` differs from the template in its unique part only: attributes, policy, scheme and size agree. */
export function isMadeFrom(area: TpmtPublic, template: TpmtPublic): boolean {
  return equalBytes(encodePublic(templateOf(area)), encodePublic(templateOf(template)))
}
