import { createPublicKey } from 'node:crypto'
import { anchorOf } from '../../src/base/pki/trust-anchor.ts'
import type { EnrolmentRequest } from '../../src/evidence/tpm/enrolment.ts'
import { encodeSizedPublic } from '../../src/evidence/tpm/public-area.ts'
import { appraiseEnrolment, type EnrolmentCandidate, type EnrolmentInputs } from '../../src/verifier/tpm/enrolment.ts'
import { makeSoftwareAk, makeSoftwareEk, type SoftwareKey } from './software-tpm.ts'
import { type CertificateSpec, createIntermediate, createRoot, issueDer, testNow } from './test-ca.ts'
import type { KeyPair } from './test-ca-schema.ts'

/** The maker of the software TPMs below: a root, and an authority for EK certificates. */
export const maker = createRoot({ subject: { O: 'Example', CN: 'TPM maker root' } })
export const ekAuthority = createIntermediate(maker, { subject: { O: 'Example', CN: 'TPM maker EK CA' } })

export function keyPairOf({ privateKey }: SoftwareKey): KeyPair {
  return { privateKey, publicKey: createPublicKey(privateKey) }
}

/** A healthy EK certificate for `ek`; `changes` break it. */
export function certifyEk(ek: SoftwareKey, changes: Partial<CertificateSpec> = {}): Uint8Array {
  return issueDer({
    signer: ekAuthority,
    keys: keyPairOf(ek),
    subject: { O: 'Example', CN: 'i-1' },
    keyUsage: [ek.area.type === 'rsa' ? 'keyEncipherment' : 'keyAgreement'],
    extKeyUsage: ['2.23.133.8.1'],
    ...changes,
  })
}

export interface EnrollingTpm {
  readonly ek: SoftwareKey
  readonly ak: SoftwareKey
  readonly request: EnrolmentRequest
}

/** A TPM of the maker, played by software keys, and its healthy request. */
export function makeEnrollingTpm(
  { ek = makeSoftwareEk(), ak = makeSoftwareAk() }: Partial<Pick<EnrollingTpm, 'ek' | 'ak'>> = {},
  certificate: Partial<CertificateSpec> = {},
): EnrollingTpm {
  const request = {
    ek: {
      publicArea: encodeSizedPublic(ek.area),
      certificate: certifyEk(ek, certificate),
      chain: [ekAuthority.certificate.der],
    },
    ak: { publicArea: encodeSizedPublic(ak.area) },
    instanceId: null,
    simulated: false,
  }
  return { ek, ak, request }
}

export const enrolmentInputs: EnrolmentInputs = {
  now: testNow,
  anchors: [anchorOf(maker.certificate, 'example')],
  crls: [],
  revocation: 'off',
  simulator: false,
}

/** The candidate of a healthy request. */
export function candidateFor(tpm: EnrollingTpm, inputs: EnrolmentInputs = enrolmentInputs): EnrolmentCandidate {
  const { candidate, findings } = appraiseEnrolment(tpm.request, inputs)
  if (!candidate) throw new Error(`the request is not healthy: ${JSON.stringify(findings)}`)
  return candidate
}
