import { generateKeyPairSync, X509Certificate } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { generateKeys, type KeyKind, spkiOf } from '../../../test/support/test-ca-schema.ts'
import { parseCertificate } from './certificate.ts'
import { makeSelfIssuedCertificate } from './self-issued-certificate.ts'
import { verifySignature } from './signature.ts'

describe('a certificate in which a key vouches for itself', () => {
  it.each(['P-256', 'rsa'] as const)('is one for others and for us (%s)', (kind) => {
    const { privateKey, publicKey } = generateKeys(kind)
    const der = makeSelfIssuedCertificate('a key', privateKey)
    const certificate = parseCertificate(der)
    expect(certificate.publicKey).toEqual(spkiOf(publicKey))
    expect(certificate.issuer.der).toEqual(certificate.subject.der)
    expect(certificate).toMatchObject({
      basicConstraints: { ca: false },
      keyUsage: new Set(['digitalSignature']),
      notBefore: Date.UTC(2020, 0, 1),
      notAfter: Date.UTC(9999, 11, 31, 23, 59, 59),
    })
    expect(certificate.serial > 0n && certificate.serial < 1n << 127n).toBe(true)
    const { signatureAlgorithm, tbs, signature } = certificate
    expect(verifySignature(signatureAlgorithm, certificate.publicKey, tbs, signature)).toBe('valid')
    const other = new X509Certificate(der)
    expect([other.verify(publicKey), other.subject, other.checkPrivateKey(privateKey)]).toEqual([
      true,
      'CN=a key',
      true,
    ])
  })

  it('is the same for the same RSA key, and another one for another', () => {
    const { privateKey } = generateKeys('rsa')
    const made = makeSelfIssuedCertificate('a', privateKey)
    expect(makeSelfIssuedCertificate('a', privateKey)).toEqual(made)
    expect(makeSelfIssuedCertificate('b', privateKey)).not.toEqual(made)
    expect(parseCertificate(makeSelfIssuedCertificate('a', generateKeys('rsa').privateKey)).serial).not.toBe(
      parseCertificate(made).serial,
    )
  })

  it('has a longest key and a longest name', () => {
    const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 4096 })
    expect(parseCertificate(makeSelfIssuedCertificate('x'.repeat(64), privateKey)).publicKey).toHaveLength(550)
  })

  it.each<[string, KeyKind]>([
    ['', 'P-256'],
    ['x'.repeat(65), 'P-256'],
    ['é', 'P-256'],
    ['a', 'P-384'],
    ['a', 'ed25519'],
  ])('is not made for the name %j and a key of type %s', (name, kind) => {
    expect(() => makeSelfIssuedCertificate(name, generateKeys(kind).privateKey)).toThrow(TypeError)
  })
})
