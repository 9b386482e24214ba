import { execFileSync, spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { keyIdText, parseImaSignature } from '../../evidence/ima/ima-signature.ts'
import type { ImaFields } from '../../evidence/ima/ima-template.ts'
import { digestOf } from '../../evidence/tpm/algorithms.ts'
import { parseImaKeys } from '../../reference-values/ima-keys.ts'
import { ImaKeyRing } from './ima-key-ring.ts'
import { judgeImaSignature } from './ima-signatures.ts'

/** Signatures of files as ima-evm-utils make them, by certificates as openssl makes them. */

const runs = (command: string, argument: string) => spawnSync(command, [argument]).status === 0
const haveTools = runs('evmctl', '--version') && runs('openssl', 'version')
const keyKinds = {
  'RSA-2048': ['genrsa', '2048'],
  'RSA-4096': ['genrsa', '4096'],
  'P-256': ['ecparam', '-genkey', '-noout', '-name', 'prime256v1'],
  'P-384': ['ecparam', '-genkey', '-noout', '-name', 'secp384r1'],
  'P-521': ['ecparam', '-genkey', '-noout', '-name', 'secp521r1'],
} as const
const hashes = ['sha256', 'sha384', 'sha512'] as const
const content = 'a program\n'

describe.skipIf(!haveTools)('signatures by evmctl (needs evmctl and openssl)', () => {
  const folder = mkdtempSync(join(tmpdir(), 'attestd-evmctl-'))
  afterAll(() => rmSync(folder, { recursive: true, force: true }))

  const run = (command: string, ...args: readonly string[]) =>
    execFileSync(command, args, { cwd: folder, stdio: ['ignore', 'pipe', 'pipe'] })
  const read = (name: string) => new Uint8Array(readFileSync(join(folder, name)))

  function signed(key: string, hash: string, ...options: readonly string[]): Uint8Array {
    writeFileSync(join(folder, 'program'), content)
    run('evmctl', 'ima_sign', '--sigfile', '-a', hash, '--key', key, ...options, 'program')
    return read('program.sig')
  }

  function fieldsOf(hash: (typeof hashes)[number], signature: Uint8Array, bytes = content): ImaFields {
    const digest = { of: 'ima', algorithm: hash, digest: digestOf(hash, Buffer.from(bytes)) } as const
    const absent = { name: null, buffer: null, modsigDigest: null, modsig: null, evmSignature: null }
    const inode = { xattrNames: null, xattrLengths: null, xattrValues: null, uid: null, gid: null, mode: null }
    return { ...absent, ...inode, digest, signature }
  }

  describe.each(Object.entries(keyKinds))('with %s', (kind, [command, ...options]) => {
    const key = `${kind}.pem`
    const certificate = `${kind}.der`
    const ski = '00112233445566778899AABBCCDDEEFFA1B2C3D4'

    it('is a key of that kind', () => {
      writeFileSync(join(folder, key), run('openssl', command, ...options))
      const extension = `subjectKeyIdentifier=${ski.replace(/..(?!$)/g, '$&:')}`
      const form = ['-subj', `/CN=${kind}`, '-days', '2', '-addext', extension, '-outform', 'DER', '-out', certificate]
      run('openssl', 'req', '-x509', '-new', '-key', key, ...form)
      expect(parseImaKeys(read(certificate), '.ima')).toHaveLength(1)
    })

    it.each(hashes)('is valid over %s by the certificate whose id it names, and over nothing else', (hash) => {
      const signature = signed(key, hash, '--keyid-from-cert', certificate)
      const ring = new ImaKeyRing(parseImaKeys(read(certificate), '.ima'))
      const header = parseImaSignature(signature)
      if (header.kind !== 'ima-v2') return expect.unreachable()
      expect([header.hash, keyIdText(header.keyId)]).toEqual([hash, 'a1b2c3d4'])
      expect(judgeImaSignature(fieldsOf(hash, signature), ring)).toBe('valid')
      expect(judgeImaSignature(fieldsOf(hash, signature, 'another program\n'), ring)).toBe('invalid')
    })

    it('is valid by the bare public key, whose id evmctl computes', () => {
      const signature = signed(key, 'sha256')
      const bare = new Uint8Array(run('openssl', 'pkey', '-in', key, '-pubout', '-outform', 'DER'))
      expect(judgeImaSignature(fieldsOf('sha256', signature), new ImaKeyRing(parseImaKeys(bare, '.ima')))).toBe('valid')
      const certified = new ImaKeyRing(parseImaKeys(read(certificate), '.ima'))
      expect(judgeImaSignature(fieldsOf('sha256', signature), certified)).toBe('unknown-key')
    })

    // evmctl looks for keys by the hash of their bits only; the kernel, by the identifier in the certificate.
    it('is good to evmctl itself, by the id that it computes', () => {
      signed(key, 'sha384')
      const verified = spawnSync('evmctl', ['ima_verify', '--sigfile', '--key', certificate, 'program'], {
        cwd: folder,
      })
      expect([verified.status, String(verified.stderr)]).toEqual([0, expect.stringContaining('verification is OK')])
    })
  })

  it('with SHA-1 are not verifiable', () => {
    const signature = signed('RSA-2048.pem', 'sha1')
    const digest = { of: 'ima', algorithm: 'sha1', digest: digestOf('sha1', Buffer.from(content)) } as const
    const bare = new Uint8Array(run('openssl', 'pkey', '-in', 'RSA-2048.pem', '-pubout', '-outform', 'DER'))
    const ring = new ImaKeyRing(parseImaKeys(bare, '.ima'))
    expect(judgeImaSignature({ ...fieldsOf('sha256', signature), digest }, ring)).toBe('not-verifiable')
  })
})
