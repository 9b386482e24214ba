import { AsnConvert } from '@peculiar/asn1-schema'
import { CertificateList } from '@peculiar/asn1-x509'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { issueRevocationList, newKey } from '../../../mocks/tdx/certificates.ts'
import { processorMs } from '../../../test/support/processor-time.ts'
import { type CrlSpec, createRoot, issueCrl, issueCrlDer, testNow } from '../../../test/support/test-ca.ts'
import { flipBit } from '../../../test/support/test-ca-schema.ts'
import { haveVectors, vector, vectorJson } from '../../../test/support/vectors.ts'
import { concatBytes } from '../bytes.ts'
import { MalformedError } from '../errors.ts'
import { cutCrl, parseCrl } from './revocation-list.ts'

const root = createRoot()
const healthy: CrlSpec = { signer: root, revoked: [{ serial: 0xffn }, { serial: 2n }] }
const hex = (text: string) => new Uint8Array(Buffer.from(text.replaceAll(' ', ''), 'hex'))

function outcome(der: Uint8Array): string {
  try {
    return parseCrl(der).unsupported ?? 'parsed'
  } catch (error) {
    if (error instanceof MalformedError) return error.message
    throw error
  }
}

describe('a revocation list', () => {
  it('has the fields that were signed', () => {
    expect(issueCrl({ ...healthy, number: 77, thisUpdate: testNow, nextUpdate: Date.UTC(2060, 0, 1) })).toMatchObject({
      issuer: { der: root.certificate.subject.der },
      thisUpdate: testNow,
      nextUpdate: Date.UTC(2060, 0, 1),
      revokedSerials: new Set(['ff', '2']),
      number: 77n,
      authorityKeyId: { keyId: root.keyId },
      signatureAlgorithm: { kind: 'ecdsa', hash: 'sha256' },
      unsupported: null,
    })
  })

  it('may be empty, and without a number and a key identifier', () => {
    const list = issueCrl({ signer: root, number: null, authorityKeyId: null })
    expect([list.revokedSerials.size, list.number, list.authorityKeyId]).toEqual([0, null, null])
  })

  it('has a number of up to 20 octets', () => {
    const numbered = (content: string) =>
      issueCrlDer({ ...healthy, number: null, extensions: [{ id: '2.5.29.20', critical: false, value: hex(content) }] })
    expect(parseCrl(numbered(`0214 7f${'ff'.repeat(19)}`)).number).toBe((1n << 159n) - 1n)
    expect(outcome(numbered(`0215 7f${'ff'.repeat(20)}`))).toContain('20 octets')
    expect(outcome(numbered('0201 ff'))).toContain('negative')
    expect(outcome(numbered('0401 01'))).toContain('not an integer')
  })

  it('may have thousands of entries', () => {
    const revoked = Array.from({ length: 4000 }, (_, at) => ({ serial: 1n + BigInt(at) }))
    expect(issueCrl({ ...healthy, revoked }).revokedSerials.size).toBe(4000)
  })

  it('is read in time linear in its length, whatever serial numbers it names', () => {
    const revoked = Array.from({ length: 20_000 }, (_, at) => BigInt(at + 1) << 64n)
    const issuer = { commonName: 'x', key: newKey() }
    const der = issueRevocationList({ issuer, thisUpdate: testNow, nextUpdate: testNow, number: 1, revoked })
    const start = processorMs()
    expect(parseCrl(der).revokedSerials.size).toBe(20_000)
    // Sets of integers take more than two seconds.
    expect(processorMs() - start).toBeLessThan(1000)
  })

  it('is cut into the same parts without being read', () => {
    for (const count of [0, 1, 40, 2000]) {
      const list = issueCrl({
        ...healthy,
        revoked: Array.from({ length: count }, (_, at) => ({ serial: BigInt(at + 1) })),
      })
      expect(cutCrl(list.der)).toEqual({ tbs: list.tbs, signature: list.signature })
    }
    const der = issueCrlDer(healthy)
    for (let size = 0; size < der.length; size++) expect(() => cutCrl(der.subarray(0, size))).toThrow(MalformedError)
  })

  it('may be as large as the limit, and not one byte larger', () => {
    const der = issueCrlDer(healthy)
    expect(parseCrl(der, 'crl', { maximum: der.length }).der).toEqual(der)
    expect(() => parseCrl(der, 'crl', { maximum: der.length - 1 })).toThrow('limit')
  })
})

describe('the parser refuses', () => {
  const der = issueCrlDer(healthy)
  const edited = (edit: (list: CertificateList) => unknown) => {
    const list = AsnConvert.parse(der, CertificateList)
    edit(list)
    return new Uint8Array(AsnConvert.serialize(list))
  }

  it.each<[string, Uint8Array, string]>([
    ['bytes behind the list', concatBytes(der, Uint8Array.of(0)), 'left over'],
    ['a list that is cut', der.subarray(0, -1), 'needs'],
    ['version 1', issueCrlDer({ ...healthy, version: 0 }), 'version: is not 2'],
    [
      'an issuer of 129 attributes',
      issueCrlDer({
        ...healthy,
        issuer: Object.fromEntries(Array.from({ length: 129 }, (_, at) => [`1.2.${at}`, 'x'])),
      }),
      'a name that is too long',
    ],
    ['no version', edited(({ tbsCertList }) => Reflect.deleteProperty(tbsCertList, 'version')), 'version: is not 2'],
    [
      'a list without end',
      issueCrlDer({ signer: root, nextUpdate: null, number: null, authorityKeyId: null }),
      'nextUpdate: is missing',
    ],
    ['a list with entries and without end', issueCrlDer({ ...healthy, nextUpdate: null }), 'nextUpdate: is missing'],
    [
      'another algorithm outside',
      issueCrlDer({ ...healthy, outerAlgorithm: 'ecdsa-sha512' }),
      'signatureAlgorithm: differs',
    ],
    [
      'an extension twice',
      issueCrlDer({ ...healthy, extensions: [{ id: '2.5.29.20', critical: false, value: hex('020101') }] }),
      'twice',
    ],
    [
      'a negative serial number',
      edited(({ tbsCertList }) =>
        Object.assign(tbsCertList.revokedCertificates?.[0] ?? {}, { userCertificate: hex('80').buffer }),
      ),
      'revokedCertificates: is negative',
    ],
  ])('%s', (_what, bytes, says) => {
    expect(outcome(bytes)).toContain(says)
  })
})

describe('a list that does not speak for all certificates of its issuer', () => {
  const extended = (id: string, critical: boolean) =>
    issueCrlDer({ ...healthy, extensions: [{ id, critical, value: hex('3000') }] })
  const withEntry = (id: string, critical: boolean) =>
    issueCrlDer({ ...healthy, revoked: [{ serial: 1n, extensions: [{ id, critical, value: hex('0a0101') }] }] })

  it.each<[string, Uint8Array, string]>([
    ['a delta list', extended('2.5.29.27', true), 'delta'],
    ['a delta list that does not mark it', extended('2.5.29.27', false), 'delta'],
    ['a partial list', extended('2.5.29.28', true), 'part of the certificates'],
    ['a partial list that does not mark it', extended('2.5.29.28', false), 'part of the certificates'],
    ['an unknown critical extension', extended('1.2.3', true), 'unknown critical extension 1.2.3'],
    ['an unknown extension', extended('1.2.3', false), 'parsed'],
    ['entries of other issuers', withEntry('2.5.29.29', true), 'other issuers'],
    ['entries of other issuers that do not mark it', withEntry('2.5.29.29', false), 'other issuers'],
    ['an entry with an unknown critical extension', withEntry('1.2.3', true), 'unknown critical extension 1.2.3'],
    ['an entry with a reason', withEntry('2.5.29.21', false), 'parsed'],
    ['an entry with a critical reason', withEntry('2.5.29.21', true), 'parsed'],
  ])('%s', (_what, bytes, says) => {
    expect(outcome(bytes)).toContain(says)
  })
})

describe('any bytes', () => {
  it('parse or give MalformedError', () => {
    const der = issueCrlDer({ ...healthy, extensions: [{ id: '2.5.29.28', critical: true, value: hex('3000') }] })
    for (let at = 0; at < der.length; at++) for (const bit of [0, 5, 7]) outcome(flipBit(der, at, bit))
    fc.assert(fc.property(fc.uint8Array({ maxLength: 64 }), (bytes) => void outcome(bytes)))
  })
})

describe.skipIf(!haveVectors)('recorded lists', () => {
  it('of Intel parse, with all their serial numbers', () => {
    const collateral = vectorJson('tdx/collateral/gotdxv5-tdx-90c06f-2026-02.json') as Record<string, string>
    const [root, platform] = [collateral['root_ca_crl'], collateral['pck_crl']].map((text) => parseCrl(hex(text ?? '')))
    expect(root).toMatchObject({ unsupported: null, signatureAlgorithm: { kind: 'ecdsa', hash: 'sha256' } })
    // Each entry is 51 bytes: the 20-octet serial numbers with and without a leading zero, date and reason.
    expect(platform?.revokedSerials.size).toBeGreaterThan(50)
    expect([...(platform?.revokedSerials ?? [])].every((serial) => /^[1-9a-f][0-9a-f]*$/.test(serial))).toBe(true)
    expect(root?.number).not.toBeNull()
  })

  it('of the chain cases parse', () => {
    expect(parseCrl(vector('tpm/pki/crl.revoked.der')).revokedSerials).toEqual(new Set(['3ee']))
    expect(parseCrl(vector('tpm/pki/crl.ok.der')).revokedSerials.size).toBe(0)
  })
})
