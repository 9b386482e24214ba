import { sign } from 'node:crypto'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { forgeJws, makePolicySigner, type TestPolicySigner, x5cOf } from '../../../test/support/policy-signers.ts'
import { createIntermediate, createRoot, issue } from '../../../test/support/test-ca.ts'
import { flipBit, generateKeys } from '../../../test/support/test-ca-schema.ts'
import { haveVectors, vector, vectorJson } from '../../../test/support/vectors.ts'
import { toBase64url, toHex } from '../../base/bytes.ts'
import { AttestdError } from '../../base/errors.ts'
import { parseCertificate } from '../../base/pki/certificate.ts'
import { parsePem } from '../../base/pki/pem.ts'
import { acceptPolicy, acceptPolicyReset, acceptSignerChange } from './accept-policy.ts'
import { longestJws } from './compact-form.ts'
import { encodeUnsignedPolicy, signPolicy } from './encode-policy-jws.ts'
import { inspectPolicyUpload } from './inspect-policy-jws.ts'
import { policyDigest, policyHash, policyTokenHash } from './policy-hashes.ts'
import { certificateThumbprint, describeSigner } from './policy-signer.ts'

const bytes = (text: string) => new Uint8Array(Buffer.from(text, 'utf8'))
const policy = bytes('version=1.0;\nauthorizationrules { => permit(); };\nissuancerules {};\n')
const payload = { AttestationPolicy: toBase64url(policy) }

const [ec, rsa, other] = [makePolicySigner('P-256'), makePolicySigner('rsa'), makePolicySigner('P-256')]

/** The rule for which something is refused; `accepted` where it is not. Bugs are thrown. */
function ruleOf(act: () => unknown): string {
  try {
    act()
    return 'accepted'
  } catch (error) {
    if (!(error instanceof AttestdError)) throw error
    return String(error.facts['rule'])
  }
}

const judged = (jws: string, trusted: readonly TestPolicySigner[] = []) =>
  ruleOf(() => acceptPolicy(bytes(jws), trusted))

describe.skipIf(!haveVectors)('recorded policy JWS (POL-701 to POL-708)', () => {
  const expected = haveVectors ? vectorJson('policy/jws/expected.json') : { vectors: {} }
  const textOf = (file: string) => Buffer.from(vector(`policy/${file}`)).toString('utf8')
  const certificateOf = (name: string) => parseCertificate(parsePem(textOf(`jws/${name}.crt.pem`), 'CERTIFICATE'))
  const names = Object.keys(expected.vectors)
  const judge = (name: string, trusted: readonly string[]) => {
    const { file, use } = expected.vectors[name]
    const signers = trusted.map(certificateOf)
    if (use === 'reset') return ruleOf(() => acceptPolicyReset(textOf(file), signers))
    if (use === 'certificates') return ruleOf(() => acceptSignerChange(textOf(file), signers))
    return ruleOf(() => acceptPolicy(vector(`policy/${file}`), signers))
  }

  it.each(names)('%s', (name) => {
    const cases = ['signersOff', 'signersOn', 'signersOnOther'].filter((mode) => expected.vectors[name][mode])
    expect(cases.length).toBeGreaterThan(0)
    for (const mode of cases) {
      const { trusted = [], result, ids } = expected.vectors[name][mode]
      // That the text of this policy does not load is for the language to say.
      const isText = ids?.includes('POL-202') && mode === 'signersOff'
      const allowed = result === 'accept' || isText ? ['accepted'] : ids
      expect(allowed, `${name} ${mode}`).toContain(judge(name, trusted))
    }
  })

  it.each(names.filter((name) => expected.vectors[name].policyTokenHash))('%s has its hashes (POL-710)', (name) => {
    const { file, policyTokenHash: tokenHash, policyHash: hash, signerSha1, signerSha256 } = expected.vectors[name]
    expect(policyTokenHash(textOf(file))).toBe(tokenHash)
    const inspected = inspectPolicyUpload(vector(`policy/${file}`))
    expect(inspected.policyTokenHash).toBe(tokenHash)
    if (hash !== undefined) expect(inspected).toMatchObject({ policyHash: hash, problems: [] })
    else expect(inspected.problems.length > 0 || name === 'neg-syntax-error').toBe(true)
    const [own] = inspected.signer?.certificates ?? []
    if (signerSha256 !== undefined) expect(own?.fingerprint).toBe(signerSha256)
    if (signerSha1 !== undefined) expect(own && certificateThumbprint(own)).toBe(signerSha1)
  })

  it('hashes the text of a policy as expected (POL-710, POL-711)', () => {
    const text = vector('policy/jws/policy.txt')
    expect(toBase64url(text)).toBe(expected.policyBase64Url)
    expect(policyHash(text)).toBe(expected.policyHash)
    expect(policyDigest(text)).toBe(expected.policySha256Hex)
    const defaults = vectorJson('policy/defaults/expected.json')
    expect(JSON.stringify(defaults)).toContain(policyHash(vector('policy/defaults/attestd-deny-all-v1.policy')))
  })

  it('names the certificate that is to be added by its thumbprint', () => {
    const { file, certSha1 } = expected.vectors['add-certificate']
    const { subject, by } = acceptSignerChange(textOf(file), [certificateOf('test-signer')])
    const [added] = subject.certificates
    expect(added && certificateThumbprint(added)).toBe(certSha1)
    expect(toHex(by.publicKey)).toBe(toHex(certificateOf('test-signer').publicKey))
  })
})

describe('what is written is accepted (POL-701)', () => {
  it.each([
    ['ES256', ec],
    ['RS256', rsa],
  ] as const)('signed with %s, with certificate or bare key', (alg, signer) => {
    for (const certificates of [signer.certificates, []]) {
      const jws = signPolicy(policy, { privateKey: signer.privateKey, certificates })
      for (const trusted of [[], [signer], [other, signer]]) {
        const accepted = acceptPolicy(bytes(jws), trusted)
        expect(accepted).toMatchObject({ form: 'signed', jws })
        expect(accepted.policy).toEqual(policy)
        expect(accepted.signer && describeSigner(accepted.signer)).toMatchObject({ alg, use: 'sig' })
      }
      expect(judged(jws, [other])).toBe('POL-705')
      expect(inspectPolicyUpload(bytes(jws)).problems).toEqual([])
    }
  })

  it('unsigned, in the bytes that the client library writes, and as text, in signer mode neither (POL-704)', () => {
    const jws = encodeUnsignedPolicy(policy)
    expect(jws.startsWith('eyJhbGciOiJub25lIn0.')).toBe(true)
    expect(acceptPolicy(bytes(jws), [])).toMatchObject({ form: 'unsigned', jws, signer: null, policy })
    expect(acceptPolicy(policy, [])).toMatchObject({ form: 'text', jws: null, signer: null, policy })
    expect(judged(jws, [ec])).toBe('POL-704')
    expect(ruleOf(() => acceptPolicy(policy, [ec]))).toBe('POL-704')
  })

  it('any text of a policy, byte for byte; another byte is another hash (POL-710)', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 200 }), (text) => {
        const written = bytes(text)
        for (const jws of [encodeUnsignedPolicy(written), signPolicy(written, ec)]) {
          expect(acceptPolicy(bytes(jws), []).policy).toEqual(written)
        }
        expect(policyHash(written)).not.toBe(policyHash(bytes(`${text} `)))
        expect(policyHash(written)).not.toBe(policyHash(bytes(`${text}\r`)))
      }),
      { numRuns: 50 },
    )
  })

  it.each(['P-384', 'rsa-1024', 'ed25519', 'secp256k1'] as const)('not with a key of type %s (POL-703)', (kind) => {
    const { privateKey, authority } = makePolicySigner(kind === 'P-384' ? kind : 'P-256')
    const { privateKey: unfit } = kind === 'P-384' ? { privateKey } : unfitKey(kind)
    expect(() => signPolicy(policy, { privateKey: unfit, certificates: [] })).toThrow(/the key/)
    expect(() => signPolicy(policy, { privateKey: ec.privateKey, certificates: [authority.certificate] })).toThrow(
      /not that of the key/,
    )
  })
})

function unfitKey(kind: 'rsa-1024' | 'ed25519' | 'secp256k1') {
  return { privateKey: generateKeys(kind).privateKey }
}

describe('the form (POL-702)', () => {
  const good = signPolicy(policy, ec)
  const [head = '', body = '', tail = ''] = good.split('.')

  it.each([
    ['two segments', `${head}.${body}`],
    ['four segments', `${good}.`],
    ['a final newline', `${good}\n`],
    ['padding', `${head}=.${body}.${tail}`],
    ['a space', `${head}.${body}. ${tail}`],
    ['a character beyond ASCII', `${head}.${body}.${tail}é`],
    ['unused bits', `${head}.${body}.${tail.slice(0, -1)}${tail.endsWith('A') ? 'B' : nextLetter(tail)}`],
    ['an empty header', `.${body}.${tail}`],
    ['no signature', `${head}.${body}.`],
    ['a list as header', forgeJws([{ alg: 'ES256' }], payload, ec)],
    ['no JSON', forgeJws('{"alg":"ES256",}', payload, ec)],
    ['a repeated member', forgeJws('{"alg":"none","alg":"ES256"}', payload, ec)],
    ['a member __proto__', forgeJws('{"alg":"none","__proto__":{}}', payload)],
    ['deep nesting', forgeJws(`{"alg":"none","a":${'['.repeat(9)}${']'.repeat(9)}}`, payload)],
    ['none with a signature', forgeJws({ alg: 'none', x5c: x5cOf(ec) }, payload, ec)],
  ])('%s is refused', (_, jws) => {
    expect(judged(jws)).toBe('POL-702')
    expect(judged(jws, [ec])).toBe('POL-702')
  })

  it.each(['crit', 'jku', 'x5u', 'b64', 'zip'])('the header member %s is refused, whatever it holds', (member) => {
    for (const value of [null, false, [], 'x', ['exp']]) {
      expect(judged(forgeJws({ alg: 'ES256', x5c: x5cOf(ec), [member]: value }, payload, ec))).toBe('POL-702')
      expect(judged(forgeJws({ alg: 'none', [member]: value }, payload))).toBe('POL-702')
    }
  })

  it('is read up to its limit and not beyond', () => {
    const filled = (length: number) => {
      const header = (filling: number) => forgeJws({ alg: 'none', kid: 'k'.repeat(filling) }, payload)
      const start = length - header(0).length
      const around = Array.from({ length: 8 }, (_, less) => header(Math.floor((start * 3) / 4) - 4 + less))
      return around.find((jws) => jws.length === length) ?? expect.unreachable()
    }
    expect(judged(filled(longestJws))).toBe('accepted')
    expect(judged(filled(longestJws + 2))).toBe('POL-702')
  })
})

const nextLetter = (text: string) => String.fromCharCode(text.charCodeAt(text.length - 1) + 1)

describe('the algorithm (POL-703)', () => {
  it.each(['RSA256', 'rs256', 'NONE', 'None', 'HS256', 'PS256', 'ES384', 'EdDSA', 'RS256 ', '', null, 1, ['RS256']])(
    '%j is refused',
    (alg) => {
      expect(judged(forgeJws({ alg, x5c: x5cOf(ec) }, payload, ec))).toBe('POL-703')
      expect(judged(forgeJws({ alg, x5c: x5cOf(ec) }, payload))).toBe('POL-703')
    },
  )

  it('no HMAC is taken, keyed with what is public', () => {
    for (const secret of [ec.publicKey, ec.authority.certificate.der]) {
      expect(judged(forgeJws({ alg: 'HS256', x5c: x5cOf(ec) }, payload, secret))).toBe('POL-703')
      expect(judged(forgeJws({ alg: 'ES256', x5c: x5cOf(ec) }, payload, secret))).toBe('POL-706')
    }
  })

  it('the key must fit to the algorithm and be strong enough', () => {
    expect(judged(forgeJws({ alg: 'ES256', x5c: x5cOf(rsa) }, payload, rsa))).toBe('POL-703')
    expect(judged(forgeJws({ alg: 'RS256', x5c: x5cOf(ec) }, payload, ec))).toBe('POL-703')
    const p384 = makePolicySigner('P-384')
    expect(judged(forgeJws({ alg: 'ES256', x5c: x5cOf(p384) }, payload, p384))).toBe('POL-703')
    const weak = generateKeys('rsa-1024')
    const jwk = weak.publicKey.export({ format: 'jwk' })
    expect(judged(forgeJws({ alg: 'RS256', jwk }, payload, weak))).toBe('POL-703')
  })
})

describe('the signer (POL-705, POL-706)', () => {
  const signedWith = (header: object, by: TestPolicySigner = ec) => forgeJws({ alg: 'ES256', ...header }, payload, by)
  const jwkOf = ({ authority }: TestPolicySigner) => authority.keys.publicKey.export({ format: 'jwk' })

  it.each([
    ['no key', {}],
    ['an empty chain', { x5c: [] }],
    ['a chain that is a text', { x5c: x5cOf(ec)[0] }],
    ['a certificate that is none', { x5c: ['AAAA'] }],
    ['a certificate in base64url', { x5c: [Buffer.from(`${x5cOf(ec)[0]}`, 'base64').toString('base64url')] }],
    ['a certificate with more behind it', { x5c: [`${x5cOf(ec)[0]}`.replace(/=*$/, ''), 1] }],
    ['six certificates', { x5c: Array.from({ length: 6 }, () => x5cOf(ec)[0]) }],
    ['a JWK that is a text', { jwk: 'x' }],
    ['a JWK of an HMAC', { jwk: { kty: 'oct', k: 'AAAA' } }],
    ['a private JWK', { jwk: ec.privateKey.export({ format: 'jwk' }) }],
    ['a JWK off its curve', { jwk: { ...jwkOf(ec), x: toBase64url(new Uint8Array(32).fill(1)) } }],
    ['a JWK of another key than the certificate', { x5c: x5cOf(ec), jwk: jwkOf(other) }],
  ])('%s is refused', (_, header) => {
    expect(judged(signedWith(header))).toBe('POL-705')
  })

  it('a JWK and a certificate of one key are one signer', () => {
    expect(judged(signedWith({ x5c: x5cOf(ec), jwk: jwkOf(ec) }), [ec])).toBe('accepted')
  })

  it('the signature must be that of the key that is shown', () => {
    expect(judged(signedWith({ x5c: x5cOf(other) }))).toBe('POL-706')
    expect(judged(signedWith({ x5c: x5cOf(other) }), [other])).toBe('POL-706')
    expect(judged(signedWith({ x5c: x5cOf(other) }), [ec])).toBe('POL-705')
  })

  it('the payload is not looked at before the signature is good (POL-706)', () => {
    expect(judged(forgeJws({ alg: 'ES256', x5c: x5cOf(ec) }, 'no JSON', other))).toBe('POL-706')
    expect(judged(forgeJws({ alg: 'ES256', x5c: x5cOf(ec) }, 'no JSON', other), [other])).toBe('POL-705')
    expect(judged(forgeJws({ alg: 'ES256', x5c: x5cOf(ec) }, 'no JSON', ec))).toBe('POL-707')
  })

  it('a signature in DER is none', () => {
    const [head, body] = signPolicy(policy, ec).split('.')
    const der = toBase64url(sign('sha256', Buffer.from(`${head}.${body}`), ec.privateKey))
    expect(judged(`${head}.${body}.${der}`)).toBe('POL-706')
  })

  it('a certificate of a trusted name with another key is not trusted', () => {
    const impostor = makePolicySigner('P-256')
    expect(impostor.authority.certificate.subject.der).toEqual(ec.authority.certificate.subject.der)
    expect(judged(signPolicy(policy, impostor), [ec])).toBe('POL-705')
  })

  it('a renewed certificate of a trusted key is trusted', () => {
    const renewed = createRoot({ keys: ec.authority.keys, subject: { CN: 'renewed' } }).certificate
    expect(judged(signPolicy(policy, { ...ec, certificates: [renewed] }), [ec])).toBe('accepted')
  })

  it('one whom a trusted signer certified is not trusted for that', () => {
    const below = makePolicySigner('P-256', ec)
    expect(judged(signPolicy(policy, below))).toBe('accepted')
    expect(judged(signPolicy(policy, below), [ec])).toBe('POL-705')
    expect(judged(signPolicy(policy, below), [below])).toBe('accepted')
  })
})

describe('a chain in the header (POL-705)', () => {
  const root = createRoot()
  const middle = createIntermediate(root, { basicConstraints: { ca: true, pathLength: 0 } })
  const leafKeys = generateKeys()
  const leaf = (signer: typeof root, spec = {}) => issue({ signer, keys: leafKeys, subject: { CN: 'signer' }, ...spec })
  const judgedChain = (...certificates: ReturnType<typeof issue>[]) =>
    judged(signPolicy(policy, { privateKey: leafKeys.privateKey, certificates }))

  it('is accepted when each certificate is issued by the next', () => {
    expect(judgedChain(leaf(middle), middle.certificate, root.certificate)).toBe('accepted')
    expect(judgedChain(leaf(middle), middle.certificate)).toBe('accepted')
  })

  const notCa = createIntermediate(root, { basicConstraints: { ca: false } })
  const withoutUsage = createIntermediate(root, { keyUsage: ['digitalSignature'] })
  const odd = createIntermediate(root, {
    extensions: [{ id: '1.2.3.4', critical: true, value: Uint8Array.of(5, 0) }],
  })
  const { der } = leaf(middle)
  const broken = parseCertificate(flipBit(der, der.length - 1))
  const low = createIntermediate(middle, { subject: { CN: 'low' } })
  it.each([
    ['an issuer without CA flag', [leaf(notCa), notCa.certificate]],
    ['an issuer that may not sign certificates', [leaf(withoutUsage), withoutUsage.certificate]],
    ['an issuer with an unknown critical extension', [leaf(odd), odd.certificate]],
    ['certificates in the wrong order', [leaf(middle), root.certificate, middle.certificate]],
    ['a stranger behind the signer', [leaf(middle), root.certificate]],
    ['another key of the same name', [leaf(middle), createIntermediate(root).certificate]],
    ['more below a CA than it allows', [leaf(low), low.certificate, middle.certificate, root.certificate]],
    ['a broken signature', [broken, middle.certificate]],
  ])('with %s is refused', (_, certificates) => {
    expect(judgedChain(...certificates)).toBe('POL-705')
  })
})

describe('the payload (POL-707)', () => {
  it.each<[string, unknown, RegExp]>([
    ['no object', '[]', /object/],
    ['nothing', '', /./],
    ['another member', { policy: 'x' }, /exactly the member/],
    ['one more member', { ...payload, iat: 1 }, /exactly the member/],
    ['a repeated member', '{"AttestationPolicy":"","AttestationPolicy":""}', /duplicate/],
    ['an object as policy', { AttestationPolicy: {} }, /not a text/],
    ['raw text', { AttestationPolicy: 'version= 1.0;' }, /not base64url/],
    ['padding', { AttestationPolicy: 'dg==' }, /not base64url/],
    ['standard base64', { AttestationPolicy: 'A+//' }, /not base64url/],
    ['unused bits', { AttestationPolicy: 'dh' }, /base64url/],
    ['no UTF-8', { AttestationPolicy: toBase64url(Uint8Array.of(0xff)) }, /UTF-8/],
    ['an encoded surrogate', { AttestationPolicy: toBase64url(Uint8Array.of(0xed, 0xa0, 0x80)) }, /UTF-8/],
  ])('%s is refused', (_, given, says) => {
    for (const jws of [forgeJws({ alg: 'none' }, given), forgeJws({ alg: 'ES256', x5c: x5cOf(ec) }, given, ec)]) {
      expect(judged(jws)).toBe('POL-707')
      expect(() => acceptPolicy(bytes(jws), [])).toThrow(says)
    }
  })

  it.each([
    ['version= 1.0;', /preview/],
    ['dmVyc2lvbg==', /padding/],
    ['A+//', /standard base64/],
  ])('%s is refused with a hint', (given, hint) => {
    const { problems } = inspectPolicyUpload(bytes(forgeJws({ alg: 'none' }, { AttestationPolicy: given })))
    expect(problems).toMatchObject([{ rule: 'POL-707', remedy: expect.stringMatching(hint) }])
  })

  it('text that is no UTF-8 is refused as well', () => {
    expect(ruleOf(() => acceptPolicy(Uint8Array.of(0x76, 0xff), []))).toBe('POL-707')
  })
})

describe('a reset (POL-904)', () => {
  const reset = forgeJws({ alg: 'none' }, '')
  const signed = forgeJws({ alg: 'ES256', x5c: x5cOf(ec) }, '', ec)

  it('has an empty payload, and in signer mode the signature of a trusted signer', () => {
    expect(reset).toBe('eyJhbGciOiJub25lIn0..')
    expect(acceptPolicyReset(reset, [])).toBeNull()
    expect(ruleOf(() => acceptPolicyReset(reset, [ec]))).toBe('POL-704')
    expect(acceptPolicyReset(signed, [ec])?.publicKey).toEqual(ec.publicKey)
    expect(ruleOf(() => acceptPolicyReset(signed, [other]))).toBe('POL-705')
    expect(ruleOf(() => acceptPolicyReset(signPolicy(policy, ec), [ec]))).toBe('POL-707')
    expect(ruleOf(() => acceptPolicyReset(encodeUnsignedPolicy(policy), []))).toBe('POL-707')
    expect(ruleOf(() => acceptPolicyReset('', []))).toBe('POL-702')
  })

  it('is no policy, and a policy is no change of signers', () => {
    expect(judged(signed, [ec])).toBe('POL-707')
    expect(ruleOf(() => acceptSignerChange(signPolicy(policy, ec), [ec]))).toBe('POL-708')
    expect(ruleOf(() => acceptSignerChange(signed, [ec]))).toBe('POL-708')
  })
})

describe('a change of signers (POL-708)', () => {
  const change = (jwk: unknown, by: TestPolicySigner = ec) =>
    forgeJws({ alg: 'ES256', x5c: x5cOf(by) }, { policyCertificate: jwk }, by)
  const good = { kty: 'EC', x5c: x5cOf(other) }
  const judgedChange = (jws: string, trusted = [ec]) => ruleOf(() => acceptSignerChange(jws, trusted))

  it('is made by one who is trusted, about any other', () => {
    expect(acceptSignerChange(change(good), [ec]).subject.publicKey).toEqual(other.publicKey)
    expect(judgedChange(change({ ...good, alg: 'ES256', use: 'sig', ...jwkMembers(other) }))).toBe('accepted')
    expect(judgedChange(change({ kty: 'RSA', x5c: x5cOf(other) }))).toBe('accepted')
  })

  it('is not made by the new signer itself, nor unsigned, nor where nobody is trusted', () => {
    expect(judgedChange(change(good, other))).toBe('POL-705')
    expect(judgedChange(forgeJws({ alg: 'none' }, { policyCertificate: good }))).toBe('POL-704')
    expect(judgedChange(change(good), [])).toBe('POL-704')
  })

  it.each<[string, unknown, string]>([
    ['no JWK', 'x', 'POL-708'],
    ['no certificate', jwkMembers(other), 'POL-708'],
    ['a certificate that is none', { kty: 'EC', x5c: ['AAAA'] }, 'POL-708'],
    ['members of another key', { ...good, ...jwkMembers(ec) }, 'POL-708'],
    ['a private member', { ...good, ...jwkMembers(other), d: 'AAAA' }, 'POL-708'],
    ['another algorithm', { ...good, alg: 'RS256' }, 'POL-708'],
    ['another use', { ...good, use: 'enc' }, 'POL-708'],
    ['no type', { x5c: x5cOf(other) }, 'POL-708'],
    ['a key that cannot sign policies', { kty: 'EC', x5c: x5cOf(makePolicySigner('P-384')) }, 'POL-703'],
  ])('with %s is refused', (_, jwk, rule) => {
    expect(judgedChange(change(jwk))).toBe(rule)
  })
})

function jwkMembers({ authority }: TestPolicySigner): object {
  return authority.keys.publicKey.export({ format: 'jwk' })
}

describe('whatever is changed', () => {
  const signed = { es256: signPolicy(policy, ec), rs256: signPolicy(policy, rsa) }

  it.each(Object.entries(signed))('one character of a policy signed with %s, it is refused', (_, jws) => {
    fc.assert(
      fc.property(fc.nat(jws.length - 1), fc.constantFrom(...'AZaz09-_.=+/ \n{'), (at, letter) => {
        // What does not begin as a JWS is policy text, which no language takes.
        fc.pre(jws[at] !== letter && (at > 1 || /[\w.-]/.test(letter)))
        const changed = `${jws.slice(0, at)}${letter}${jws.slice(at + 1)}`
        for (const trusted of [[], [ec, rsa]]) expect(judged(changed, trusted)).not.toBe('accepted')
        expect(inspectPolicyUpload(bytes(changed)).problems.length).toBeGreaterThan(0)
      }),
      { numRuns: 400 },
    )
  })

  it.each(Object.entries(signed))('one bit of a segment of a policy signed with %s, it is refused', (_, jws) => {
    const segments = jws.split('.').map((segment) => new Uint8Array(Buffer.from(segment, 'base64url')))
    fc.assert(
      fc.property(fc.nat(2), fc.nat(), fc.nat(7), (which, at, bit) => {
        const changed = segments.map((segment, index) =>
          toBase64url(index === which ? flipBit(segment, at % segment.length, bit) : segment),
        )
        for (const trusted of [[], [ec, rsa]]) expect(judged(changed.join('.'), trusted)).not.toBe('accepted')
      }),
      { numRuns: 300 },
    )
  })

  it('and for any bytes there is an answer', () => {
    const anyUpload = fc.oneof(
      fc.uint8Array({ maxLength: 300 }),
      fc.string({ maxLength: 300 }).map(bytes),
      fc.array(fc.base64String({ maxLength: 100 }), { maxLength: 4 }).map((parts) => bytes(parts.join('.'))),
      fc.tuple(fc.json(), fc.json(), fc.base64String()).map(([h, p, s]) => bytes(`${forgeJws(h, p)}${s}`)),
    )
    fc.assert(
      fc.property(anyUpload, (upload) => {
        const inspected = inspectPolicyUpload(upload)
        const rule = ruleOf(() => acceptPolicy(upload, []))
        expect(rule === 'accepted').toBe(inspected.problems.length === 0)
        expect(ruleOf(() => acceptPolicy(upload, [ec]))).not.toBe('accepted')
      }),
      { numRuns: 1000 },
    )
  })
})

describe('an inspection', () => {
  it('decodes what is not good, and says what is wrong', () => {
    const jws = forgeJws({ alg: 'ES256', x5c: x5cOf(ec) }, payload, other)
    const inspected = inspectPolicyUpload(bytes(jws))
    expect(inspected).toMatchObject({ form: 'jws', payload, policy, policyHash: policyHash(policy) })
    expect(inspected.header).toMatchObject({ alg: 'ES256' })
    expect(inspected.signer?.certificates).toHaveLength(1)
    expect(inspected.problems).toMatchObject([{ rule: 'POL-706' }])
    const several = inspectPolicyUpload(bytes(forgeJws({ alg: 'RSA256', x5c: x5cOf(ec) }, { policy: 'x' }, ec)))
    expect(several.problems.map(({ rule }) => rule)).toEqual(['POL-703', 'POL-707'])
    expect(several).toMatchObject({ header: { alg: 'RSA256' }, policy: null, policyDigest: null })
    expect(several.signer?.publicKey).toEqual(ec.publicKey)
  })

  it('shows policy text as it is', () => {
    expect(inspectPolicyUpload(policy)).toMatchObject({ form: 'text', policy, header: null, problems: [] })
    expect(inspectPolicyUpload(Uint8Array.of(0xff)).problems).toMatchObject([{ rule: 'POL-707' }])
  })
})
