import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { toHex } from '../base/bytes.ts'
import { MalformedError } from '../base/errors.ts'
import {
  type BoundRequest,
  deriveGpuNonce,
  deriveReportData,
  deriveSeed,
  deriveTpmQualifyingData,
  digestDevices,
  encodeTokenRequest,
  encodeTranscriptField,
  hasReportDataTag,
  type SeedInputs,
} from './binding.ts'
import { hashLeaf, hashNode, inclusionPath, treeRoot } from './request-tree.ts'

const ascii = (text: string) => new TextEncoder().encode(text)
const filled = (size: number, value: number) => new Uint8Array(size).fill(value)

const plain: BoundRequest = {
  audience: ['sts.aliyuncs.com'],
  nonces: [],
  tokenType: 'OIDC',
  ttlS: null,
  policyIds: ['default'],
  cnf: null,
}

/** The worked example of broker.md section 9. */
const requests: readonly BoundRequest[] = [
  { ...plain, audience: ['https://b.example', 'https://a.example'] },
  { ...plain, audience: ['https://rp.example'], nonces: ['nonce-0001', 'nonce-0002'], ttlS: 600 },
  plain,
]
const encoded = requests.map((request, index) => encodeTokenRequest(request, filled(16, index + 1)))
const leaves = encoded.map(hashLeaf)
const seedInputs: SeedInputs = {
  purpose: 'token',
  verifier: 'https://verifier.example',
  challenge: filled(32, 0xc0),
  root: treeRoot(leaves),
  size: 3,
  agentKey: null,
}
const devices = [
  { kind: 'tpm', index: 0, evidence: ascii('TPM-EVIDENCE') },
  { kind: 'gpu', index: 0, evidence: ascii('GPU-EVIDENCE') },
]

describe('the worked example (BRK-90 to BRK-92)', () => {
  const seed = deriveSeed(seedInputs)

  it('encodes a field', () => {
    expect(toHex(encodeTranscriptField('aud', 'https://a.example'))).toBe(
      '00036175640000001168747470733a2f2f612e6578616d706c65',
    )
  })

  it('encodes the requests', () => {
    expect(encoded.map((bytes) => bytes.length)).toEqual([158, 178, 131])
  })

  it('hashes leaves, path and root', () => {
    expect(leaves.map(toHex)).toEqual([
      'cf7bb3399d0b5a933559c65de9015e02b440471a18e944e9371650d4e88a5cc8',
      'e619159db0ef99fcd14a3eddce439c3aeaa5447f6185a64b4c752cb4f2a387f8',
      'ed7d5d7b84fd3df3f9f25d6a01963f1f6d9636298a8712272c6cbf3b80c29e92',
    ])
    const [first, second] = leaves as [Uint8Array, Uint8Array]
    const inner = '59d829bbbdd97529780df7c6a77ec833c6ad9ce1b443db6d8c43338437afbac2'
    expect(toHex(hashNode(first, second))).toBe(inner)
    expect(inclusionPath(leaves, 2).map(toHex)).toEqual([inner])
    expect(toHex(treeRoot(leaves))).toBe('0ce2f9707ecaf59971a25bf8a40b730a2e775290b361083740834430e83ad59b')
  })

  it('derives the seed and the nonces', () => {
    expect(toHex(seed)).toBe(
      '07cd5aa48447b692922d919ae093a9644670aaaa90362f88370abe7b8351a824783275db51f5ebbe029e148189543245',
    )
    expect(toHex(deriveGpuNonce(seed))).toBe('022f3f5ef8354aaaf73d8cc769da4a21ba245f88dcf456ea340d700b3e4b220a')
    expect(toHex(deriveTpmQualifyingData(seed))).toBe(
      'f0a3f89cfd6ee233059eabee7ce569557e457d56af2e717c3f4893ac7474a639',
    )
  })

  it('derives report data with and without devices', () => {
    expect(toHex(digestDevices(devices))).toBe('50fb515b378b29e977991ed469940d5701f492d2933ecda1750ede994c81523e')
    expect(toHex(deriveReportData(seed, digestDevices(devices)))).toBe(
      '50ffbfad21cea9be303a445c0d5abfbfa92e9f887d5e79213c1136c14c2b770d695ce8f8517bf27141baddc096e59f46617474657374643a72646174613a7631',
    )
    expect(toHex(deriveReportData(seed, digestDevices([])))).toBe(
      '4a57d9cf82d5bb9d6c543a64ff1e35897023a9762146c18c2bcefd535495bbb40848d6257a9e081c3e6164c711d25b0d617474657374643a72646174613a7631',
    )
  })
})

describe('a request (BRK-90)', () => {
  const salt = filled(16, 9)
  const base: BoundRequest = {
    ...plain,
    audience: ['a', 'b'],
    nonces: ['nonce-01', 'nonce-02'],
    ttlS: 60,
    policyIds: ['p', 'q'],
    cnf: { jkt: 'HitlGYWpCmMAdtCZRtJQQoyeapr7RxbLnYH7t-MaOuw' },
  }
  const hex = (request: BoundRequest, with_ = salt) => toHex(encodeTokenRequest(request, with_))

  it.each<[string, BoundRequest]>([
    ['audience', { ...base, audience: ['a'] }],
    ['nonce order', { ...base, nonces: ['nonce-02', 'nonce-01'] }],
    ['nonces', { ...base, nonces: [] }],
    ['token type', { ...base, tokenType: 'X' }],
    ['ttl', { ...base, ttlS: 61 }],
    ['absent ttl', { ...base, ttlS: null }],
    ['policy', { ...base, policyIds: ['p'] }],
    ['cnf', { ...base, cnf: null }],
    ['an audience moved to the nonces', { ...base, audience: ['a'], nonces: ['b', ...base.nonces] }],
  ])('changes with its %s', (_, changed) => {
    expect(hex(changed)).not.toBe(hex(base))
  })

  it('changes with its salt', () => {
    expect(hex(base, filled(16, 8))).not.toBe(hex(base))
  })

  it('does not depend on the order of audiences and policies, nor on a repeated audience', () => {
    expect(hex({ ...base, audience: ['b', 'a', 'b'], policyIds: ['q', 'p'] })).toBe(hex(base))
  })

  it('sorts audiences by bytes of UTF-8, not by UTF-16 code units', () => {
    const [low, high] = ['\uff5e', '\u{1f600}']
    const bytes = hex({ ...base, audience: [high, low] })
    expect(bytes.indexOf(toHex(ascii(low)))).toBeLessThan(bytes.indexOf(toHex(ascii(high))))
  })

  it.each<[string, () => unknown]>([
    ['a salt of 15 bytes', () => encodeTokenRequest(base, filled(15, 1))],
    ['a salt of 17 bytes', () => encodeTokenRequest(base, filled(17, 1))],
    ['a fractional ttl', () => encodeTokenRequest({ ...base, ttlS: 1.5 }, salt)],
    ['a negative ttl', () => encodeTokenRequest({ ...base, ttlS: -1 }, salt)],
    ['a thumbprint of 31 bytes', () => encodeTokenRequest({ ...base, cnf: { jkt: 'A'.repeat(42) } }, salt)],
    ['half a surrogate pair', () => encodeTokenRequest({ ...base, audience: ['\ud800'] }, salt)],
    ['a root of 31 bytes', () => deriveSeed({ ...seedInputs, root: filled(31, 0) })],
    ['one device twice', () => digestDevices([...devices, ...devices])],
  ])('refuses %s', (_, derive) => {
    expect(derive).toThrow(MalformedError)
  })

  it('never encodes two lists of fields alike', () => {
    const fields = fc.array(fc.tuple(fc.string(), fc.uint8Array({ maxLength: 20 })), { maxLength: 4 })
    const join = (list: [string, Uint8Array][]) =>
      list.map(([name, value]) => toHex(encodeTranscriptField(name, value))).join('')
    fc.assert(
      fc.property(fields, fields, (left, right) => {
        const same = JSON.stringify(left) === JSON.stringify(right)
        expect(join(left) === join(right)).toBe(same)
      }),
    )
  })
})

describe('derivations', () => {
  it.each<[string, Partial<SeedInputs>]>([
    ['purpose', { purpose: 'evidence' }],
    ['verifier', { verifier: 'https://other.example' }],
    ['challenge', { challenge: filled(32, 0xc1) }],
    ['absent challenge', { challenge: null }],
    ['root', { root: filled(32, 7) }],
    ['size', { size: 4 }],
    ['agent key', { agentKey: 'HitlGYWpCmMAdtCZRtJQQoyeapr7RxbLnYH7t-MaOuw' }],
  ])('the seed changes with its %s', (_, change) => {
    expect(toHex(deriveSeed({ ...seedInputs, ...change }))).not.toBe(toHex(deriveSeed(seedInputs)))
  })

  it('takes only a seed of 48 bytes and a devices digest of 0 or 32', () => {
    expect(() => deriveGpuNonce(filled(47, 1))).toThrow(RangeError)
    expect(() => deriveTpmQualifyingData(filled(49, 1))).toThrow(RangeError)
    expect(() => deriveReportData(filled(48, 1), filled(31, 1))).toThrow(RangeError)
  })

  it('recognises the tag at its place only (BRK-93)', () => {
    const good = deriveReportData(filled(48, 1), digestDevices([]))
    expect(hasReportDataTag(good)).toBe(true)
    for (let at = 48; at < 64; at++) {
      const bad = Uint8Array.from(good)
      bad[at] = (bad[at] ?? 0) ^ 1
      expect(hasReportDataTag(bad)).toBe(false)
    }
    expect(hasReportDataTag(good.subarray(1))).toBe(false)
    expect(hasReportDataTag(filled(64, 0))).toBe(false)
  })

  it('orders devices by bytes of their label: gpu:10 stands before gpu:2', () => {
    const list = [10, 2, 1].map((index) => ({ kind: 'gpu', index, evidence: filled(4, index) }))
    expect(toHex(digestDevices(list))).toBe(toHex(digestDevices([...list].reverse())))
  })
})
