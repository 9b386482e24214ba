import { generateKeyPairSync } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { haveVectors, vector } from '../../../test/support/vectors.ts'
import { attributesOf, type ObjectAttribute, parsePublic, type TpmtPublic } from '../../evidence/tpm/public-area.ts'
import { checkAkKey } from './ak-key.ts'

const needed = ['fixedTPM', 'fixedParent', 'sensitiveDataOrigin', 'restricted', 'sign'] as const
const asBytes = (text: string | undefined) => new Uint8Array(Buffer.from(text ?? '', 'base64url'))

function eccAk(curve: 'P-256' | 'P-384' | 'P-521' = 'P-256'): TpmtPublic & { type: 'ecc' } {
  const jwk = generateKeyPairSync('ec', { namedCurve: curve }).publicKey.export({ format: 'jwk' })
  return {
    type: 'ecc',
    nameAlg: 'sha256',
    attributes: attributesOf(...needed, 'userWithAuth', 'noDA'),
    authPolicy: new Uint8Array(),
    symmetric: { algorithm: 'null' },
    scheme: { algorithm: 'ecdsa', hash: 'sha256' },
    curve,
    kdf: { algorithm: 'null' },
    x: asBytes(jwk.x),
    y: asBytes(jwk.y),
  }
}

function rsaAk(bits: number): TpmtPublic & { type: 'rsa' } {
  const jwk = generateKeyPairSync('rsa', { modulusLength: bits }).publicKey.export({ format: 'jwk' })
  const { nameAlg, attributes, authPolicy, symmetric } = eccAk()
  return {
    ...{ nameAlg, attributes, authPolicy, symmetric },
    type: 'rsa',
    scheme: { algorithm: 'rsassa', hash: 'sha256' },
    keyBits: bits,
    exponent: 0,
    modulus: asBytes(jwk.n),
  }
}

const clean = { publicArea: null, attributes: null }

describe('an AK that may attest', () => {
  it.each(['P-256', 'P-384', 'P-521'] as const)('is a restricted signing key on %s', (curve) => {
    expect(checkAkKey(eccAk(curve))).toEqual(clean)
  })

  it('is RSA with 2048 bits, its exponent written as 0 or as 65537', () => {
    const ak = rsaAk(2048)
    expect(checkAkKey(ak)).toEqual(clean)
    expect(checkAkKey({ ...ak, exponent: 65537 })).toEqual(clean)
  })

  it.skipIf(!haveVectors).each(['ak-ecdsa', 'ak-p384', 'ak-rsassa', 'ak-rsapss'])('is the recorded %s', (name) => {
    expect(checkAkKey(parsePublic(vector(`tpm/sequence/${name}.tpmt`)))).toEqual(clean)
  })
})

describe('TPM-10', () => {
  const rsa = rsaAk(2048)
  const short = rsa.modulus.slice(1)
  const ecc = eccAk()
  it.each<[string, TpmtPublic, string]>([
    ['SHA-1 names', { ...ecc, nameAlg: 'sha1' }, 'SHA-1'],
    ['RSA below 2048 bits', { ...rsa, keyBits: 2047 }, '2047'],
    ['whole RSA keys of 1024 bits', rsaAk(1024), '1024'],
    ['whole RSA keys of 2040 bits', rsaAk(2040), '2040'],
    ['another exponent', { ...rsa, exponent: 3 }, 'exponent 3'],
    ['a larger exponent', { ...rsa, exponent: 65539 }, 'exponent 65539'],
    ['an exponent of 1', { ...rsa, exponent: 1 }, 'exponent 1'],
    ['a modulus shorter than declared', { ...rsa, modulus: short }, 'declared'],
    ['a modulus that begins with a zero bit', { ...rsa, modulus: Uint8Array.of(0x7f, ...short) }, 'declared'],
    ['an even modulus', { ...rsa, modulus: rsa.modulus.with(-1, (rsa.modulus.at(-1) ?? 0) & 0xfe) }, 'even'],
    ['SM2', { ...ecc, curve: 'SM2' }, 'SM2'],
    ['a point off its curve', { ...ecc, y: ecc.x }, 'usable'],
    ['no point', { ...ecc, x: new Uint8Array(32), y: new Uint8Array(32) }, 'usable'],
    ['a coordinate that is too long', { ...ecc, x: new Uint8Array(33) }, 'usable'],
  ])('refuses %s', (_what, area, says) => {
    expect(checkAkKey(area)).toEqual({ publicArea: expect.stringContaining(says), attributes: null })
  })
})

describe('TPM-11', () => {
  const withAttributes = (...names: ObjectAttribute[]): TpmtPublic => ({
    ...eccAk(),
    attributes: attributesOf(...names),
  })

  it.each(needed)('refuses a key without %s', (missing) => {
    const area = withAttributes(...needed.filter((name) => name !== missing))
    expect(checkAkKey(area)).toEqual({ publicArea: null, attributes: expect.stringContaining(`${missing} is clear`) })
  })

  it('refuses a key that also decrypts', () => {
    expect(checkAkKey(withAttributes(...needed, 'decrypt')).attributes).toContain('decrypt is set')
  })

  it('names every wrong attribute and shows all 32 bits', () => {
    expect(checkAkKey({ ...eccAk(), attributes: 0x80000000 }).attributes).toMatch(
      /^attributes 80000000: .*fixedTPM.*sign is clear$/,
    )
  })
})
