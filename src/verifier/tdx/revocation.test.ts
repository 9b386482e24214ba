import { describe, expect, it } from 'vitest'
import { type CrlSpec, issueCrlDer, testNow } from '../../../test/support/test-ca.ts'
import { flipBit, generateKeys } from '../../../test/support/test-ca-schema.ts'
import { createPckCa, createPckPki, createPckRoot } from '../../../test/support/test-pck.ts'
import { haveVectors, vector } from '../../../test/support/vectors.ts'
import { parseCertificate } from '../../base/pki/certificate.ts'
import { parsePemBlocks } from '../../base/pki/pem.ts'
import { parseCollateral } from '../../endorsements/tdx/collateral.ts'
import { intelSgxRootAnchors } from '../../endorsements/tdx/intel-root.ts'
import { Checklist } from '../../results/checklist.ts'
import { ChainWork } from './chain-work.ts'
import { revocationChecks } from './collateral-checks.ts'
import { type AuthenticList, authenticateList, judgeRevocation, type ListIssuer, readList } from './revocation.ts'

const { root, ca } = createPckPki()
const hex = (text: string) => new Uint8Array(Buffer.from(text.replaceAll(' ', ''), 'hex'))

/** `authentic`, or what is wrong. */
function verdict(der: Uint8Array, issuer: ListIssuer = ca.certificate): string {
  const list = readList(der, issuer, new ChainWork())
  return typeof list === 'string' ? list : 'authentic'
}
const listWith = (spec: Partial<CrlSpec>) => issueCrlDer({ signer: ca, ...spec })

describe('a revocation list (TDX-119, TDX-120)', () => {
  it('is authentic under the key of its issuer, whether or not it is current', () => {
    expect(verdict(listWith({}))).toBe('authentic')
    expect(verdict(listWith({ thisUpdate: testNow - 2000, nextUpdate: testNow - 1000 }))).toBe('authentic')
    expect(verdict(listWith({ revoked: [{ serial: 1n }] }))).toBe('authentic')
    expect(verdict(issueCrlDer({ signer: root }), root.certificate)).toBe('authentic')
  })

  const extension = (id: string, critical: boolean, value = '0500') => ({ id, critical, value: hex(value) })
  const sameName = createPckCa(root)
  it.each<[string, Uint8Array, string]>([
    ['empty bytes', new Uint8Array(), 'needs 1 bytes'],
    ['bytes behind it', Uint8Array.of(...listWith({}), 0), 'left over'],
    [
      'without nextUpdate',
      listWith({ nextUpdate: null, number: null, authorityKeyId: null }),
      'nextUpdate: is missing',
    ],
    ['of version 1', listWith({ version: 0 }), 'version: is not 2'],
    ['without a number', listWith({ number: null }), 'no CRL number'],
    ['without an authority key identifier', listWith({ authorityKeyId: null }), 'no authority key identifier'],
    ['with a critical extension', listWith({ extensions: [extension('1.2.3', true)] }), 'critical extension 1.2.3'],
    [
      'with a critical number',
      listWith({ number: null, extensions: [extension('2.5.29.20', true, '020101')] }),
      'critical extension 2.5.29.20',
    ],
    ['that covers a part only', listWith({ extensions: [extension('2.5.29.28', false, '3000')] }), 'a part of'],
    ['that is a delta', listWith({ extensions: [extension('2.5.29.27', false, '020101')] }), 'delta'],
    [
      'that speaks for other issuers',
      listWith({ revoked: [{ serial: 1n, extensions: [extension('2.5.29.29', false, '3000')] }] }),
      'other issuers',
    ],
    ['signed with SHA-384', listWith({ algorithm: 'ecdsa-sha384' }), 'not signed by ECDSA with SHA-256'],
    ['with another algorithm outside', listWith({ outerAlgorithm: 'ecdsa-sha384' }), 'differs'],
    ['of the root', issueCrlDer({ signer: root }), 'is that of'],
    [
      'of another CA',
      issueCrlDer({ signer: createPckCa(root, { subject: { CN: 'Intel SGX PCK Processor CA' } }) }),
      'is that of',
    ],
    ['of a CA of the same name with another key', issueCrlDer({ signer: sameName }), 'names another key'],
    [
      'signed by another key under its own name and key identifier',
      issueCrlDer({ signer: { ...ca, keys: generateKeys() }, revoked: [{ serial: 1n }] }),
      'not by the key of its issuer',
    ],
  ])('%s is refused', (_what, der, says) => {
    expect(verdict(der)).toContain(says)
  })

  it('with one byte changed is never authentic', () => {
    const der = listWith({ revoked: [{ serial: 77n }] })
    for (let at = 0; at < der.length; at++)
      for (const bit of [0, 5]) expect(verdict(flipBit(der, at, bit))).not.toBe('authentic')
  })

  it('needs an issuer that may sign lists and whose key is one', () => {
    const { certificate } = createPckCa(root, { keys: ca.keys, keyUsage: ['keyCertSign'] })
    expect(verdict(listWith({}), certificate)).toContain('may not sign revocation lists')
    expect(verdict(listWith({}), { ...ca.certificate, keyUsage: null })).toContain('may not sign revocation lists')
    const broken = { ...ca.certificate, publicKey: flipBit(ca.certificate.publicKey, 90) }
    expect(verdict(listWith({}), broken)).toContain('not by the key')
  })

  it('above 1 MiB is not read', () => {
    const large = listWith({ extensions: [{ id: '1.2.3', critical: false, value: new Uint8Array(1_048_576) }] })
    expect(verdict(large)).toContain('limit is 1048576')
  })

  it('that is long is read only if its issuer signed it (TDX-271)', () => {
    const revoked = Array.from({ length: 2000 }, (_, at) => ({ serial: BigInt(at + 1) }))
    const long = listWith({ revoked })
    expect(long.length).toBeGreaterThan(32_768)
    expect(verdict(long)).toBe('authentic')
    expect(verdict(listWith({ revoked, number: null }))).toContain('no CRL number')
    expect(verdict(Uint8Array.of(...long, 0))).toContain('left over')
    const others = issueCrlDer({ signer: { ...ca, keys: generateKeys() }, revoked, number: null })
    expect(verdict(others)).toBe('the signature of the list is not by the key of its issuer')
    expect(verdict(new Uint8Array(40_000).fill(0x30))).toContain('needs')
  })

  it('is recorded as one check', () => {
    const checklist = new Checklist(revocationChecks)
    const work = new ChainWork()
    const give = (der: Uint8Array) =>
      authenticateList(checklist, 'tdx.pckCrl.authentic', { der, issuer: ca.certificate, work })
    expect(give(listWith({ number: 5 }))?.number).toBe(5n)
    expect(checklist.outcome('tdx.pckCrl.authentic')).toBe('passed')
    expect(give(Uint8Array.of(0x30, 0))).toBeNull()
    expect(checklist.outcome('tdx.pckCrl.authentic')).toBe('failed')
  })
})

describe('revocation', () => {
  const listOf = (...serials: bigint[]): AuthenticList => {
    const list = readList(listWith({ revoked: serials.map((serial) => ({ serial })) }), ca.certificate, new ChainWork())
    if (typeof list === 'string') throw new Error(list)
    return list
  }
  const judged = (list: AuthenticList, ...serials: bigint[]) => {
    const checklist = new Checklist(revocationChecks)
    const certificates = serials.map((serial) => ({ who: `number ${serial}`, serial }))
    judgeRevocation(checklist, 'tdx.signers.revocation', list, certificates)
    const finding = checklist.findings().find(({ id }) => id === 'tdx.signers.revocation')
    return finding?.detail ?? finding?.outcome
  }

  it('is by number, whatever zeros lead it (TDX-120)', () => {
    // 0xff needs a leading zero octet as an INTEGER.
    expect(judged(listOf(0xffn, 1n << 159n), 0xffn)).toBe('number 255 is on the list of its issuer')
    expect(judged(listOf(0xffn, 1n << 159n), 1n << 159n)).toContain('is on the list')
    expect(judged(listOf(0xffn), 0xfen, 0xff00n)).toBe('passed')
    expect(judged(listOf(), 1n)).toBe('passed')
  })

  it('of any of several certificates counts', () => {
    expect(judged(listOf(3n), 1n, 2n, 3n)).toContain('number 3')
  })
})

describe.skipIf(!haveVectors)('recorded lists', () => {
  const bundles = ['dcapqvl-sgx-00a067-2025-06', 'dcapqvl-tdx-b0c06f-2025-06', 'gotdx-tdx-50806f-2023-06']

  it.each([...bundles, 'gotdxv5-tdx-90c06f-2026-02'])(
    '%s are authentic under root and CA, and not exchanged',
    (name) => {
      const { rootCaCrl, pckCrl, pckCrlIssuerChain } = parseCollateral(vector(`tdx/collateral/${name}.json`))
      const [caDer] = parsePemBlocks(pckCrlIssuerChain ?? '', 'CERTIFICATE')
      const [anchor] = intelSgxRootAnchors
      if (!caDer || !anchor) throw new Error('the bundle has a chain')
      const pckCa = parseCertificate(caDer)
      expect(verdict(rootCaCrl, anchor.authority)).toBe('authentic')
      expect(verdict(pckCrl, pckCa)).toBe('authentic')
      expect(verdict(rootCaCrl, pckCa)).toContain('is that of')
      expect(verdict(pckCrl, anchor.authority)).toContain('is that of')
      expect(verdict(rootCaCrl, createPckRoot().certificate)).toContain('is that of')
    },
  )
})
