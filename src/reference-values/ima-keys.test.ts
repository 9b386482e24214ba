import { hash } from 'node:crypto'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { createRoot } from '../../test/support/test-ca.ts'
import { haveVectors, vector } from '../../test/support/vectors.ts'
import { concatBytes, parseText } from '../base/bytes.ts'
import { MalformedError } from '../base/errors.ts'
import { encodePem } from '../base/pki/pem.ts'
import { parseImaKey, parseImaKeys } from './ima-keys.ts'

const text = (value: string) => new TextEncoder().encode(value)
const { certificate, keys } = createRoot()
const spki = certificate.publicKey
const sha256 = (bytes: Uint8Array) => hash('sha256', bytes, 'hex')

describe('files of keys', () => {
  it('are one certificate or key in DER', () => {
    for (const der of [certificate.der, spki]) {
      const [key, ...others] = parseImaKeys(der, '.ima')
      expect([key?.keyring, key?.sha256, others]).toEqual(['.ima', sha256(der), []])
      expect(parseText(key?.der ?? '', 'base64', 'der')).toEqual(der)
    }
  })

  it('are PEM of one label, with several blocks', () => {
    const other = createRoot().certificate
    const pem = encodePem(certificate.der, 'CERTIFICATE') + encodePem(other.der, 'CERTIFICATE')
    expect(parseImaKeys(text(pem), '.evm').map((key) => [key.keyring, key.sha256])).toEqual([
      ['.evm', certificate.fingerprint],
      ['.evm', other.fingerprint],
    ])
    expect(parseImaKeys(text(encodePem(spki, 'PUBLIC KEY')), '.ima')[0]?.sha256).toBe(sha256(spki))
  })

  it.each([
    ['nothing', new Uint8Array()],
    ['a byte behind the certificate', concatBytes(certificate.der, Uint8Array.of(0))],
    ['a cut certificate', certificate.der.subarray(0, -1)],
    ['a byte behind the key', concatBytes(spki, Uint8Array.of(0))],
    ['an empty sequence', Uint8Array.of(0x30, 0)],
    ['text', text('no key')],
    ['another label', text(encodePem(certificate.der, 'X509 CRL'))],
    ['two labels', text(encodePem(certificate.der, 'CERTIFICATE') + encodePem(spki, 'PUBLIC KEY'))],
    ['a private key', text(keys.privateKey.export({ format: 'pem', type: 'pkcs8' }).toString())],
    ['too many blocks', text(encodePem(spki, 'PUBLIC KEY').repeat(257))],
  ])('with %s are refused', (_what, bytes) => {
    expect(() => parseImaKeys(bytes, '.ima', 'keys.ima')).toThrow(MalformedError)
  })

  it('name the block that is wrong', () => {
    const pem = encodePem(certificate.der, 'CERTIFICATE') + encodePem(Uint8Array.of(0x30, 0), 'CERTIFICATE')
    expect(() => parseImaKeys(text(pem), '.ima', 'ima.pem')).toThrow(/^ima\.pem\.1/)
  })

  it('of any bytes are keys or malformed', () => {
    const edited = fc.tuple(fc.constantFrom(certificate.der, spki), fc.nat(), fc.nat(255))
    fc.assert(
      fc.property(edited, ([der, at, value]) => {
        try {
          const [key] = parseImaKeys(der.with(at % der.length, value), '.ima')
          expect(key?.sha256).toMatch(/^[0-9a-f]{64}$/)
        } catch (error) {
          expect(error).toBeInstanceOf(MalformedError)
        }
      }),
      { numRuns: 300 },
    )
  })
})

describe('the id of a key (IMA-18)', () => {
  const idOfBits = parseImaKey(spki).keyId

  it('is the end of the identifier in its certificate', () => {
    const keyId = new Uint8Array(Buffer.from('00112233445566778899aabbccddeeff01234567', 'hex'))
    expect(parseImaKey(createRoot({ keys, keyId }).certificate.der).keyId).toBe(0x01234567)
    expect(parseImaKey(createRoot({ keys, keyId: keyId.subarray(0, 4) }).certificate.der).keyId).toBe(0x00112233)
    const high = createRoot({ keys, keyId: keyId.map((byte) => 255 - byte) }).certificate.der
    expect(parseImaKey(high)).toEqual({ spki, keyId: 0xfedcba98 })
  })

  it('is that of the bits of the key where there is no identifier, or too short a one', () => {
    const bits = new Uint8Array(keys.publicKey.export({ format: 'der', type: 'spki' })).subarray(-65)
    expect(idOfBits).toBe(Buffer.from(hash('sha1', bits, 'buffer')).readUInt32BE(16))
    for (const keyId of [null, Uint8Array.of(1, 2, 3)]) {
      expect(parseImaKey(createRoot({ keys, keyId }).certificate.der)).toEqual({ spki, keyId: idOfBits })
    }
  })

  it.skipIf(!haveVectors)('of recorded certificates is that of their signatures', () => {
    expect(parseImaKey(vector('tpm/sequence/ima-rsa.der')).keyId).toBe(0xe0fa982f)
    expect(parseImaKey(vector('tpm/sequence/ima-ec.der')).keyId).toBe(0x2a32a307)
  })
})
