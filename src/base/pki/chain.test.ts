import { GeneralName } from '@peculiar/asn1-x509'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  authorityKeyId,
  type CertificateSpec,
  createIntermediate,
  createRoot,
  issue,
  issueCrl,
  issueDer,
  type Signer,
  testNow,
} from '../../../test/support/test-ca.ts'
import { arrayBuffer, generateKeys, nameFrom } from '../../../test/support/test-ca-schema.ts'
import { AttestdError } from '../errors.ts'
import { type Certificate, parseCertificate } from './certificate.ts'
import { type Chain, type ChainInput, checkChain } from './chain.ts'
import { findPaths } from './chain-paths.ts'
import { chainProblems } from './chain-problem.ts'
import { describeName } from './distinguished-name.ts'
import { LinkVerdicts } from './link-verdicts.ts'
import { anchorOf, authorityOf } from './trust-anchor.ts'

const second = 1000
const root = createRoot()
const intermediate = createIntermediate(root)
const leafKeys = generateKeys()
const leafSpec: CertificateSpec = { signer: intermediate, keys: leafKeys, keyUsage: ['keyAgreement'] }
const leaf = issue(leafSpec)
const anchors = [anchorOf(root.certificate, 'test')]

function check(changes: Partial<ChainInput> = {}): Chain {
  const pool = [intermediate.certificate]
  return checkChain({ leaf, pool, anchors, crls: [], revocation: 'off', now: testNow, ...changes })
}

/** Every code that some test below provoked. */
const provoked = new Set<string>()

function problemsOf(chain: Chain): string[] {
  for (const { code } of chain.problems) provoked.add(code)
  expect(chain.accepted).toBe(chain.problems.length === 0)
  return chain.problems.map(({ code, at }) => `${code}@${at}`)
}

describe('a chain', () => {
  it('is accepted from the leaf to the anchor, whatever the order of the pool and with the root in it', () => {
    for (const pool of [
      [intermediate.certificate],
      [intermediate.certificate, root.certificate],
      [root.certificate, leaf, intermediate.certificate],
    ]) {
      const chain = check({ pool })
      expect(problemsOf(chain)).toEqual([])
      expect(chain.certificates).toEqual([leaf, intermediate.certificate])
      expect(chain).toMatchObject({ anchor: { name: 'test' }, revocation: 'off' })
    }
  })

  it('may end in an anchor that is an intermediate, with or without its certificate in the pool', () => {
    const anchor = anchorOf(intermediate.certificate)
    for (const pool of [[], [intermediate.certificate], [intermediate.certificate, root.certificate]]) {
      const chain = check({ pool, anchors: [anchor] })
      expect(problemsOf(chain)).toEqual([])
      expect(chain.certificates).toEqual([leaf])
      expect(chain.anchor?.name).toBe(intermediate.certificate.fingerprint)
    }
  })

  it('gives the first end of a validity in it', () => {
    const first = testNow + 5 * second
    expect(check({ leaf: issue({ ...leafSpec, notAfter: first }) }).notAfter).toBe(first)
    expect(
      check({
        anchors: [
          anchorOf(createRoot({ ...root, subject: { O: 'Example', CN: 'test root' }, notAfter: first }).certificate),
        ],
      }).notAfter,
    ).toBe(first)
  })

  it('finds the way among certificates of the same name', () => {
    const decoys = [
      createIntermediate(root),
      createIntermediate(createRoot()),
      createIntermediate(root, { keyUsage: ['cRLSign'] }),
    ]
    const pool = [...decoys.map(({ certificate }) => certificate), intermediate.certificate]
    expect(problemsOf(check({ pool }))).toEqual([])
    expect(problemsOf(check({ anchors: [anchorOf(createRoot().certificate), ...anchors] }))).toEqual([])
  })
})

const secondRoot = createRoot()
const leafOf = (spec: Partial<CertificateSpec>) => ({ leaf: issue({ ...leafSpec, ...spec }) })
const below = (spec: Partial<CertificateSpec>) => {
  const between = createIntermediate(root, spec)
  return { leaf: issue({ ...leafSpec, signer: between }), pool: [between.certificate] }
}
const under = (spec: Partial<CertificateSpec>) => {
  const top = createRoot(spec)
  const between = createIntermediate(top)
  return {
    leaf: issue({ ...leafSpec, signer: between }),
    pool: [between.certificate],
    anchors: [anchorOf(top.certificate)],
  }
}
const flippedSignature = (certificate: Certificate): Certificate => ({
  ...certificate,
  signature: certificate.signature.with(-1, (certificate.signature.at(-1) ?? 0) ^ 1),
})
/** A ladder of `levels` authorities below the root, with `spec` for the uppermost. */
const ladder = (levels: number, spec: Partial<CertificateSpec> = {}) => {
  const rungs = [createIntermediate(root, { ...spec, subject: { CN: 'rung 1' } })]
  for (let level = 2; level <= levels; level++) {
    rungs.push(createIntermediate(rungs[level - 2] ?? root, { subject: { CN: `rung ${level}` } }))
  }
  return {
    leaf: issue({ ...leafSpec, signer: rungs[levels - 1] ?? root }),
    pool: rungs.map(({ certificate }) => certificate),
  }
}
/** Two authorities that certify each other, and nobody else does. */
const circle = () => {
  const second = { name: nameFrom({ CN: 'second' }), keys: generateKeys(), keyId: null }
  const first = createIntermediate(second, { subject: { CN: 'first' } })
  const closing = createIntermediate(first, { subject: { CN: 'second' }, keys: second.keys })
  return { leaf: issue({ ...leafSpec, signer: first }), pool: [first.certificate, closing.certificate] }
}
const extension = (id: string, critical: boolean) => ({ extensions: [{ id, critical, value: Uint8Array.of(0x30, 0) }] })
const longAgo = testNow - 1000 * 86_400_000
const issuerAndSerial = (issuer: string, serial: number, keyId = intermediate.keyId) => {
  const id = authorityKeyId(keyId ?? new Uint8Array())
  return Object.assign(id, {
    authorityCertIssuer: [new GeneralName({ directoryName: nameFrom({ O: 'Example', CN: issuer }) })],
    authorityCertSerialNumber: arrayBuffer(Uint8Array.of(serial >> 8, serial & 0xff)),
  })
}
const intermediateSerial = Number(intermediate.certificate.serial)

describe('a chain with one fault has exactly this problem', () => {
  it.each<[string, Partial<ChainInput>, string[]]>([
    ['the leaf names an unknown issuer', leafOf({ issuer: { CN: 'nobody' } }), ['issuer_unknown@0']],
    ['the intermediate is missing', { pool: [] }, ['issuer_unknown@0']],
    ['the intermediate names an unknown issuer', below({ issuer: { CN: 'nobody' } }), ['issuer_unknown@1']],
    ['there is no anchor', { anchors: [] }, ['issuer_unknown@1']],
    [
      'there is no anchor and the root is in the pool',
      { anchors: [], pool: [intermediate.certificate, root.certificate] },
      ['untrusted_root@1'],
    ],
    [
      'the leaf is self-signed',
      { leaf: createRoot({ keyUsage: null, basicConstraints: null, subject: { CN: 'self' } }).certificate },
      ['untrusted_root@0'],
    ],
    [
      'the anchor has the name and another key',
      { anchors: [anchorOf(secondRoot.certificate)] },
      ['signature@1', 'key_id@1'],
    ],
    [
      'and the true root is in the pool',
      { anchors: [anchorOf(secondRoot.certificate)], pool: [intermediate.certificate, root.certificate] },
      ['signature@1', 'key_id@1'],
    ],
    ['the leaf is expired', leafOf({ notBefore: longAgo, notAfter: testNow - second }), ['expired@0']],
    ['the leaf is not yet valid', leafOf({ notBefore: testNow + second }), ['not_yet_valid@0']],
    ['the intermediate is expired', below({ notBefore: longAgo, notAfter: testNow - second }), ['expired@1']],
    ['the anchor is expired', under({ notBefore: longAgo, notAfter: testNow - second }), ['expired@2']],
    ['the leaf is an authority', leafOf({ basicConstraints: { ca: true } }), ['leaf_is_ca@0']],
    ['the intermediate has no CA bit', below({ basicConstraints: { ca: false } }), ['not_a_ca@1']],
    ['the intermediate has no basic constraints', below({ basicConstraints: null }), ['not_a_ca@1']],
    ['the anchor has no CA bit', under({ basicConstraints: { ca: false } }), ['not_a_ca@2']],
    ['the intermediate has no key usage', below({ keyUsage: null }), ['key_usage@1']],
    ['the intermediate may sign lists only', below({ keyUsage: ['cRLSign', 'digitalSignature'] }), ['key_usage@1']],
    ['the anchor may not sign certificates', under({ keyUsage: ['cRLSign'] }), ['key_usage@2']],
    [
      'the anchor allows no authority below it',
      under({ basicConstraints: { ca: true, pathLength: 0 } }),
      ['path_length@2'],
    ],
    [
      'an intermediate allows no authority below it',
      ladder(2, { basicConstraints: { ca: true, pathLength: 0 } }),
      ['path_length@2'],
    ],
    [
      'an intermediate allows one of two',
      ladder(3, { basicConstraints: { ca: true, pathLength: 1 } }),
      ['path_length@3'],
    ],
    ['the leaf has an unknown critical extension', leafOf(extension('1.2.3', true)), ['unknown_critical_extension@0']],
    ['the intermediate has one', below(extension('1.2.3', true)), ['unknown_critical_extension@1']],
    ['the anchor has one', under(extension('1.2.3', true)), ['unknown_critical_extension@2']],
    ['the intermediate has policy constraints', below(extension('2.5.29.36', true)), ['unknown_critical_extension@1']],
    ['the intermediate constrains names', below(extension('2.5.29.30', true)), ['name_constraints@1']],
    ['the anchor constrains names', under(extension('2.5.29.30', false)), ['name_constraints@2']],
    ['the leaf constrains names', leafOf(extension('2.5.29.30', false)), ['name_constraints@0']],
    ['the signature of the leaf is damaged', { leaf: flippedSignature(leaf) }, ['signature@0']],
    [
      'the signature of the intermediate is damaged',
      { pool: [flippedSignature(intermediate.certificate)] },
      ['signature@1'],
    ],
    ['the leaf is signed with SHA-1', leafOf({ algorithm: 'ecdsa-sha1' }), ['weak_signature@0']],
    ['the intermediate is signed with SHA-1', below({ algorithm: 'ecdsa-sha1' }), ['weak_signature@1']],
    [
      'the leaf is signed by another key of that name',
      leafOf({ signer: { ...createIntermediate(root), keyId: intermediate.keyId } }),
      ['signature@0'],
    ],
    ['the leaf names another key', leafOf({ authorityKeyId: authorityKeyId(new Uint8Array(20)) }), ['key_id@0']],
    ['the intermediate names another key', below({ authorityKeyId: authorityKeyId(new Uint8Array(20)) }), ['key_id@1']],
    [
      'the leaf names another serial number',
      leafOf({ authorityKeyId: issuerAndSerial('test root', intermediateSerial + 1) }),
      ['key_id@0'],
    ],
    [
      'the leaf names another issuer of its issuer',
      leafOf({ authorityKeyId: issuerAndSerial('other', intermediateSerial) }),
      ['key_id@0'],
    ],
    ['the key of the leaf is weak', leafOf({ keys: generateKeys('rsa-1024') }), ['unusable_key@0']],
    ['the key of the leaf is of an unsupported kind', leafOf({ keys: generateKeys('secp256k1') }), ['unusable_key@0']],
    ['the key of the intermediate is weak', below({ keys: generateKeys('rsa-1024') }), ['unusable_key@1']],
    ['the chain has six certificates', ladder(4), ['too_deep@3']],
    ['authorities certify each other', circle(), ['issuer_unknown@2']],
  ])('%s', (_what, changes, problems) => {
    expect(problemsOf(check(changes))).toEqual(problems)
  })

  it('an algorithm that is not supported', () => {
    const odd = createIntermediate(root, { keys: generateKeys('ed25519') })
    const { problems } = check({ leaf: issue({ ...leafSpec, signer: odd }), pool: [odd.certificate] })
    expect(problems.map(({ code }) => code)).toEqual(['unsupported_signature', 'unusable_key'])
    const rsa = createIntermediate(root, { keys: generateKeys('rsa') })
    const bare = issue({ ...leafSpec, signer: rsa, algorithm: 'rsa-sha256-without-null' })
    expect(problemsOf(check({ leaf: bare, pool: [rsa.certificate] }))).toEqual(['unsupported_signature@0'])
  })

  it('and with several faults it has all of them, from the leaf upwards', () => {
    const between = createIntermediate(root, { keyUsage: null, notBefore: longAgo, notAfter: testNow - second })
    const bad = issue({ ...leafSpec, signer: between, notBefore: testNow + second })
    expect(problemsOf(check({ leaf: flippedSignature(bad), pool: [between.certificate] }))).toEqual([
      'not_yet_valid@0',
      'signature@0',
      'expired@1',
      'key_usage@1',
    ])
  })

  it('and says which certificate it is, escaped', () => {
    const { problems } = check(leafOf({ subject: { CN: 'a\nb' }, notBefore: longAgo, notAfter: testNow - second }))
    expect(problems[0]?.detail).toBe('CN=a\\u{a}b: the validity is over (2026-05-31T23:59:59.000Z)')
  })
})

describe('what is no fault', () => {
  it.each<[string, Partial<ChainInput>]>([
    ['a path length that is just enough', ladder(2, { basicConstraints: { ca: true, pathLength: 1 } })],
    ['five certificates', ladder(3)],
    ['an unknown extension that is not critical', leafOf(extension('1.2.3', false))],
    [
      'a critical extension that the caller knows',
      { ...leafOf(extension('1.2.3', true)), knownCritical: new Set(['1.2.3', '2.5.29.15', '2.5.29.19']) },
    ],
    ['no key identifier in the leaf', leafOf({ authorityKeyId: null })],
    ['no key identifier in the issuer', below({ keyId: null })],
    [
      'the issuer and serial number of the issuer',
      leafOf({ authorityKeyId: issuerAndSerial('test root', intermediateSerial) }),
    ],
    ['RSA below ECDSA', below({ keys: generateKeys('rsa') })],
    ['a validity until 9999', leafOf({ notAfter: Date.UTC(9999, 11, 31, 23, 59, 59) })],
    [
      'a critical extended key usage and alternative name',
      leafOf({
        extensions: [
          { id: '2.5.29.37', critical: true, value: Uint8Array.of(0x30, 7, 6, 5, 0x67, 0x81, 5, 8, 1) },
          { id: '2.5.29.17', critical: true, value: Uint8Array.of(0x30, 4, 0x82, 2, 0x61, 0x62) },
        ],
      }),
    ],
  ])('%s', (_what, changes) => {
    expect(problemsOf(check(changes))).toEqual([])
  })

  it('but not a critical extension that the caller leaves out', () => {
    const strict = check({ knownCritical: new Set(['2.5.29.19']) })
    expect(problemsOf(strict)).toEqual([
      'unknown_critical_extension@0',
      'unknown_critical_extension@1',
      'unknown_critical_extension@2',
    ])
  })
})

describe('bounds of a validity are inclusive, in whole seconds', () => {
  const [notBefore, notAfter] = [testNow, testNow + 60 * second]
  const bounded = issue({ ...leafSpec, notBefore, notAfter })

  it.each([
    [notBefore - 1, ['not_yet_valid@0']],
    [notBefore, []],
    [notAfter, []],
    [notAfter + 999, []],
    [notAfter + second, ['expired@0']],
  ])('at %d', (now, problems) => {
    expect(problemsOf(check({ leaf: bounded, now }))).toEqual(problems)
  })

  it('and a time that is no number is a bug, not an eternal validity', () => {
    expect(() => check({ now: Number.NaN })).toThrow(TypeError)
  })
})

describe('limits', () => {
  it('takes 10 certificates and not 11', () => {
    const others = Array.from({ length: 9 }, (_, at) => issue({ ...leafSpec, subject: { CN: `other ${at}` } }))
    expect(problemsOf(check({ pool: [intermediate.certificate, ...others.slice(1)] }))).toEqual([])
    expect(problemsOf(check({ pool: [intermediate.certificate, ...others] }))).toEqual(['too_many_certificates@0'])
  })

  it('does not count what the operator configured', () => {
    const others = Array.from({ length: 20 }, (_, at) => issue({ ...leafSpec, subject: { CN: `other ${at}` } }))
    const intermediates = [...others, intermediate.certificate]
    expect(problemsOf(check({ pool: [], intermediates }))).toEqual([])
    expect(problemsOf(check({ pool: [], intermediates: others }))).toEqual(['issuer_unknown@0'])
  })

  it('looks at a bounded number of paths', () => {
    const [a, b, c] = ['a', 'b', 'c'].map((CN) => ({ name: nameFrom({ CN }), keys: generateKeys(), keyId: null }))
    if (!a || !b || !c) throw new Error('three parties')
    const layer = (CN: string, signer: Signer) =>
      Array.from({ length: 40 }, () => createIntermediate(signer, { subject: { CN } }).certificate)
    const intermediates = [...layer('a', b), ...layer('b', c), ...layer('c', { ...c, name: nameFrom({ CN: 'd' }) })]
    const lost = issue({ ...leafSpec, signer: a })
    expect(check({ leaf: lost, pool: [], intermediates }).accepted).toBe(false)
    let searches = 0
    const counted = Object.assign([...intermediates], {
      filter: (holds: (certificate: Certificate) => boolean) => {
        searches += 1
        return intermediates.filter(holds)
      },
    }) as Certificate[]
    const paths = findPaths(lost, counted, [], { depth: 5, candidates: 7 })
    expect(paths.map(({ certificates }) => certificates.length)).toEqual(Array(7).fill(4))
    expect(searches).toBeLessThan(20)
  })

  it('shows the longest of the ways that lead nowhere', () => {
    const end = { name: nameFrom({ CN: 'end' }), keys: generateKeys(), keyId: null }
    const far = createIntermediate(end, { subject: { CN: 'far' } })
    const lost = { subject: { CN: 'lost' }, keys: generateKeys(), keyId: null }
    const long = createIntermediate(far, lost)
    const short = Array.from({ length: 6 }, () => createIntermediate(end, lost).certificate)
    const pool = [...short, long.certificate, far.certificate]
    const chain = check({ leaf: issue({ ...leafSpec, signer: long }), pool })
    expect(chain.certificates.map(({ issuer }) => describeName(issuer))).toEqual(['CN=lost', 'CN=far', 'CN=end'])
  })

  it('verifies every link once, whatever the number of ways through it', () => {
    const verdicts = new LinkVerdicts()
    const signed = issue(leafSpec)
    const [issuer, stranger] = [authorityOf(intermediate.certificate), authorityOf(root.certificate)]
    expect(verdicts.signature(signed, issuer)).toBe('valid')
    expect(verdicts.signature(signed, stranger)).toBe('invalid')
    signed.signature.fill(0)
    expect(verdicts.signature(signed, issuer)).toBe('valid')
    expect(new LinkVerdicts().signature(signed, issuer)).toBe('invalid')
    const key = verdicts.key(issuer)
    expect(key.usable).toBe(true)
    expect(verdicts.key(issuer)).toBe(key)
    expect(verdicts.key(stranger)).not.toBe(key)
  })
})

describe('any change of a signed certificate', () => {
  it('one flipped bit in any byte of the leaf is never accepted', () => {
    const der = issueDer(leafSpec)
    expect(check({ leaf: parseCertificate(der) }).accepted).toBe(true)
    for (let at = 0; at < der.length; at++) {
      const flipped = der.with(at, (der[at] ?? 0) ^ (1 << (at % 8)))
      expect([at, accepts(flipped)]).toEqual([at, false])
    }
  })

  it('edits at random are never accepted', () => {
    const der = issueDer(leafSpec)
    const edit = fc.record({ at: fc.nat(der.length - 1), value: fc.nat(255) })
    fc.assert(
      fc.property(fc.array(edit, { minLength: 1, maxLength: 3 }), (edits) => {
        const changed = edits.reduce((bytes, { at, value }) => bytes.with(at, value), der)
        fc.pre(!changed.every((byte, at) => byte === der[at]))
        expect(accepts(changed)).toBe(false)
      }),
    )
  })

  function accepts(der: Uint8Array): boolean {
    try {
      return check({ leaf: parseCertificate(der) }).accepted
    } catch (error) {
      expect(error).toBeInstanceOf(AttestdError)
      return false
    }
  }
})

describe('revocation', () => {
  const empty = issueCrl({ signer: intermediate })
  const rootList = issueCrl({ signer: root })
  const listing = issueCrl({ signer: intermediate, revoked: [{ serial: leaf.serial }] })
  const stale = { thisUpdate: testNow - 10 * second, nextUpdate: testNow - second }
  const crlOf = (spec: object, base = intermediate) => issueCrl({ signer: base, ...spec })
  const withList = (...crls: ChainInput['crls']): Partial<ChainInput> => ({ crls: [...crls, rootList] })
  const mute = createIntermediate(root, { keyUsage: ['keyCertSign'] })

  it.each<[string, Partial<ChainInput>, string[], string]>([
    ['current lists of both issuers', withList(empty), [], 'fresh'],
    ['no list at all', { crls: [] }, ['crl_absent@0', 'crl_absent@1'], 'none'],
    ['no list of the intermediate', withList(), ['crl_absent@0'], 'none'],
    ['no list of the root', { crls: [empty] }, ['crl_absent@1'], 'none'],
    ['a list that names the leaf', withList(listing), ['revoked@0'], 'fresh'],
    [
      'a list that names the intermediate',
      { crls: [empty, crlOf({ revoked: [{ serial: intermediate.certificate.serial }] }, root)] },
      ['revoked@1'],
      'fresh',
    ],
    ['a list that has ended', withList(crlOf(stale)), ['crl_stale@0'], 'stale'],
    ['a list that has ended beside a current one', withList(crlOf(stale), empty), [], 'fresh'],
    [
      'a list that has ended and names the leaf, beside a current one',
      withList(empty, crlOf({ ...stale, revoked: [{ serial: leaf.serial }] })),
      ['revoked@0'],
      'fresh',
    ],
    [
      'a list from the future',
      withList(crlOf({ thisUpdate: testNow + second, nextUpdate: testNow + 9 * second })),
      ['crl_not_yet_valid@0'],
      'none',
    ],
    [
      'a list with a damaged signature',
      withList({ ...empty, signature: empty.signature.with(9, (empty.signature[9] ?? 0) ^ 1) }),
      ['crl_signature@0'],
      'none',
    ],
    [
      'a forged list that names the leaf',
      withList(issueCrl({ signer: { ...intermediate, keys: generateKeys() }, revoked: [{ serial: leaf.serial }] })),
      ['crl_signature@0'],
      'none',
    ],
    ['a list signed with SHA-1', withList(crlOf({ algorithm: 'ecdsa-sha1' })), ['crl_signature@0'], 'none'],
    [
      'a list of another issuer',
      withList(issueCrl({ signer: createIntermediate(root, { subject: { CN: 'other' } }) })),
      ['crl_absent@0'],
      'none',
    ],
    [
      'a list that the root signed in the name of the intermediate',
      withList(issueCrl({ signer: { ...root, name: intermediate.name } })),
      ['crl_key_id@0'],
      'none',
    ],
    [
      'a list that names another key',
      withList(crlOf({ authorityKeyId: authorityKeyId(new Uint8Array(20)) })),
      ['crl_key_id@0'],
      'none',
    ],
    ['a delta list', withList(crlOf(extension('2.5.29.27', true))), ['crl_unsupported@0'], 'none'],
    ['an indirect list', withList(crlOf(extension('2.5.29.28', true))), ['crl_unsupported@0'], 'none'],
    [
      'an issuer that may not sign lists',
      {
        leaf: issue({ ...leafSpec, signer: mute }),
        pool: [mute.certificate],
        crls: [issueCrl({ signer: mute }), rootList],
      },
      ['crl_key_usage@0'],
      'none',
    ],
  ])('required, with %s', (_what, changes, problems, status) => {
    const chain = check({ ...changes, revocation: 'required' })
    expect(problemsOf(chain)).toEqual(problems)
    expect(chain.revocation).toBe(status)
  })

  it.each<[string, Partial<ChainInput>, string[], string]>([
    ['current lists', withList(empty), [], 'fresh'],
    ['no list', { crls: [] }, [], 'none'],
    ['a list that has ended', withList(crlOf(stale)), [], 'stale'],
    [
      'a forged list',
      withList(issueCrl({ signer: { ...intermediate, keys: generateKeys() }, revoked: [{ serial: leaf.serial }] })),
      [],
      'none',
    ],
    ['a list that names the leaf', { crls: [listing] }, ['revoked@0'], 'none'],
  ])('optional, with %s', (_what, changes, problems, status) => {
    const chain = check({ ...changes, revocation: 'optional' })
    expect(problemsOf(chain)).toEqual(problems)
    expect(chain.revocation).toBe(status)
  })

  it('off, looks at no list', () => {
    expect(check({ crls: [listing], revocation: 'off' })).toMatchObject({ accepted: true, revocation: 'off' })
  })

  it('needs no list for an anchor that is an intermediate', () => {
    const chain = check({ anchors: [anchorOf(intermediate.certificate)], crls: [empty], revocation: 'required' })
    expect(chain).toMatchObject({ accepted: true, revocation: 'fresh' })
  })

  it('compares serial numbers as numbers', () => {
    const high = issue({ ...leafSpec, serial: Uint8Array.of(0, 0x80, 1) })
    const crls = [crlOf({ revoked: [{ serial: 0x8001n }] }), rootList]
    expect(problemsOf(check({ leaf: high, crls, revocation: 'required' }))).toEqual(['revoked@0'])
  })

  it.each([
    [testNow - 1, 'none'],
    [testNow, 'fresh'],
    [testNow + 60 * second, 'fresh'],
    [testNow + 60 * second + 999, 'fresh'],
    [testNow + 61 * second, 'stale'],
  ])('bounds of a list are inclusive, in whole seconds: at %d it is %s', (now, status) => {
    const list = crlOf({ thisUpdate: testNow, nextUpdate: testNow + 60 * second })
    expect(check({ crls: [list, rootList], revocation: 'optional', now }).revocation).toBe(status)
  })

  const until = (seconds: number, base = intermediate, spec = {}) =>
    crlOf({ thisUpdate: testNow - second, nextUpdate: testNow + seconds * second, ...spec }, base)
  it.each<[string, Partial<ChainInput>, number | null]>([
    ['the first end in the chain', { crls: [until(60), until(50, root)] }, 50],
    ['the first end in the chain, the other way round', { crls: [until(50), until(60, root)] }, 50],
    ['the last end of several lists of one issuer', { crls: [until(5), until(60), until(8), until(99, root)] }, 60],
    [
      'no list that is not signed',
      { crls: [until(40), until(60, intermediate, { signer: root }), until(90, root)] },
      40,
    ],
    ['nothing, where one certificate has no list', { crls: [until(60)] }, null],
    ['nothing, where one list has ended', { crls: [until(-0.5), until(60, root)], now: testNow + second }, null],
    ['nothing, where the leaf is revoked', { crls: [listing, until(60, root)] }, null],
    ['nothing, where revocation is off', { crls: [until(60), until(60, root)], revocation: 'off' }, null],
  ])('says until when its status is fresh: %s', (_what, changes, seconds) => {
    const expected = seconds === null ? null : testNow + seconds * second
    expect(check({ revocation: 'optional', ...changes }).revocationUntil).toBe(expected)
  })
})

it('every problem was provoked', () => {
  expect(Object.keys(chainProblems).filter((code) => !provoked.has(code))).toEqual([])
})
