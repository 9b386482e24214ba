import {
  AttributeTypeAndValue,
  AttributeValue,
  GeneralName,
  Name,
  RelativeDistinguishedName,
  SubjectAlternativeName,
} from '@peculiar/asn1-x509'
import { describe, expect, it } from 'vitest'
import { type CertificateSpec, createRoot, issue, issueDer } from '../../test/support/test-ca.ts'
import { nameFrom, rawExtension } from '../../test/support/test-ca-schema.ts'
import { haveVectors, vector } from '../../test/support/vectors.ts'
import { MalformedError } from '../base/errors.ts'
import { alternativeNameProblem, parseEcsInstance, parseTpmCertificate, usageProblem } from './ek-certificate.ts'

const root = createRoot()
const healthy: CertificateSpec = {
  signer: root,
  subject: { CN: 'i-1' },
  keyUsage: ['keyEncipherment'],
  extKeyUsage: ['2.23.133.8.1'],
}
const tpmName = nameFrom({ '2.23.133.2.1': 'id:414C4942', '2.23.133.2.2': 'vTPM', '2.23.133.2.3': 'id:00010000' })
const alternativeName = (names: GeneralName[], critical = true) =>
  rawExtension('2.5.29.17', critical, new SubjectAlternativeName(names))
const named = (...extensions: ReturnType<typeof alternativeName>[]) =>
  parseTpmCertificate(issueDer({ ...healthy, extensions }))

describe('an EK certificate', () => {
  it('says which TPM and which instance it is for', () => {
    const { tpm, commonName } = named(alternativeName([new GeneralName({ directoryName: tpmName })]))
    expect(tpm).toEqual({ manufacturer: 'id:414C4942', model: 'vTPM', version: 'id:00010000' })
    expect(commonName).toBe('i-1')
  })

  it('describes its TPM in one name with several values as well', () => {
    const one = (type: string, utf8String: string) =>
      new AttributeTypeAndValue({ type, value: new AttributeValue({ utf8String }) })
    const together = new Name([
      new RelativeDistinguishedName([one('2.23.133.2.1', 'm'), one('2.23.133.2.2', 'x'), one('2.23.133.2.3', 'v')]),
    ])
    const { tpm } = named(
      alternativeName([new GeneralName({ dNSName: 'a' }), new GeneralName({ directoryName: together })]),
    )
    expect(tpm).toEqual({ manufacturer: 'm', model: 'x', version: 'v' })
  })

  it.each([
    ['is all 00', 0],
    ['is all FF', 0xff],
  ])('is cut from an index whose rest %s (EKC-02)', (_what, filling) => {
    const der = issueDer(healthy)
    const index = Uint8Array.of(...der, ...new Uint8Array(500).fill(filling))
    expect(parseTpmCertificate(index).certificate.der).toEqual(der)
    expect(() => parseTpmCertificate(index.with(-1, 1))).toThrow(MalformedError)
  })

  it('fills an index of at most 64 KiB', () => {
    const der = issueDer(healthy)
    const index = (size: number) => Uint8Array.of(...der, ...new Uint8Array(size - der.length))
    expect(parseTpmCertificate(index(65_536)).certificate.der).toEqual(der)
    expect(() => parseTpmCertificate(index(65_537))).toThrow('limit is 65536')
  })

  it('has at most 4096 bytes without the filling', () => {
    const filler = { id: '1.2.3', critical: false, value: new Uint8Array(4000) }
    expect(() => parseTpmCertificate(issueDer({ ...healthy, extensions: [filler] }))).toThrow('limit is 4096')
    expect(parseTpmCertificate(Uint8Array.of(...issueDer(healthy), ...new Uint8Array(8000))).commonName).toBe('i-1')
  })
})

describe('a critical subjectAltName', () => {
  it.each<[string, ReturnType<typeof named>, boolean]>([
    ['that describes a TPM is understood', named(alternativeName([new GeneralName({ directoryName: tpmName })])), true],
    ['of another kind is not', named(alternativeName([new GeneralName({ dNSName: 'a' })])), false],
    [
      'with a part of the description is not',
      named(alternativeName([new GeneralName({ directoryName: nameFrom({ '2.23.133.2.1': 'm' }) })])),
      false,
    ],
    ['is not needed', named(), true],
    [
      'of another kind may be there if it is not critical',
      named(alternativeName([new GeneralName({ dNSName: 'a' })], false)),
      true,
    ],
  ])('%s (EKC-04)', (_what, certificate, understood) => {
    expect(alternativeNameProblem(certificate) === null).toBe(understood)
  })
})

describe('the use of a certificate', () => {
  it.each<[string, Partial<CertificateSpec>, Parameters<typeof usageProblem>[1], 'rsa' | 'ecc', string | null]>([
    ['an RSA EK', {}, 'endorsement', 'rsa', null],
    ['an RSA EK without extended key usage', { extKeyUsage: null }, 'endorsement', 'rsa', null],
    ['an ECC EK', { keyUsage: ['keyAgreement'] }, 'endorsement', 'ecc', null],
    ['an ECC EK for encipherment', {}, 'endorsement', 'ecc', 'keyAgreement'],
    ['an RSA EK for agreement', { keyUsage: ['keyAgreement'] }, 'endorsement', 'rsa', 'keyEncipherment'],
    ['an EK that also signs', { keyUsage: ['keyEncipherment', 'digitalSignature'] }, 'endorsement', 'rsa', null],
    ['a signing EK', { keyUsage: ['digitalSignature'] }, 'endorsement', 'rsa', 'signing key'],
    ['no key usage', { keyUsage: null }, 'endorsement', 'rsa', 'keyEncipherment'],
    ['another purpose', { extKeyUsage: ['1.3.6.1.5.5.7.3.1'] }, 'endorsement', 'rsa', '2.23.133.8.1'],
    ['an AK as EK', { extKeyUsage: ['2.23.133.8.3'] }, 'endorsement', 'rsa', '2.23.133.8.1'],
    ['several purposes', { extKeyUsage: ['1.3.6.1.5.5.7.3.1', '2.23.133.8.1'] }, 'endorsement', 'rsa', null],
    ['an AK', { keyUsage: ['digitalSignature'], extKeyUsage: ['2.23.133.8.3'] }, 'attestation', 'rsa', null],
    [
      'an AK without extended key usage',
      { keyUsage: ['digitalSignature'], extKeyUsage: null },
      'attestation',
      'ecc',
      null,
    ],
    ['an EK as AK', { keyUsage: ['digitalSignature'] }, 'attestation', 'rsa', '2.23.133.8.3'],
    ['an AK that may not sign', { extKeyUsage: null }, 'attestation', 'rsa', 'digitalSignature'],
  ])('%s', (_what, changes, use, keyType, says) => {
    const problem = usageProblem(issue({ ...healthy, ...changes }), use, keyType)
    expect(problem).toEqual(says === null ? null : expect.stringContaining(says))
  })
})

describe('the common name of an instance of Alibaba Cloud', () => {
  it.each([
    ['i-2ze0devexample000001', { instanceId: 'i-2ze0devexample000001', enclave: null }],
    ['i-bp1234567890abcdefgh-enclave-1', { instanceId: 'i-bp1234567890abcdefgh', enclave: '1' }],
    ['i-bp1234567890abcdefgh-enclave-0', { instanceId: 'i-bp1234567890abcdefgh', enclave: '0' }],
    ['i-bp1234567890abcdefgh-enclave-01', null],
    ['i-bp1234567890abcdefgh-enclave-', null],
    ['i-bp1234567890abcdefgh-enclave-1-enclave-2', null],
    ['I-bp1234567890abcdefgh', null],
    ['i-', null],
    [`i-${'a'.repeat(33)}`, null],
    ['x i-bp1234567890abcdefgh', null],
    ['i-bp1234567890abcdefgh\n', null],
    ['218557372616137117', null],
  ])('%j', (commonName, expected) => {
    expect(parseEcsInstance(commonName)).toEqual(expected)
  })
})

describe.skipIf(!haveVectors)('recorded EK certificates', () => {
  it.each([
    ['tpm/sequence/ek-rsa.nv.der', 'i-2ze0devexample000001', 'rsa'],
    ['tpm/sequence/ek-p384.nv.der', 'i-2ze0devexample000001', 'ecc'],
    ['tpm/guest/ek.nv.der', 'i-2ze0guestrig000001', 'rsa'],
  ] as const)('%s is one, with its instance and TPM', (file, commonName, keyType) => {
    const parsed = parseTpmCertificate(vector(file))
    expect(parsed.commonName).toBe(commonName)
    expect(parsed.tpm).toEqual({ manufacturer: 'id:00001014', model: 'swtpm', version: 'id:20191023' })
    expect(usageProblem(parsed.certificate, 'endorsement', keyType)).toBeNull()
    expect(alternativeNameProblem(parsed)).toBeNull()
  })
})
