import { describe, expect, it } from 'vitest'
import { certifyEk, ekAuthority, enrolmentInputs, makeEnrollingTpm } from '../../../test/support/enrolling-tpm.ts'
import { makeSoftwareAk, makeSoftwareEk } from '../../../test/support/software-tpm.ts'
import type { CertificateSpec } from '../../../test/support/test-ca.ts'
import { haveVectors, vector } from '../../../test/support/vectors.ts'
import { type Certificate, parseCertificate } from '../../base/pki/certificate.ts'
import { encodePem, findPem } from '../../base/pki/pem.ts'
import { anchorOf } from '../../base/pki/trust-anchor.ts'
import { vendorAnchor } from '../../endorsements/trust-anchors.ts'
import { encodeSizedPublic, type TpmtPublic } from '../../evidence/tpm/public-area.ts'
import { appraiseAkCertificate } from './ak-certificate.ts'
import { appraiseEnrolment, type EnrolmentInputs } from './enrolment.ts'

const failed = ({ findings }: { findings: readonly { id: string; outcome: string }[] }) =>
  findings.filter(({ outcome }) => outcome === 'failed').map(({ id }) => id)

const healthyEk = makeSoftwareEk()

describe('certificates of the form of Alibaba Cloud', () => {
  const instance = 'i-bp1234567890abcdefgh'
  const aliyun: Partial<CertificateSpec> = { subject: { OU: 'TPM Endorsement Key Certificate', CN: instance } }
  const enclave = { subject: { OU: 'TPM Endorsement Key Certificate', CN: `${instance}-enclave-1` } }
  // Its authority is the anchor: the root above it is known by fingerprint alone (EKC-01).
  const inputs: EnrolmentInputs = { ...enrolmentInputs, anchors: [anchorOf(ekAuthority.certificate, 'aliyun')] }
  const ek = healthyEk
  const appraised = (changes: Partial<CertificateSpec>, expectedInstance: string | null = null) => {
    const { request } = makeEnrollingTpm({ ek })
    const certificate = certifyEk(ek, changes)
    return appraiseEnrolment(
      { ...request, ek: { ...request.ek, certificate, chain: [] } },
      { ...inputs, expectedInstance },
    )
  }

  it('are accepted under their authority as anchor, without its root, and name the instance (EKC-09)', () => {
    const { candidate } = appraised(aliyun, instance)
    expect(candidate).toMatchObject({ identity: instance, instanceId: instance, anchor: 'aliyun' })
  })

  it('of an enclave with a signing EK are refused: it opens no challenge (EKC-07)', () => {
    const signing = { ...enclave, keyUsage: ['digitalSignature'] } as const
    expect(failed(appraised(signing))).toEqual(['tpm.ek.usage'])
  })

  it('of an enclave are not those of its instance, nor the other way round (EKC-09)', () => {
    expect(failed(appraised(enclave, instance))).toEqual(['tpm.ek.instance'])
    expect(failed(appraised(aliyun, `${instance}-enclave-1`))).toEqual(['tpm.ek.instance'])
    expect(appraised(enclave, `${instance}-enclave-1`).candidate?.instanceId).toBe(`${instance}-enclave-1`)
  })
})

describe.skipIf(!haveVectors)('certificates of Google for one machine (EKC-07, EKC-10)', () => {
  const load = (file: string) => {
    const bytes = vector(`tpm/certs/${file}`)
    return parseCertificate(bytes[0] === 0x30 ? bytes : findPem(Buffer.from(bytes).toString('latin1'), 'CERTIFICATE'))
  }
  const inputs: EnrolmentInputs = { ...enrolmentInputs, anchors: [vendorAnchor('google')] }
  const chain = () => [load('gcp_ek_ak_ca_intermediate_v3.crt').der]

  /** The certificates come without TPMT_PUBLIC: these have their keys, and the attributes of a healthy one. */
  function areaFor({ publicKey }: Certificate, rsa: TpmtPublic, ecc: TpmtPublic): Uint8Array {
    // SubjectPublicKeyInfo of RSA-2048: 33 bytes, modulus, 5 bytes of exponent. Of P-256: 27 bytes, x, y.
    if (publicKey.length > 200) {
      return encodeSizedPublic({ ...rsa, modulus: publicKey.slice(33, 33 + 256) } as TpmtPublic)
    }
    return encodeSizedPublic({ ...ecc, x: publicKey.slice(27, 59), y: publicKey.slice(59, 91) } as TpmtPublic)
  }
  const rsaEk = healthyEk.area
  const [rsaAk, eccAk] = [makeSoftwareAk('RSA-2048').area, makeSoftwareAk('P-256').area]
  const { request } = makeEnrollingTpm({ ek: healthyEk })
  const { attributes, authPolicy, symmetric } = rsaEk
  const eccEk = {
    ...eccAk,
    ...{ attributes, authPolicy, symmetric, scheme: { algorithm: 'null' } },
  } as TpmtPublic

  const asEk = (file: string) => {
    const certificate = load(file)
    const ek = { publicArea: areaFor(certificate, rsaEk, eccEk), certificate: certificate.der, chain: chain() }
    return appraiseEnrolment({ ...request, ek }, inputs)
  }
  const asAk = (file: string, pool = chain()) => {
    const certificate = load(file)
    const publicArea = areaFor(certificate, rsaAk, eccAk)
    const akParent = { under: 'hierarchy', hierarchy: 'endorsement' } as const
    const ak = { publicArea, certificate: encodePem(certificate.der, 'CERTIFICATE'), chain: pool }
    return appraiseAkCertificate(ak, { ...inputs, akParent })
  }

  it.each(['pca_tpm_rsa_enc_cert.pem', 'pca_tpm_ecc_enc_cert.pem'])('%s is one of an EK, and of no AK', (file) => {
    expect(failed(asEk(file))).toEqual([])
    expect(asEk(file).candidate).toMatchObject({ anchor: 'google', identity: '218557372616137117', simulated: false })
    expect(failed(asAk(file))).toEqual(['tpm.akCertificate.usage'])
  })

  it.each(['pca_tpm_rsa_sign_cert.pem', 'pca_tpm_ecc_sign_cert.pem'])('%s is one of an AK, and of no EK', (file) => {
    expect(failed(asAk(file))).toEqual([])
    expect(asAk(file).enrolment).toMatchObject({ akTrust: 'ak-certificate', anchor: 'google', instanceId: null })
    expect(failed(asEk(file))).toEqual(['tpm.ek.usage'])
  })

  it('need their intermediate: it is not pinned, and no address in a certificate is fetched', () => {
    expect(failed(asAk('pca_tpm_ecc_sign_cert.pem', []))).toEqual(['tpm.akCertificate.chain'])
  })
})
