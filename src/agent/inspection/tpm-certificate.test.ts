import { createPublicKey } from 'node:crypto'
import { AsnConvert } from '@peculiar/asn1-schema'
import { GeneralName, Name, SubjectAlternativeName } from '@peculiar/asn1-x509'
import { describe, expect, it } from 'vitest'
import { certifyEk, ekAuthority, keyPairOf } from '../../../test/support/enrolling-tpm.ts'
import { makeSoftwareEk } from '../../../test/support/software-tpm.ts'
import { createRoot, issueDer } from '../../../test/support/test-ca.ts'
import { nameFrom, rawExtension } from '../../../test/support/test-ca-schema.ts'
import { haveVectors, vector } from '../../../test/support/vectors.ts'
import { parseCertificate } from '../../base/pki/certificate.ts'
import { findPem } from '../../base/pki/pem.ts'
import { inspect } from './inspect.ts'

const ek = makeSoftwareEk()
const tpmName = nameFrom({ '2.23.133.2.1': 'id:414C4942', '2.23.133.2.2': 'vTPM', '2.23.133.2.3': 'id:00010000' })
const described = rawExtension(
  '2.5.29.17',
  true,
  new SubjectAlternativeName([new GeneralName({ directoryName: tpmName })]),
)

function values(bytes: Uint8Array, name: string): string[] {
  return inspect(bytes)
    .fields.filter((field) => field.name === name)
    .map(({ value }) => value)
}

describe('an EK certificate, as a file', () => {
  const enclave = certifyEk(ek, { subject: { CN: 'i-bp1234567890abcdefgh-enclave-3' }, extensions: [described] })

  it('tells the TPM, the instance and the purpose', () => {
    expect(values(enclave, '(TPM manufacturer)')).toEqual(['id:414C4942'])
    expect(values(enclave, '(TPM model)')).toEqual(['vTPM'])
    expect(values(enclave, '(TPM version)')).toEqual(['id:00010000'])
    expect(values(enclave, '(ECS instance)')).toEqual(['i-bp1234567890abcdefgh, its enclave 3'])
    expect(values(enclave, '(extKeyUsage)')).toEqual(['2.23.133.8.1 (tcg-kp-EKCertificate)'])
    expect(values(enclave, '(keyUsage)')).toEqual(['keyEncipherment'])
    expect(values(enclave, '(issuer)')).toEqual(['O=Example, CN=TPM maker EK CA'])
    expect(values(enclave, '(SHA-256)')).toEqual([parseCertificate(enclave).fingerprint])
    expect(values(enclave, '(vendor anchor)')).toEqual([])
    expect(values(enclave, '(NV padding)')).toEqual([])
  })

  it.each([
    ['00', 0],
    ['ff', 0xff],
  ])('may be an NV index filled with %s, which is told with its place', (filling, value) => {
    const index = Uint8Array.of(...enclave, ...new Uint8Array(100).fill(value))
    const padding = inspect(index).fields.at(-1)
    expect(padding).toMatchObject({
      name: '(NV padding)',
      value: `100 bytes ${filling}`,
      offset: enclave.length,
      size: 100,
    })
    expect(values(index, '(SHA-256)')).toEqual(values(enclave, '(SHA-256)'))
  })

  it('of another machine has no instance, and other certificates no TPM', () => {
    expect(values(certifyEk(ek), '(ECS instance)')).toEqual([])
    expect(values(createRoot().certificate.der, '(TPM model)')).toEqual([])
  })

  it('may be larger than those of TPMs, and is then shown without one', () => {
    const filler = { id: '1.2.3', critical: false, value: new Uint8Array(5000) }
    const large = certifyEk(ek, { subject: { CN: 'i-bp1234567890abcdefgh' }, extensions: [filler] })
    expect(values(large, '(ECS instance)')).toEqual([])
    expect(values(large, '(subject)')).toEqual(['CN=i-bp1234567890abcdefgh'])
  })
})

describe.skipIf(!haveVectors)('the pinned makers', () => {
  const load = (file: string) => {
    const bytes = vector(`tpm/certs/${file}`)
    return bytes[0] === 0x30 ? bytes : findPem(Buffer.from(bytes).toString('latin1'), 'CERTIFICATE')
  }
  it.each([
    ['Alibaba_Cloud_vTPM_EK.pem', /^is aliyun \(/],
    ['gcp_ek_ak_ca_root.crt', /^is google \(/],
    ['tpm_ek_root_1.cer', /^is google-host \(/],
    ['gcp_ek_ak_ca_intermediate_v3.crt', /^issued by google \(/],
    ['tpm_ek_intermediate_2.crt', /^issued by google-host \(/],
  ])('%s', (file, line) => {
    expect(values(load(file), '(vendor anchor)')).toEqual([expect.stringMatching(line)])
  })

  it('are not named for what an intermediate issued, which one certificate does not show', () => {
    expect(values(load('pca_tpm_rsa_enc_cert.pem'), '(vendor anchor)')).toEqual([])
  })

  it('are not believed by name: a forger can write it, and their key stands in other certificates', () => {
    const aliyun = parseCertificate(load('Alibaba_Cloud_vTPM_EK.pem'))
    const name = AsnConvert.parse(aliyun.subject.der, Name)
    for (const keyId of [aliyun.subjectKeyId, null]) {
      const forged = certifyEk(ek, { signer: { ...ekAuthority, name, keyId } })
      expect(values(forged, '(vendor anchor)')).toEqual(['names aliyun as its issuer, whose key did not sign it'])
    }
    const key = createPublicKey({ key: Buffer.from(aliyun.publicKey), format: 'der', type: 'spki' })
    const copied = issueDer({ signer: ekAuthority, keys: { ...keyPairOf(ek), publicKey: key } })
    expect(values(copied, '(vendor anchor)')).toEqual(['has the key of aliyun, and is not its certificate'])
  })
})
