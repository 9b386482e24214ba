import { constants, sign } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { makeSoftwareAk, type SoftwareKeyKind, signAs } from '../../../test/support/software-tpm.ts'
import { parseText } from '../../base/bytes.ts'
import { publicKeyOf, type TpmtPublic } from '../../evidence/tpm/public-area.ts'
import type { TpmtSignature } from '../../evidence/tpm/signature.ts'
import type { SigningScheme } from './attestation-key.ts'
import { schemeProblem, signatureProblem } from './quote-signature.ts'

const message = new TextEncoder().encode('any bytes')
const ecdsa: SigningScheme = { algorithm: 'ecdsa', hash: 'sha256' }
const pss: SigningScheme = { algorithm: 'rsapss', hash: 'sha256' }

const bigOf = (bytes: Uint8Array) => BigInt(`0x${Buffer.from(bytes).toString('hex')}`)
const bytesOf = (value: bigint, size: number) => parseText(value.toString(16).padStart(2 * size, '0'), 'hex', 'value')

describe('ECDSA', () => {
  // If (r, s) verifies, so does (r, n - s), for exactly one n: the order of the curve.
  it.each<[SoftwareKeyKind, bigint, number]>([
    ['P-256', 2n ** 256n - 2n ** 224n + 2n ** 192n - 0x4319055258e8617b0c46353d039cdaafn, 32],
    ['P-384', 2n ** 384n - 0x389cb27e0bc8d220a7e5f24db74f58851313e695333ad68dn, 48],
    ['P-521', 2n ** 521n - 0x5ae79787c40d069948033feb708f65a2fc44a36477663b851449048e16ec79bf7n, 66],
  ])('on %s: s runs from 1 to n - 1', (kind, order, size) => {
    const key = makeSoftwareAk(kind)
    const verification = { area: key.area, key: publicKeyOf(key.area), scheme: ecdsa }
    const signature = signAs(key, message)
    if (signature.algorithm !== 'ecdsa') return expect.unreachable()
    const withS = (s: bigint) => ({ ...signature, s: bytesOf(s, size) })
    const s = bigOf(signature.s)
    expect(signatureProblem(verification, message, signature)).toBeNull()
    expect(signatureProblem(verification, message, withS(order - s))).toBeNull()
    expect(signatureProblem(verification, message, withS(order - 1n))).toContain('does not verify')
    expect(signatureProblem(verification, message, withS(1n))).toContain('does not verify')
    expect(signatureProblem(verification, message, withS(order))).toContain('s is not between 0 and the order')
    expect(signatureProblem(verification, message, withS(0n))).toContain('s is not between 0 and the order')
  })

  it('takes scalars without leading zeros, and none that are longer than the field', () => {
    const key = makeSoftwareAk()
    const verification = { area: key.area, key: publicKeyOf(key.area), scheme: ecdsa }
    for (let found = 0; found < 2; ) {
      const signature = signAs(key, message)
      if (signature.algorithm !== 'ecdsa') return expect.unreachable()
      const { r, s } = signature
      const padded = { ...signature, s: Uint8Array.of(0, ...s) }
      expect(signatureProblem(verification, message, padded)).toContain('s has 33 bytes')
      if (r[0] !== 0) continue
      found++
      expect(signatureProblem(verification, message, { ...signature, r: r.slice(1) })).toBeNull()
    }
  })
})

describe('RSAPSS', () => {
  const key = makeSoftwareAk('RSA-2048')
  const verification = { area: key.area, key: publicKeyOf(key.area), scheme: pss }
  const salted = (saltLength: number): TpmtSignature => {
    const padding = { padding: constants.RSA_PKCS1_PSS_PADDING, saltLength }
    return {
      ...pss,
      algorithm: 'rsapss',
      signature: new Uint8Array(sign('sha256', message, { key: key.privateKey, ...padding })),
    }
  }

  it.each([
    ['of the digest', constants.RSA_PSS_SALTLEN_DIGEST],
    ['the largest', constants.RSA_PSS_SALTLEN_MAX_SIGN],
    ['none', 0],
  ])('with a salt length %s verifies', (_what, length) => {
    expect(signatureProblem(verification, message, salted(length))).toBeNull()
    expect(signatureProblem(verification, Uint8Array.of(...message, 0), salted(length))).toContain('does not verify')
  })
})

describe('a signature that does not fit its key', () => {
  const [ecc, rsa] = [makeSoftwareAk(), makeSoftwareAk('RSA-2048')]
  const rsassa: SigningScheme = { algorithm: 'rsassa', hash: 'sha256' }

  it('is refused before it is tried (TPM-15)', () => {
    expect(schemeProblem(signAs(ecc, message), ecdsa)).toBeNull()
    expect(schemeProblem(signAs(ecc, message), rsassa)).toContain('is ecdsa with sha256, the key is bound to rsassa')
    expect(schemeProblem({ ...signAs(ecc, message), hash: 'sha1' }, ecdsa)).toContain('with sha1')
  })

  it('does not verify, whatever it is', () => {
    const by = (area: TpmtPublic, scheme: SigningScheme) => ({ area, key: publicKeyOf(area), scheme })
    expect(signatureProblem(by(rsa.area, rsassa), message, signAs(ecc, message))).toContain('does not verify')
    expect(signatureProblem(by(ecc.area, ecdsa), message, signAs(rsa, message))).toContain('does not verify')
    for (const size of [0, 1, 255, 257, 512]) {
      const signature: TpmtSignature = { algorithm: 'rsassa', hash: 'sha256', signature: new Uint8Array(size).fill(1) }
      expect(signatureProblem(by(rsa.area, rsassa), message, signature)).toContain('does not verify')
    }
  })

  it('is an answer, not an exception, under a modulus that is none', () => {
    const modulus = new Uint8Array(256).fill(0xfe)
    const area = { ...rsa.area, modulus } as TpmtPublic
    for (const scheme of [rsassa, pss]) {
      const signature = { ...scheme, signature: new Uint8Array(256).fill(2) } as TpmtSignature
      expect(signatureProblem({ area, key: publicKeyOf(area), scheme }, message, signature)).toContain(
        'does not verify',
      )
    }
  })
})
