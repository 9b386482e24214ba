import { describe, expect, it } from 'vitest'
import { CollateralIssuer } from '../../../mocks/tdx/collateral.ts'
import { createPki } from '../../../mocks/tdx/pki.ts'
import { issueCrlDer, testNow } from '../../../test/support/test-ca.ts'
import { flipBit } from '../../../test/support/test-ca-schema.ts'
import { createPckCa, createPckPki, issueTcbSignerDer, pemOf, signText } from '../../../test/support/test-pck.ts'
import { intelSgxRootAnchors } from '../../endorsements/tdx/intel-root.ts'
import { authenticateCollateralItem, type CollateralItem } from './authenticate-collateral-item.ts'

const pki = createPckPki()
const year = 365 * 86_400_000
const issuer = new CollateralIssuer(createPki(testNow), testNow)
const issuerChain = pemOf(issueTcbSignerDer(pki), pki.root.certificate.der)
const signed = (text: string) => ({ text, signature: signText(text, pki.signerKeys.privateKey), issuerChain })
const listChain = pemOf(pki.ca.certificate.der, pki.root.certificate.der)

const items = {
  'tcb-info': { kind: 'tcb-info', ...signed(issuer.tcbInfo().text) },
  'qe-identity': { kind: 'qe-identity', ...signed(issuer.qeIdentity().text) },
  'pck-crl': { kind: 'pck-crl', der: issueCrlDer({ signer: pki.ca }), issuerChain: listChain },
  'root-crl': { kind: 'root-crl', der: issueCrlDer({ signer: pki.root }), issuerChain: null },
} as const satisfies Readonly<Record<CollateralItem['kind'], CollateralItem>>
const kinds = Object.keys(items) as CollateralItem['kind'][]
const judge = (item: CollateralItem, now = testNow, trustAnchors = pki.anchors) =>
  authenticateCollateralItem(item, { now, trustAnchors })

describe('one item of collateral (TDX-211)', () => {
  it.each(kinds)('%s is authentic under its anchor and under no other', (kind) => {
    expect(judge(items[kind])).toBeNull()
    expect(judge(items[kind], testNow, [])).toContain('no trust anchor')
    expect(judge(items[kind], testNow, intelSgxRootAnchors)).not.toBeNull()
    expect(judge(items[kind], testNow, [...intelSgxRootAnchors, ...pki.anchors])).toBeNull()
  })

  it.each(kinds.filter((kind) => kind !== 'root-crl'))('%s needs a chain that is valid now', (kind) => {
    expect(judge(items[kind], testNow + 2 * year)).toContain('was valid until')
    expect(judge(items[kind], testNow - 2 * year)).toContain('is valid from')
  })

  it('may be past its own end: whether to use it then is for others', () => {
    const der = issueCrlDer({ signer: pki.ca, thisUpdate: testNow - 2000, nextUpdate: testNow - 1000 })
    expect(judge({ ...items['pck-crl'], der })).toBeNull()
  })

  it.each<[string, CollateralItem, string]>([
    ['TCB info as QE identity', { ...items['tcb-info'], kind: 'qe-identity' }, 'tdx.qeIdentity.wellFormed'],
    ['another text', { ...items['tcb-info'], text: '{}' }, 'tdx.tcbInfo.signature'],
    ['an unsigned document', { ...items['qe-identity'], signature: '00'.repeat(64) }, 'tdx.qeIdentity.signature'],
    ['a chain of the wrong kind', { ...items['tcb-info'], issuerChain: listChain }, 'tdx.tcbInfo.chain'],
    ['a list without its chain', { ...items['pck-crl'], issuerChain: null }, 'without the chain'],
    ['a list with the chain of a signer', { ...items['pck-crl'], issuerChain }, 'is not Intel SGX PCK'],
    ['the list of the root as that of the CA', { ...items['pck-crl'], der: items['root-crl'].der }, 'is that of'],
    ['the list of the CA as that of the root', { ...items['root-crl'], der: items['pck-crl'].der }, 'is that of'],
    ['a list of the root with a chain', { ...items['root-crl'], issuerChain: listChain }, 'with a chain'],
    [
      'a list by another CA',
      { ...items['pck-crl'], der: issueCrlDer({ signer: createPckCa(pki.root) }) },
      'another key',
    ],
    ['a changed list', { ...items['root-crl'], der: flipBit(items['root-crl'].der, 200) }, ''],
    ['no list at all', { ...items['root-crl'], der: new Uint8Array() }, 'needs 1 bytes'],
  ])('is refused: %s', (_what, item, says) => {
    expect(judge(item)).toEqual(expect.stringContaining(says))
  })
})
