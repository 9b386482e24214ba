import { AsnConvert } from '@peculiar/asn1-schema'
import {
  AlgorithmIdentifier,
  AttributeTypeAndValue,
  AttributeValue,
  ExtendedKeyUsage,
  Name,
  RelativeDistinguishedName,
  Certificate as Schema,
  SubjectPublicKeyInfo,
} from '@peculiar/asn1-x509'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { type CertificateSpec, createRoot, issue, issueDer, testNow } from '../../../test/support/test-ca.ts'
import { arrayBuffer, flipBit, generateKeys, nameFrom, rawExtension } from '../../../test/support/test-ca-schema.ts'
import { haveVectors, vector, vectorJson } from '../../../test/support/vectors.ts'
import { concatBytes, toHex } from '../bytes.ts'
import { MalformedError } from '../errors.ts'
import { parseCertificate, parsePaddedCertificate, publicKeySha256 } from './certificate.ts'
import { commonNameOf, describeName } from './distinguished-name.ts'
import { findPem, parsePemBlocks } from './pem.ts'
import { readPublicKey } from './public-key.ts'

const root = createRoot()
const keys = generateKeys()
const healthy: CertificateSpec = {
  signer: root,
  keys,
  subject: { O: 'Example', CN: 'leaf' },
  keyUsage: ['keyEncipherment', 'decipherOnly'],
  extKeyUsage: ['2.23.133.8.1'],
}
const hex = (text: string) => new Uint8Array(Buffer.from(text.replaceAll(' ', ''), 'hex'))

/** The message with which parsing fails, or `parsed`. Anything but `MalformedError` fails the test. */
function outcome(der: Uint8Array): string {
  try {
    parseCertificate(der)
    return 'parsed'
  } catch (error) {
    if (error instanceof MalformedError) return error.message
    throw error
  }
}

/** Replaces bytes of the DER by others of the same length. The signature is not looked at by the parser. */
function replaced(der: Uint8Array, from: string, to: string): Uint8Array {
  const text = toHex(der)
  expect(text.split(from)).toHaveLength(2)
  return hex(text.replace(from, to))
}

describe('a certificate', () => {
  it('has the fields that were signed', () => {
    const serial = Uint8Array.of(0, 0xfe, ...new Uint8Array(18).fill(7))
    const spec = { ...healthy, serial, notBefore: testNow, notAfter: Date.UTC(9999, 11, 31, 23, 59, 59) }
    const der = issueDer(spec)
    const certificate = parseCertificate(der)
    expect(certificate).toMatchObject({
      der,
      serial: BigInt(`0x${toHex(serial)}`),
      notBefore: testNow,
      notAfter: 253402300799000,
      signatureAlgorithm: { kind: 'ecdsa', hash: 'sha256' },
      basicConstraints: { ca: false, pathLength: null },
      keyUsage: new Set(['keyEncipherment', 'decipherOnly']),
      extendedKeyUsage: ['2.23.133.8.1'],
      publicKey: new Uint8Array(keys.publicKey.export({ format: 'der', type: 'spki' })),
      authorityKeyId: { keyId: root.keyId, issuers: [], serial: null },
      subjectDirectoryNames: [],
    })
    expect(describeName(certificate.subject)).toBe('O=Example, CN=leaf')
    expect(certificate.issuer.der).toEqual(root.certificate.subject.der)
    expect(toHex(der)).toContain(toHex(certificate.tbs))
  })

  it('may carry no extension at all', () => {
    const der = issueDer({
      ...healthy,
      edit: (tbs) => {
        delete tbs.extensions
      },
    })
    expect(parseCertificate(der)).toMatchObject({ keyUsage: null, basicConstraints: null, extendedKeyUsage: null })
  })

  it('has a serial number of at most 20 octets, the sign octet not counted', () => {
    const numbered = (...serial: number[]) => outcome(issueDer({ ...healthy, serial: Uint8Array.from(serial) }))
    expect(numbered(0, ...new Uint8Array(20).fill(0xff))).toBe('parsed')
    expect(numbered(1, ...new Uint8Array(20))).toContain('serialNumber: has more than 20 octets')
    expect(numbered(1)).toBe('parsed')
    expect(numbered(0)).toContain('serialNumber: is zero')
    expect(numbered(0x80)).toContain('serialNumber: is negative or empty')
  })

  it('may be as large as the limit, and not one byte larger', () => {
    const value = new Uint8Array(16_384 - 520)
    const der = issueDer({ ...healthy, extensions: [{ id: '1.2.3', critical: false, value }] })
    expect(der.length).toBeLessThan(16_384)
    expect(outcome(der)).toBe('parsed')
    expect(parseCertificate(der, 'x', { maximum: der.length }).der).toEqual(der)
    expect(() => parseCertificate(der, 'x', { maximum: der.length - 1 })).toThrow(`the limit is ${der.length - 1}`)
    const larger = { id: '1.2.3', critical: false, value: new Uint8Array(16_384) }
    expect(outcome(issueDer({ ...healthy, extensions: [larger] }))).toContain('the limit is 16384')
  })

  const many = <T>(count: number, item: T): T[] => Array.from({ length: count }, () => item)
  const attribute = new AttributeTypeAndValue({ type: '2.5.4.3', value: new AttributeValue({ utf8String: 'a' }) })
  const longName = (count: number) => new Name(many(count, new RelativeDistinguishedName([attribute])))
  const purposes = (count: number) => rawExtension('2.5.29.37', false, new ExtendedKeyUsage(many(count, '2.5.4')))

  it('has at most 512 elements, and 512 in an extension: each costs a hundred times its two bytes', () => {
    const named = (count: number) =>
      issueDer({ ...healthy, edit: (tbs) => Object.assign(tbs, { subject: longName(count) }) })
    expect(outcome(named(110))).toBe('parsed')
    expect(outcome(named(130))).toContain('certificate: has too many elements')
    const forPurposes = (count: number) => issueDer({ ...healthy, extKeyUsage: null, extensions: [purposes(count)] })
    expect(outcome(forPurposes(511))).toBe('parsed')
    expect(outcome(forPurposes(512))).toContain('certificate.extKeyUsage: has too many elements')
  })

  it('compares names as DER, whatever their text', () => {
    const utf8 = issue({ ...healthy, subject: { CN: 'same' } }).subject
    expect(issue({ ...healthy, issuer: { CN: 'same' } }).issuer.der).toEqual(utf8.der)
    expect(commonNameOf(utf8)).toBe('same')
    expect(commonNameOf(issue({ ...healthy, subject: { O: 'no common name' } }).subject)).toBeNull()
    expect(commonNameOf(issue({ ...healthy, subject: { CN: '' } }).subject)).toBeNull()
    const twice = issue({
      ...healthy,
      edit: (tbs) => {
        tbs.subject = nameFrom({ CN: 'a' })
        tbs.subject.push(...nameFrom({ CN: 'b' }))
      },
    })
    expect(commonNameOf(twice.subject)).toBeNull()
  })

  it('shows hostile names escaped and cut', () => {
    const name = issue({ ...healthy, subject: { CN: 'a\n\u001b[2Jä\\' } }).subject
    expect(describeName(name)).toBe('CN=a\\u{a}\\u{1b}[2J\\u{e4}\\u{5c}')
    expect(describeName(issue({ ...healthy, subject: { CN: 'x'.repeat(5000) } }).subject).length).toBe(201)
    expect(describeName(issue({ ...healthy, subject: {} }).subject)).toBe('(empty name)')
  })
})

describe('the parser refuses', () => {
  const der = issueDer(healthy)
  const raw = (id: string, value: string, critical = false) => ({ id, critical, value: hex(value) })
  const withExtension = (...extensions: ReturnType<typeof raw>[]) => issueDer({ ...healthy, extensions })

  it.each<[string, Uint8Array, string]>([
    ['nothing', new Uint8Array(), 'needs 1 bytes'],
    ['bytes behind the certificate', concatBytes(der, Uint8Array.of(0)), 'left over'],
    ['a certificate that is cut', der.subarray(0, -1), 'needs'],
    ['BER: an indefinite length', concatBytes(hex('3080'), der.subarray(4), hex('0000')), 'indefinite'],
    ['BER: a length that is not minimal', concatBytes(hex('3083 00'), der.subarray(2)), 'minimal'],
    ['another structure', hex('3003020101'), 'structure'],
    ['version 1', issueDer({ ...healthy, edit: (tbs) => Object.assign(tbs, { version: 0 }) }), 'is 1, must be 3'],
    ['version 2', issueDer({ ...healthy, edit: (tbs) => Object.assign(tbs, { version: 1 }) }), 'is 2, must be 3'],
    ['a negative serial number', issueDer({ ...healthy, serial: Uint8Array.of(0x80, 1) }), 'serialNumber: is negative'],
    ['serial number 0', issueDer({ ...healthy, serial: Uint8Array.of(0) }), 'serialNumber: is zero'],
    [
      'unique identifiers',
      issueDer({ ...healthy, edit: (tbs) => Object.assign(tbs, { subjectUniqueID: arrayBuffer(hex('00')) }) }),
      'uniqueId',
    ],
    [
      'another algorithm outside',
      issueDer({ ...healthy, outerAlgorithm: 'ecdsa-sha384' }),
      'signatureAlgorithm: differs',
    ],
    [
      'month 13',
      replaced(issueDer({ ...healthy, notBefore: Date.UTC(2026, 11, 1) }), '323631323031', '323631333031'),
      'canonical',
    ],
    [
      '30 February',
      replaced(issueDer({ ...healthy, notBefore: Date.UTC(2026, 1, 28) }), '323630323238', '323630323330'),
      'canonical',
    ],
    ['an extension twice', withExtension(raw('2.5.29.19', '3000')), 'extension 2.5.29.19 twice'],
    [
      'critical FALSE written out',
      replaced(withExtension(raw('1.2.3', '0c0161', true)), '06022a030101ff', '06022a03010100'),
      'canonical',
    ],
    [
      'a path length without the CA bit',
      issueDer({ ...healthy, basicConstraints: { ca: false, pathLength: 0 } }),
      'without the CA bit',
    ],
    ['a path length of 256', issueDer({ ...healthy, basicConstraints: { ca: true, pathLength: 256 } }), '0 to 255'],
    ['a negative path length', issueDer({ ...healthy, basicConstraints: { ca: true, pathLength: -1 } }), '0 to 255'],
    [
      'a huge path length',
      issueDer({
        ...healthy,
        basicConstraints: null,
        extensions: [raw('2.5.29.19', '300e 0101ff 0209 010000000000000000')],
      }),
      'basicConstraints',
    ],
    [
      'CA FALSE written out',
      issueDer({ ...healthy, basicConstraints: null, extensions: [raw('2.5.29.19', '3003 010100')] }),
      'canonical',
    ],
    [
      'bytes behind basicConstraints',
      issueDer({ ...healthy, basicConstraints: null, extensions: [raw('2.5.29.19', '300000')] }),
      'left over',
    ],
    [
      'key usage with superfluous zero bits',
      issueDer({ ...healthy, keyUsage: null, extensions: [raw('2.5.29.15', '03020420')] }),
      'trailing zero bits',
    ],
    [
      'key usage without bits',
      issueDer({ ...healthy, keyUsage: null, extensions: [raw('2.5.29.15', '030100')] }),
      'is empty',
    ],
    [
      'key usage of another type',
      issueDer({ ...healthy, keyUsage: null, extensions: [raw('2.5.29.15', '040120')] }),
      'structure',
    ],
    [
      'no extended key usage in the list',
      issueDer({ ...healthy, extKeyUsage: null, extensions: [raw('2.5.29.37', '3000')] }),
      'extKeyUsage: is empty',
    ],
    [
      'half of an issuer in the authority key id',
      issueDer({ ...healthy, authorityKeyId: null, extensions: [raw('2.5.29.35', '3003 820101')] }),
      'one of issuer and serial',
    ],
    [
      '33 extensions',
      withExtension(...Array.from({ length: 28 }, (_, at) => raw(`1.2.${at}`, '0500'))),
      '33 extensions',
    ],
  ])('%s', (_what, bytes, says) => {
    expect(outcome(bytes)).toContain(says)
  })

  it('and takes 32 extensions', () => {
    expect(outcome(withExtension(...Array.from({ length: 27 }, (_, at) => raw(`1.2.${at}`, '0500'))))).toBe('parsed')
  })

  it('with the path of the field', () => {
    expect(() => parseCertificate(issueDer({ ...healthy, serial: Uint8Array.of(0) }), 'ek.certificate')).toThrow(
      'ek.certificate.serialNumber: is zero',
    )
  })
})

describe('any bytes', () => {
  it('parse or give MalformedError: one byte of a certificate is replaced', () => {
    const der = issueDer(healthy)
    for (let at = 0; at < der.length; at++) {
      for (const value of [0x00, 0x30, 0x80, 0xff])
        outcome(Uint8Array.from(der, (byte, i) => (i === at ? value : byte)))
    }
  })

  it('parse or give MalformedError: edits at random', () => {
    const der = issueDer({ ...healthy, subject: { '2.5.4.3': 'x' } })
    const edits = fc.array(fc.record({ at: fc.nat(der.length - 1), bit: fc.nat(7) }), { minLength: 1, maxLength: 4 })
    fc.assert(
      fc.property(edits, (list) => void outcome(list.reduce((copy, { at, bit }) => flipBit(copy, at, bit), der))),
    )
  })

  it('parse or give MalformedError: an extension with random content', () => {
    const ids = fc.constantFrom('2.5.29.14', '2.5.29.15', '2.5.29.17', '2.5.29.19', '2.5.29.35', '2.5.29.37')
    const bare = {
      ...healthy,
      basicConstraints: null,
      keyUsage: null,
      extKeyUsage: null,
      keyId: null,
      authorityKeyId: null,
    }
    const content = fc.oneof(
      fc.uint8Array({ maxLength: 24 }),
      fc.uint8Array({ maxLength: 20 }).map((inner) => Uint8Array.of(0x30, inner.length, ...inner)),
    )
    fc.assert(
      fc.property(
        ids,
        content,
        (id, value) => void outcome(issueDer({ ...bare, extensions: [{ id, critical: true, value }] })),
      ),
      { numRuns: 300 },
    )
  })
})

describe('the key in a certificate', () => {
  const spki = (pair = keys) => new Uint8Array(pair.publicKey.export({ format: 'der', type: 'spki' }))
  const problem = (bytes: Uint8Array) => {
    const reading = readPublicKey(bytes)
    return reading.usable ? reading.publicKey.type : reading.problem
  }
  const offCurve = spki().with(90, (spki()[90] ?? 0) ^ 1)
  const otherAlgorithm = () => {
    const schema = AsnConvert.parse(spki(generateKeys('rsa')), SubjectPublicKeyInfo)
    schema.algorithm = new AlgorithmIdentifier({ algorithm: '1.2.840.113549.1.1.1' })
    return new Uint8Array(AsnConvert.serialize(schema))
  }

  it.each<[string, Uint8Array, string]>([
    ['P-256', spki(), 'ec'],
    ['P-384', spki(generateKeys('P-384')), 'ec'],
    ['P-521', spki(generateKeys('P-521')), 'ec'],
    ['RSA with 2048 bits', spki(generateKeys('rsa')), 'rsa'],
    ['RSA with 1024 bits', spki(generateKeys('rsa-1024')), 'RSA with 1024 bits'],
    ['another curve', spki(generateKeys('secp256k1')), 'not supported'],
    ['Ed25519', spki(generateKeys('ed25519')), 'not supported'],
    ['a point off its curve', offCurve, 'not a key'],
    ['a compressed point', compressed(spki()), 'uncompressed'],
    ['RSA without its NULL parameters', otherAlgorithm(), 'one accepted form'],
    ['bytes behind it', concatBytes(spki(), Uint8Array.of(0)), 'one accepted form'],
    ['nothing', new Uint8Array(), 'not a key'],
  ])('%s', (_what, bytes, says) => {
    expect(problem(bytes)).toContain(says)
  })

  function compressed(bytes: Uint8Array): Uint8Array {
    const schema = AsnConvert.parse(bytes, SubjectPublicKeyInfo)
    const point = new Uint8Array(schema.subjectPublicKey)
    schema.subjectPublicKey = arrayBuffer(Uint8Array.of(2 + ((point[64] ?? 0) & 1), ...point.subarray(1, 33)))
    return new Uint8Array(AsnConvert.serialize(schema))
  }

  it('refuses RSA exponents that are even, 1 or huge', () => {
    const schema = AsnConvert.parse(spki(generateKeys('rsa')), SubjectPublicKeyInfo)
    const key = Buffer.from(schema.subjectPublicKey).toString('hex')
    const withExponent = (exponent: string) => {
      const size = exponent.length / 2
      const modulus = key.slice(8, -10)
      const length = modulus.length / 2 + 2 + size
      schema.subjectPublicKey = arrayBuffer(
        hex(`3082${length.toString(16).padStart(4, '0')}${modulus}02${size.toString(16).padStart(2, '0')}${exponent}`),
      )
      return new Uint8Array(AsnConvert.serialize(schema))
    }
    expect(problem(withExponent('010001'))).toBe('rsa')
    expect(problem(withExponent('03'))).toBe('rsa')
    expect(problem(withExponent('01'))).not.toBe('rsa')
    expect(problem(withExponent('010000'))).toContain('exponent')
    expect(problem(withExponent('0100000001'))).toContain('exponent')
  })

  it('parses with any key in it, so that a chain can say which certificate is at fault', () => {
    const der = issueDer({
      ...healthy,
      edit: (tbs) => Object.assign(tbs, { subjectPublicKeyInfo: AsnConvert.parse(offCurve, SubjectPublicKeyInfo) }),
    })
    expect(parseCertificate(der).publicKey).toEqual(offCurve)
  })
})

describe('a certificate in a fixed buffer', () => {
  const der = issueDer(healthy)

  it.each([
    ['nothing', []],
    ['zeros', [0, 0, 0]],
    ['FF', [0xff, 0xff]],
  ])('is cut from %s behind it', (_what, filling) => {
    expect(parsePaddedCertificate(Uint8Array.of(...der, ...filling)).der).toEqual(der)
  })

  it.each([
    ['other bytes', [0, 0, 1]],
    ['a mixture', [0xff, 0]],
    ['one other byte', [1]],
    ['a second certificate', [...der]],
  ])('is refused with %s behind it', (_what, filling) => {
    expect(() => parsePaddedCertificate(Uint8Array.of(...der, ...filling))).toThrow('not all 00 or all FF')
  })

  it('is refused when it is cut, empty or only filling', () => {
    for (const bytes of [der.subarray(0, -1), new Uint8Array(), new Uint8Array(100), new Uint8Array(100).fill(0xff)]) {
      expect(() => parsePaddedCertificate(bytes)).toThrow(MalformedError)
    }
  })
})

describe.skipIf(!haveVectors)('recorded certificates', () => {
  interface Entry {
    file: string
    expected: {
      subject?: string
      sha256Fingerprint?: string
      spkiSha256?: string
      notAfter?: string
      criticalExtensions?: string[]
      eku?: string[]
    }
  }
  const entries = haveVectors ? (vectorJson('tpm/MANIFEST.json') as Entry[]) : []
  const manifest = entries.filter(({ file }) => file.startsWith('certs/'))

  it.each(manifest)('$file has the recorded facts', ({ file, expected }) => {
    const bytes = vector(`tpm/${file}`)
    const text = Buffer.from(bytes).toString('latin1')
    const certificate = parseCertificate(text.includes('-----BEGIN') ? findPem(text, 'CERTIFICATE') : bytes)
    const critical = [...certificate.extensions].filter(([, extension]) => extension.critical).map(([id]) => id)
    expect({
      sha256Fingerprint: certificate.fingerprint,
      spkiSha256: publicKeySha256(certificate),
      notAfter: new Date(certificate.notAfter).toISOString(),
      criticalExtensions: critical.sort(),
      eku: certificate.extendedKeyUsage ?? [],
    }).toEqual({
      ...expected,
      subject: undefined,
      issuer: undefined,
      criticalExtensions: expected.criticalExtensions?.sort(),
    })
    expect(describeName(certificate.subject).replaceAll('\\', '')).toBe(expected.subject?.replaceAll('\\', ''))
    expect(readPublicKey(certificate.publicKey).usable).toBe(true)
  })

  it.each(['gpu/certs/device-root.pem', 'gpu/certs/driver-595/l3-gh100.pem', 'tdx/anchors/intel-sgx-root-ca-2049.pem'])(
    '%s encodes again to the same bytes',
    (file) => {
      for (const der of parsePemBlocks(Buffer.from(vector(file)).toString('latin1'), 'CERTIFICATE')) {
        expect(parseCertificate(der).der).toEqual(new Uint8Array(AsnConvert.serialize(AsnConvert.parse(der, Schema))))
      }
    },
  )
})
