import { createPrivateKey, generateKeyPairSync, type KeyObject, randomBytes } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { openCredential, openSeed } from '../../../test/support/open-credential.ts'
import { flipBit } from '../../../test/support/test-ca-schema.ts'
import { haveVectors, vectorJson } from '../../../test/support/vectors.ts'
import { toHex } from '../../base/bytes.ts'
import { hashAlgorithms } from '../../evidence/tpm/algorithms.ts'
import { nameOf, parsePublic, type TpmtPublic } from '../../evidence/tpm/public-area.ts'
import { challengeProblem, deriveKey, makeCredential } from './make-credential.ts'

const random = (size: number) => new Uint8Array(randomBytes(size))
const fromHex = (hex: string) => new Uint8Array(Buffer.from(hex, 'hex'))
const base64url = (text: string | undefined) => new Uint8Array(Buffer.from(text ?? '', 'base64url'))

interface SoftwareEk {
  readonly ek: TpmtPublic
  readonly privateKey: KeyObject
}

function softwareEk(
  kind: 'rsa' | 'P-256' | 'P-384' | 'P-521',
  nameAlg: 'sha256' | 'sha384' | 'sha512' = 'sha256',
): SoftwareEk {
  const symmetric = { algorithm: 'aes', keyBits: nameAlg === 'sha256' ? 128 : 256, mode: 0x43 } as const
  const head = {
    nameAlg,
    attributes: 0x000300b2,
    authPolicy: new Uint8Array(32),
    symmetric,
    scheme: { algorithm: 'null' },
  } as const
  if (kind === 'rsa') {
    const { privateKey, publicKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })
    const modulus = base64url(publicKey.export({ format: 'jwk' }).n)
    return { privateKey, ek: { type: 'rsa', ...head, keyBits: 2048, exponent: 0, modulus } }
  }
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: kind })
  const { x, y } = publicKey.export({ format: 'jwk' })
  return {
    privateKey,
    ek: { type: 'ecc', ...head, curve: kind, kdf: { algorithm: 'null' }, x: base64url(x), y: base64url(y) },
  }
}

const akName = fromHex(`000b${'a5'.repeat(32)}`)

describe.each([
  ['rsa', 'sha256'],
  ['P-256', 'sha256'],
  ['P-384', 'sha384'],
  ['P-521', 'sha512'],
] as const)('a credential for an EK %s with %s', (kind, nameAlg) => {
  const { ek, privateKey } = softwareEk(kind, nameAlg)
  const secret = random(32)
  const blob = makeCredential(ek, akName, secret, random)

  it('opens with its private key and for its AK', () => {
    expect(openCredential(ek, privateKey, akName, blob)).toEqual(secret)
    expect(blob.idObject.length).toBe(2 + hashAlgorithms[nameAlg].size + 2 + 32)
  })

  it('opens for no other AK, with no other EK and with no bit changed', () => {
    expect(() => openCredential(ek, privateKey, flipBit(akName, 5), blob)).toThrow()
    const other = softwareEk(kind, nameAlg)
    expect(() => openCredential(other.ek, other.privateKey, akName, blob)).toThrow()
    for (let at = 2; at < blob.idObject.length; at++) {
      const damaged = { ...blob, idObject: flipBit(blob.idObject, at, at % 8) }
      expect(() => openCredential(ek, privateKey, akName, damaged)).toThrow()
    }
  })

  it('takes a secret as long as the name digest, and none that is longer', () => {
    const { size } = hashAlgorithms[nameAlg]
    const longest = random(size)
    expect(openCredential(ek, privateKey, akName, makeCredential(ek, akName, longest, random))).toEqual(longest)
    expect(() => makeCredential(ek, akName, random(size + 1), random)).toThrow(TypeError)
  })
})

describe('what is drawn', () => {
  it('is the seed for RSA: the same seed seals the same object', () => {
    const { ek, privateKey } = softwareEk('rsa')
    const fixed = (size: number) => new Uint8Array(size).fill(7)
    const [first, second] = [makeCredential(ek, akName, fixed(32), fixed), makeCredential(ek, akName, fixed(32), fixed)]
    expect(first.idObject).toEqual(second.idObject)
    expect(openSeed(ek, privateKey, first.encryptedSecret)).toEqual(fixed(32))
  })

  it('is the ephemeral key for ECC; scalars above the order are drawn again', () => {
    const { ek, privateKey } = softwareEk('P-256')
    let draws = 0
    const first = makeCredential(ek, akName, new Uint8Array(32), (size) =>
      new Uint8Array(size).fill(draws++ === 0 ? 0xff : 7),
    )
    const second = makeCredential(ek, akName, new Uint8Array(32), (size) => new Uint8Array(size).fill(7))
    expect(draws).toBe(2)
    expect(first).toEqual(second)
    expect(openCredential(ek, privateKey, akName, first)).toEqual(new Uint8Array(32))
    expect(() => makeCredential(ek, akName, new Uint8Array(32), (size) => new Uint8Array(size))).toThrow(TypeError)
  })
})

describe('an EK that cannot be challenged', () => {
  const { ek } = softwareEk('P-256')
  it.each<[string, TpmtPublic, string]>([
    ['no symmetric algorithm', { ...ek, symmetric: { algorithm: 'null' } }, 'AES-CFB'],
    ['another mode', { ...ek, symmetric: { algorithm: 'aes', keyBits: 128, mode: 0x44 } }, 'AES-CFB'],
    ['192 bits', { ...ek, symmetric: { algorithm: 'aes', keyBits: 192, mode: 0x43 } }, '192 bits'],
    ['SM2', { ...ek, curve: 'SM2' } as TpmtPublic, 'SM2'],
  ])('has %s', (_what, area, says) => {
    expect(challengeProblem(area)).toContain(says)
    expect(() => makeCredential(area, akName, new Uint8Array(32), random)).toThrow(TypeError)
  })

  it('and the templates can', () => {
    expect(challengeProblem(ek)).toBeNull()
  })
})

interface KnownAnswer {
  id: string
  ekPublic: string
  ekPrivatePem: string
  ekName: string
  akName: string
  secret: string
  idObject: string
  encryptedSecret: string
  intermediate: { seed: string; symKey: string; hmacKey: string }
}

describe.skipIf(!haveVectors)('known answers of TPM2_MakeCredential', () => {
  const answers = haveVectors ? (vectorJson('tpm/makecredential/makecredential.json') as KnownAnswer[]) : []

  it.each(answers)('$id: seed, keys and secret come out; a made credential opens again', (answer) => {
    const ek = parsePublic(new Uint8Array(Buffer.from(answer.ekPublic, 'base64')))
    const privateKey = createPrivateKey(answer.ekPrivatePem)
    const name = fromHex(answer.akName)
    const blob = { idObject: fromHex(answer.idObject), encryptedSecret: fromHex(answer.encryptedSecret) }
    expect(toHex(nameOf(ek))).toBe(answer.ekName)
    const seed = openSeed(ek, privateKey, blob.encryptedSecret)
    expect(toHex(seed)).toBe(answer.intermediate.seed)
    const bits = ek.symmetric.algorithm === 'aes' ? ek.symmetric.keyBits : 0
    expect(toHex(deriveKey(ek.nameAlg, seed, { label: 'STORAGE', contextU: name, bits }))).toBe(
      answer.intermediate.symKey,
    )
    const whole = { label: 'INTEGRITY', contextU: new Uint8Array(), bits: hashAlgorithms[ek.nameAlg].size * 8 }
    expect(toHex(deriveKey(ek.nameAlg, seed, whole))).toBe(answer.intermediate.hmacKey)
    expect(toHex(openCredential(ek, privateKey, name, blob))).toBe(answer.secret)
    expect(() => openCredential(ek, privateKey, flipBit(name, 10), blob)).toThrow('integrity')
    const made = makeCredential(ek, name, fromHex(answer.secret), random)
    expect(toHex(openCredential(ek, privateKey, name, made))).toBe(answer.secret)
  })

  it.each(answers.filter(({ id }) => id.startsWith('rsa')))(
    '$id: the recorded seed seals the recorded object',
    (answer) => {
      const ek = parsePublic(new Uint8Array(Buffer.from(answer.ekPublic, 'base64')))
      const { idObject } = makeCredential(ek, fromHex(answer.akName), fromHex(answer.secret), () =>
        fromHex(answer.intermediate.seed),
      )
      expect(toHex(idObject)).toBe(answer.idObject)
    },
  )

  it('covers both kinds of EK', () => {
    expect(answers.map(({ id }) => id)).toHaveLength(6)
  })
})
