import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { issueDer, testNow } from '../../../test/support/test-ca.ts'
import { flipBit, generateKeys, nameFrom } from '../../../test/support/test-ca-schema.ts'
import {
  createPckCa,
  createPckPki,
  createPckRoot,
  entriesDer,
  issuePckDer,
  pemOf,
  sgxEntries,
  sgxExtensionDer,
} from '../../../test/support/test-pck.ts'
import { haveVectors, vector, vectorJson } from '../../../test/support/vectors.ts'
import { parseCertificate } from '../../base/pki/certificate.ts'
import { parsePem } from '../../base/pki/pem.ts'
import { anchorOf, type TrustAnchor } from '../../base/pki/trust-anchor.ts'
import { intelSgxRootAnchors } from '../../endorsements/tdx/intel-root.ts'
import { parseQuote } from '../../evidence/tdx/quote.ts'
import { Checklist } from '../../results/checklist.ts'
import { ChainWork } from './chain-work.ts'
import { authenticatePckChain, judgePckValidity, type PckChain, pckChainChecks } from './pck-chain.ts'
import { type PckCheckId, pckChecks } from './quote-checks.ts'

const pki = createPckPki()
const { root, ca } = pki
const [rootDer, caDer] = [root.certificate.der, ca.certificate.der]
const leafDer = issuePckDer(pki)
const good = pemOf(leafDer, caDer, rootDer)

interface Judged {
  readonly chain: PckChain | null
  /** Ids that failed, without `tdx.pck.`. */
  readonly failed: readonly string[]
  readonly details: string
}

function judge(pem: string, anchors: readonly TrustAnchor[] = pki.anchors, work = new ChainWork()): Judged {
  const checklist = new Checklist<PckCheckId>(pckChecks)
  const chain = authenticatePckChain(checklist, pem, { work, anchors })
  const failed = checklist.findings().filter(({ outcome }) => outcome === 'failed')
  // A chain is given exactly where every check passed.
  expect(chain !== null).toBe(pckChainChecks.every((id) => checklist.passed(id)))
  return {
    chain,
    failed: failed.map(({ id }) => id.replace('tdx.pck.', '')),
    details: failed.map(({ detail }) => detail).join('; '),
  }
}

describe('a PCK chain', () => {
  it('is authentic under its anchor', () => {
    const { chain, failed } = judge(good)
    expect(failed).toEqual([])
    expect(chain).toMatchObject({ caKind: 'platform', anchor: { name: 'test' }, ca: { serial: ca.certificate.serial } })
    expect(chain?.leaf.sgx.fmspc).toBe('00806f050000')
    expect(chain?.key.export({ format: 'der', type: 'spki' })).toEqual(
      pki.leafKeys.publicKey.export({ format: 'der', type: 'spki' }),
    )
  })

  it('may be of the processor CA, without the entries of the platform CA', () => {
    const processor = createPckCa(root, { subject: { CN: 'Intel SGX PCK Processor CA', O: 'Example' } })
    const entries = sgxEntries()
    entries.delete('6')
    entries.delete('7')
    const der = issuePckDer({ ...pki, ca: processor }, {}, entriesDer(entries))
    expect(judge(pemOf(der, processor.certificate.der, rootDer)).chain).toMatchObject({
      caKind: 'processor',
      leaf: { caKind: 'processor', sgx: { platformInstanceId: null, configuration: null } },
    })
  })

  it('is the same with CRLF, and with NULs behind it', () => {
    expect(judge(good.replaceAll('\n', '\r\n')).chain).not.toBeNull()
    expect(judge(`${good}\0\0\0`).chain).not.toBeNull()
  })
})

describe('the form of a PCK chain (TDX-110): exactly leaf, CA, root', () => {
  const byLeaf = issuePckDer({ ca: { ...ca, keys: pki.leafKeys }, leafKeys: generateKeys() })
  it.each<[string, string, string]>([
    ['nothing', '', 'outside'],
    ['two certificates', pemOf(leafDer, caDer), 'has 2'],
    ['the root alone', pemOf(rootDer), 'has 1'],
    ['four certificates', pemOf(leafDer, caDer, rootDer, rootDer), 'has 4'],
    ['one behind a PCK leaf that acts as a CA', pemOf(byLeaf, leafDer, caDer, rootDer), 'has 4'],
    ['seventeen certificates', pemOf(leafDer, caDer, rootDer).repeat(6), 'has more than 4 blocks'],
    ['text before it', `x\n${good}`, 'outside'],
    ['text behind it', `${good}x`, 'outside'],
    ['text between certificates', `${pemOf(leafDer)}\n-\n${pemOf(caDer, rootDer)}`, 'outside'],
    ['a line of 77 characters', good.replace(/\n([A-Za-z0-9+/]{64})\n(.{13})/, '\n$1$2\n'), 'line'],
    ['more text than a chain has', good + '\n'.repeat(32_768), 'limit'],
  ])('%s', (_what, pem, says) => {
    const { failed, details } = judge(pem)
    expect(failed).toEqual(['chainForm'])
    expect(details).toContain(says)
  })
})

describe('certificates of a PCK chain (TDX-111)', () => {
  const withLeaf = (der: Uint8Array) => pemOf(der, caDer, rootDer)
  it.each<[string, string, string]>([
    ['bytes behind a certificate', withLeaf(Uint8Array.of(...leafDer, 0)), 'left over'],
    ['a leaf signed with SHA-384', withLeaf(issuePckDer(pki, { algorithm: 'ecdsa-sha384' })), 'ECDSA with SHA-256'],
    ['another algorithm outside', withLeaf(issuePckDer(pki, { outerAlgorithm: 'ecdsa-sha384' })), 'differs'],
    ['a key on P-384', withLeaf(issuePckDer(pki, { keys: generateKeys('P-384') })), 'not on P-256'],
    ['an RSA key', withLeaf(issuePckDer(pki, { keys: generateKeys('rsa') })), 'not on P-256'],
    [
      'an unknown critical extension',
      withLeaf(issuePckDer(pki, { extensions: [{ id: '1.2.3', critical: true, value: Uint8Array.of(5, 0) }] })),
      '1.2.3 is not known',
    ],
    [
      'a critical SGX extension',
      withLeaf(
        issuePckDer(pki, { extensions: [{ id: '1.2.840.113741.1.13.1', critical: true, value: sgxExtensionDer() }] }),
      ),
      'is not known',
    ],
    ['a critical extKeyUsage', withLeaf(criticalPurpose()), '2.5.29.37 is not known'],
    ['a certificate above 8 KiB', withLeaf(issuePckDer(pki, {}, new Uint8Array(8_192))), 'limit'],
  ])('%s', (_what, pem, says) => {
    const { failed, details } = judge(pem)
    expect(failed).toEqual(['certificates'])
    expect(details).toContain(says)
  })

  function criticalPurpose(): Uint8Array {
    const value = Uint8Array.of(0x30, 4, 6, 2, 0x2a, 3)
    return issuePckDer(pki, { extensions: [{ id: '2.5.29.37', critical: true, value }] })
  }

  it('with a key that is no point give a finding, not an exception (TDX-263)', () => {
    const spki = pki.leafKeys.publicKey.export({ format: 'der', type: 'spki' })
    const at = Buffer.from(leafDer).indexOf(spki) + spki.length - 64
    for (const change of [leafDer.map((byte, i) => (i >= at && i < at + 64 ? 0 : byte)), flipBit(leafDer, at + 63)]) {
      expect(judge(pemOf(change, caDer, rootDer)).failed).toEqual(['certificates'])
    }
  })
})

describe('the root of a PCK chain (TDX-113)', () => {
  it('needs an anchor; an empty list trusts nothing (TDX-098)', () => {
    expect(judge(good, []).failed).toEqual(['anchor'])
    expect(judge(good, intelSgxRootAnchors).failed).toEqual(['anchor'])
  })

  it('is pinned by its fingerprint: another certificate over the same key and name is no anchor', () => {
    const again = createPckRoot({ keys: root.keys, serial: Uint8Array.of(9) })
    const pem = pemOf(leafDer, caDer, again.certificate.der)
    expect(judge(pem).failed).toEqual(['anchor'])
    expect(judge(pem, [anchorOf(again.certificate)]).chain).not.toBeNull()
  })

  it.each<[string, (anchor: TrustAnchor) => TrustAnchor]>([
    ['key', (anchor) => ({ ...anchor, authority: { ...anchor.authority, publicKey: ca.certificate.publicKey } })],
    ['subject', (anchor) => ({ ...anchor, authority: { ...anchor.authority, subject: ca.certificate.subject } })],
    ['fingerprint', (anchor) => ({ ...anchor, fingerprints: [ca.certificate.fingerprint] })],
  ])('has key, subject and fingerprint of one anchor; here the %s is of another', (_what, change) => {
    expect(judge(good, pki.anchors.map(change)).failed).toEqual(['anchor'])
  })

  it('that is no anchor has to sign itself as well', () => {
    const other = createPckRoot({ keys: root.keys })
    const damaged = flipBit(other.certificate.der, other.certificate.der.length - 1)
    expect(judge(pemOf(leafDer, caDer, damaged)).failed).toEqual(['anchor', 'signatures'])
  })
})

describe('links, names and roles of a PCK chain', () => {
  const chainWith = (spec: { ca?: Parameters<typeof createPckCa>[1]; leaf?: Parameters<typeof issuePckDer>[1] }) => {
    const authority = spec.ca ? createPckCa(root, spec.ca) : ca
    return pemOf(issuePckDer({ ...pki, ca: authority }, spec.leaf), authority.certificate.der, rootDer)
  }
  const named = (CN: string) => ({ CN, O: 'Example' })
  const byRoot = issuePckDer({ ...pki, ca: { ...ca, keys: root.keys } })

  it.each<[string, string, string[]]>([
    ['reversed order', pemOf(rootDer, caDer, leafDer), ['anchor', 'signatures', 'names', 'roles', 'extension']],
    ['the root twice', pemOf(leafDer, rootDer, rootDer), ['signatures', 'names']],
    ['the CA twice', pemOf(caDer, caDer, rootDer), ['signatures', 'names', 'roles', 'extension']],
    ['a leaf signed by the root under the name of the CA', pemOf(byRoot, caDer, rootDer), ['signatures']],
    ['a leaf that names another issuer', chainWith({ leaf: { issuer: named('Else') } }), ['signatures']],
    ['a leaf with another common name', chainWith({ leaf: { subject: named('Intel SGX PCK') } }), ['names']],
    [
      'a leaf with the name in other case',
      chainWith({ leaf: { subject: named('INTEL SGX PCK CERTIFICATE') } }),
      ['names'],
    ],
    ['a CA with another common name', chainWith({ ca: { subject: named('Intel SGX PCK CA') } }), ['names']],
    ['a TCB signer in the place of the CA', chainWith({ ca: { subject: named('Intel SGX TCB Signing') } }), ['names']],
    ['a CA without the CA bit', chainWith({ ca: { basicConstraints: { ca: false } } }), ['roles']],
    ['a CA without basicConstraints', chainWith({ ca: { basicConstraints: null } }), ['roles']],
    ['a CA that may not sign certificates', chainWith({ ca: { keyUsage: ['cRLSign'] } }), ['roles']],
    ['a CA without key usage', chainWith({ ca: { keyUsage: null } }), ['roles']],
    ['a leaf that is a CA', chainWith({ leaf: { basicConstraints: { ca: true } } }), ['roles']],
  ])('%s', (_what, pem, expected) => {
    expect(judge(pem).failed).toEqual(expected)
  })

  it('a PCK leaf as the CA of another leaf is refused, whatever it calls itself', () => {
    const extracted = { ...ca, name: parseName(), keys: pki.leafKeys }
    const forged = issuePckDer({ ca: extracted, leafKeys: generateKeys() })
    expect(judge(pemOf(forged, leafDer, rootDer)).failed).toEqual(['signatures', 'names', 'roles'])
  })

  function parseName() {
    return createPckCa(root, { subject: named('Intel SGX PCK Certificate') }).name
  }

  it('a root that allows no authority below itself', () => {
    const narrow = createPckRoot({ basicConstraints: { ca: true, pathLength: 0 } })
    const below = createPckCa(narrow)
    const pem = pemOf(issuePckDer({ ...pki, ca: below }), below.certificate.der, narrow.certificate.der)
    expect(judge(pem, [anchorOf(narrow.certificate)])).toMatchObject({ failed: ['roles'] })
    expect(judge(pem, [anchorOf(narrow.certificate)]).details).toContain('allows 0 authorities')
  })

  it('a root is called as the maker calls it and issued itself, also where it is an anchor', () => {
    const under = (top: ReturnType<typeof createPckRoot>) => {
      const below = createPckCa(top)
      const pem = pemOf(issuePckDer({ ...pki, ca: below }), below.certificate.der, top.certificate.der)
      return judge(pem, [anchorOf(top.certificate)]).failed
    }
    expect(under(createPckRoot())).toEqual([])
    expect(under(createPckRoot({ subject: named('Else') }))).toEqual(['names'])
    expect(under(createPckRoot({ issuer: named('Else') }))).toEqual(['signatures'])
  })

  it('names of issuers are compared as DER: the same text in another string type is another name', () => {
    const printable = issueDer({
      // A name of its own, because it is changed.
      signer: { ...ca, name: nameFrom(named('Intel SGX PCK Platform CA')) },
      keys: pki.leafKeys,
      subject: named('Intel SGX PCK Certificate'),
      edit: (tbs) => {
        for (const [attribute] of tbs.issuer) {
          const text = attribute?.value.utf8String ?? ''
          if (attribute) Object.assign(attribute.value, { utf8String: undefined, printableString: text })
        }
      },
    })
    expect(judge(pemOf(printable, caDer, rootDer)).failed).toContain('signatures')
  })
})

describe('the SGX extension of the leaf', () => {
  it.each<[string, Uint8Array | null]>([
    ['missing', null],
    ['that is not exact', Uint8Array.of(0x30, 0)],
    ['that is no DER', Uint8Array.of(1, 2, 3)],
  ])('%s', (_what, value) => {
    expect(judge(pemOf(issuePckDer(pki, {}, value), caDer, rootDer)).failed).toEqual(['extension'])
  })
})

describe('the time of a PCK chain (TDX-118)', () => {
  const validAt = (chain: PckChain, now: number) => {
    const checklist = new Checklist<PckCheckId>(pckChecks)
    return judgePckValidity(checklist, chain, now)
  }
  const [begin, end] = [testNow - 10_000, testNow + 10_000]

  it.each(['leaf', 'ca', 'root'] as const)('counts the %s, both bounds included, in whole seconds', (which) => {
    const narrow = { notBefore: begin, notAfter: end }
    const top = which === 'root' ? createPckRoot(narrow) : root
    const middle = createPckCa(top, which === 'ca' ? narrow : {})
    const der = issuePckDer({ ...pki, ca: middle }, which === 'leaf' ? narrow : {})
    const pem = pemOf(der, middle.certificate.der, top.certificate.der)
    const { chain } = judge(pem, [anchorOf(top.certificate)])
    if (!chain) throw new Error('the chain is authentic')
    const times = [begin - 1, begin, end, end + 999, end + 1000]
    expect(times.map((now) => validAt(chain, now))).toEqual([false, true, true, true, false])
  })

  it('is no number: a bug of the caller', () => {
    const { chain } = judge(good)
    expect(() => chain && validAt(chain, Number.NaN)).toThrow(TypeError)
  })
})

describe('one appraisal', () => {
  it('judges the same chain again from what it knows, and other anchors anew', () => {
    const work = new ChainWork()
    expect(judge(good, pki.anchors, work).chain).not.toBeNull()
    expect(judge(good, [], work).failed).toEqual(['anchor'])
    expect(
      judge(pemOf(issuePckDer(pki, { issuer: { CN: 'Else' } }), caDer, rootDer), pki.anchors, work).failed,
    ).toEqual(['signatures'])
    expect(judge(good, pki.anchors, work).chain).not.toBeNull()
  })
})

describe('a verdict on a signature', () => {
  it('is about one issuer: another authority of the same name is judged anew', () => {
    const work = new ChainWork()
    const other = pemOf(leafDer, createPckCa(root).certificate.der, rootDer)
    expect(judge(other, pki.anchors, work).failed).toEqual(['signatures'])
    expect(judge(good, pki.anchors, work).chain).not.toBeNull()
    expect(judge(other, pki.anchors, work).failed).toEqual(['signatures'])
  })
})

describe('any bytes', () => {
  it('one changed byte of the leaf is never authentic', () => {
    for (let at = 0; at < leafDer.length; at += 7) {
      for (const bit of [0, 5, 7]) expect(judge(pemOf(flipBit(leafDer, at, bit), caDer, rootDer)).chain).toBeNull()
    }
  })

  it('edits of the text at random give findings or the same chain, never an exception', () => {
    const edit = fc.record({ at: fc.nat(good.length), cut: fc.nat(3), put: fc.string({ maxLength: 3 }) })
    fc.assert(
      fc.property(edit, ({ at, cut, put }) => {
        const text = good.slice(0, at) + put + good.slice(at + cut)
        const { chain } = judge(text)
        if (chain) expect(chain.leaf.certificate.der).toEqual(leafDer)
      }),
    )
  })
})

interface RecordedQuote {
  readonly file: string
  readonly expected: {
    readonly chainAndSignaturesUnderVendorAnchors?: string
    readonly pck?: {
      readonly fmspc: string
      readonly pceid: string
      readonly ppid: string
      readonly sgx_type: number
      readonly components: number[]
      readonly pcesvn: number
      readonly cpusvn: string
      readonly platform_instance_id: string | null
      readonly configuration: object | null
      readonly serial: string
      readonly not_before: string
      readonly not_after: string
      readonly issuer: string
    }
  }
}

describe.skipIf(!haveVectors)('recorded chains', () => {
  const manifest = haveVectors ? (vectorJson('tdx/MANIFEST.json') as RecordedQuote[]) : []
  const quotes = manifest.filter(({ expected }) => expected.chainAndSignaturesUnderVendorAnchors === 'valid')
  const pemOfQuote = (file: string) =>
    Buffer.from(parseQuote(vector(`tdx/${file}`)).certification.data).toString('latin1')

  it('there are some', () => {
    expect(quotes.length).toBeGreaterThan(7)
  })

  it.each(quotes)('$file is authentic under the pinned root, with the recorded facts', ({ file, expected }) => {
    const { chain, details } = judge(pemOfQuote(file), intelSgxRootAnchors)
    expect(details).toBe('')
    const hex = (bytes: Uint8Array | null | undefined) => (bytes ? Buffer.from(bytes).toString('hex') : null)
    const { certificate, sgx } = chain?.leaf ?? {}
    expect({
      fmspc: sgx?.fmspc,
      pceid: sgx?.pceId,
      ppid: hex(sgx?.ppid),
      sgx_type: sgx?.sgxType,
      components: sgx?.components,
      pcesvn: sgx?.pceSvn,
      cpusvn: hex(sgx?.cpuSvn),
      platform_instance_id: hex(sgx?.platformInstanceId),
      configuration: sgx?.configuration,
      serial: certificate?.serial,
      not_before: new Date(certificate?.notBefore ?? 0).toISOString(),
      not_after: new Date(certificate?.notAfter ?? 0).toISOString(),
      issuer: `Intel SGX PCK ${chain?.caKind === 'platform' ? 'Platform' : 'Processor'} CA`,
    }).toEqual({ ...expected.pck, serial: BigInt(`0x${expected.pck?.serial}`) })
  })

  it.each(['sgx', 'tdx'])('of the test PKI (%s) is authentic under its own root and no other', (kind) => {
    const { pck_certificate_chain: pem } = vectorJson(`tdx/collateral/intel-testpki-${kind}.json`)
    const rootPem = Buffer.from(vector(`tdx/collateral/intel-testpki-${kind}.root.pem`)).toString('latin1')
    const anchor = anchorOf(parseCertificate(parsePem(rootPem, 'CERTIFICATE')))
    expect(judge(pem, intelSgxRootAnchors).failed).toEqual(['anchor'])
    expect(judge(pem, [anchor]).details).toBe('')
  })
})
