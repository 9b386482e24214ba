import { describe, expect, it } from 'vitest'
import { CollateralIssuer } from '../../../mocks/tdx/collateral.ts'
import { createPki } from '../../../mocks/tdx/pki.ts'
import { testNow } from '../../../test/support/test-ca.ts'
import { flipBit, generateKeys } from '../../../test/support/test-ca-schema.ts'
import {
  createPckPki,
  createPckRoot,
  issuePckDer,
  issueTcbSignerDer,
  pemOf,
  signText,
} from '../../../test/support/test-pck.ts'
import { haveVectors, vector, vectorJson } from '../../../test/support/vectors.ts'
import { parseCertificate } from '../../base/pki/certificate.ts'
import { parsePem, parsePemBlocks } from '../../base/pki/pem.ts'
import { anchorOf, type TrustAnchor } from '../../base/pki/trust-anchor.ts'
import { parseCollateral } from '../../endorsements/tdx/collateral.ts'
import { intelSgxRootAnchors } from '../../endorsements/tdx/intel-root.ts'
import { Checklist } from '../../results/checklist.ts'
import { ChainWork } from './chain-work.ts'
import {
  authenticateQeIdentity,
  authenticateTcbInfo,
  judgeChainValidity,
  readIssuerChain,
  type SignedText,
} from './collateral-chains.ts'
import { qeIdentityChecks, tcbInfoChecks } from './collateral-checks.ts'

const pki = createPckPki()
const rootDer = pki.root.certificate.der
const signerDer = issueTcbSignerDer(pki)
const chain = pemOf(signerDer, rootDer)
const issuer = new CollateralIssuer(createPki(testNow), testNow)
const { text: tcbInfo } = issuer.tcbInfo()
const { text: qeIdentity } = issuer.qeIdentity()

const signed = (text: string, key = pki.signerKeys.privateKey, issuerChain = chain): SignedText => ({
  text,
  signature: signText(text, key),
  issuerChain,
})

/** `authentic`, or the failed check and its detail. */
function tcbInfoVerdict(document: SignedText, anchors: readonly TrustAnchor[] = pki.anchors): string {
  const checklist = new Checklist(tcbInfoChecks)
  const authentic = authenticateTcbInfo(checklist, document, { work: new ChainWork(), anchors })
  return verdict(checklist, authentic)
}

function qeIdentityVerdict(document: SignedText, anchors: readonly TrustAnchor[] = pki.anchors): string {
  const checklist = new Checklist(qeIdentityChecks)
  const authentic = authenticateQeIdentity(checklist, document, { work: new ChainWork(), anchors })
  return verdict(checklist, authentic)
}

function verdict(checklist: Pick<Checklist<string>, 'findings'>, authentic: object | null): string {
  const [failed, ...others] = checklist.findings().filter(({ outcome }) => outcome === 'failed')
  expect(others).toEqual([])
  expect(authentic === null).toBe(failed !== undefined)
  return failed ? `${failed.id.split('.').at(-1)}: ${failed.detail}` : 'authentic'
}

describe('a signed document', () => {
  it('is authentic with its chain and the signature over its bytes', () => {
    expect(tcbInfoVerdict(signed(tcbInfo))).toBe('authentic')
    expect(qeIdentityVerdict(signed(qeIdentity))).toBe('authentic')
  })

  it('may be signed pretty-printed; one that was serialised again is not authentic (3.8.8)', () => {
    const pretty = JSON.stringify(JSON.parse(tcbInfo), null, 2)
    expect(tcbInfoVerdict(signed(pretty))).toBe('authentic')
    expect(tcbInfoVerdict({ ...signed(tcbInfo), text: pretty })).toMatch(/^signature/)
    expect(tcbInfoVerdict({ ...signed(tcbInfo), text: `${tcbInfo} ` })).toMatch(/^signature/)
    expect(tcbInfoVerdict(signed(`${tcbInfo} `))).toBe('authentic')
  })

  it('is not authentic with one bit of its text changed', () => {
    for (let at = 0; at < qeIdentity.length; at += 5) {
      const text = Buffer.from(flipBit(Buffer.from(qeIdentity), at)).toString('latin1')
      expect(qeIdentityVerdict({ ...signed(qeIdentity), text })).toMatch(/^signature/)
    }
  })

  it('is not authentic as the other kind of document', () => {
    expect(tcbInfoVerdict(signed(qeIdentity))).toMatch(/^wellFormed: tcbInfo/)
    expect(qeIdentityVerdict(signed(tcbInfo))).toMatch(/^wellFormed: qeIdentity/)
  })

  it.each<[string, (good: string) => string]>([
    ['of zeros', () => '00'.repeat(64)],
    ['with a zero s', (good) => good.slice(0, 64) + '00'.repeat(32)],
    ['with one bit changed', (good) => (good.startsWith('0') ? '1' : '0') + good.slice(1)],
    ['with r and s exchanged', (good) => good.slice(64) + good.slice(0, 64)],
    ['of 63 bytes', (good) => good.slice(2)],
    ['of 65 bytes', (good) => `${good}00`],
    ['of another alphabet', (good) => `xy${good.slice(2)}`],
    ['that is empty', () => ''],
  ])('has a signature of 64 bytes, raw: one %s is refused', (_what, change) => {
    const good = signed(tcbInfo)
    expect(tcbInfoVerdict({ ...good, signature: change(good.signature) })).toMatch(/^signature/)
  })

  it('is parsed only under a valid signature', () => {
    expect(tcbInfoVerdict({ ...signed('{}'), signature: '00'.repeat(64) })).toMatch(/^signature/)
    expect(tcbInfoVerdict(signed('{}'))).toMatch(/^wellFormed/)
    expect(tcbInfoVerdict(signed(tcbInfo.replace('{', '{"fmspc":"000000000000",')))).toContain('duplicate')
  })

  it('with half of a surrogate pair has no bytes that could be signed', () => {
    const text = tcbInfo.replace('{', '{"x":"\ud800",')
    expect(tcbInfoVerdict(signed(text))).toMatch(/^signature/)
    expect(tcbInfoVerdict(signed(tcbInfo.replace('{', '{"x":"\u{1f600}",')))).toBe('authentic')
  })
})

describe('the signer of a document (TDX-150)', () => {
  const other = generateKeys()
  const named = (CN: string) => ({ CN, O: 'Example' })
  const otherRoot = createPckRoot({ keys: pki.root.keys })
  const leaf = issuePckDer(pki)
  const withSigner = (der: Uint8Array, key = pki.signerKeys.privateKey) => signed(tcbInfo, key, pemOf(der, rootDer))
  const alone = (issuerChain: string) => signed(tcbInfo, pki.signerKeys.privateKey, issuerChain)

  it.each<[string, SignedText, RegExp]>([
    ['a key that is not in the chain', signed(tcbInfo, other.privateKey), /^signature/],
    ['no chain', alone(''), /^chain/],
    ['the signer alone', alone(pemOf(signerDer)), /has 1 certificates, must have 2/],
    ['three certificates', alone(pemOf(signerDer, pki.ca.certificate.der, rootDer)), /has 3/],
    ['reversed order', alone(pemOf(rootDer, signerDer)), /no trust anchor/],
    ['text between the certificates', alone(`${pemOf(signerDer)}x\n${pemOf(rootDer)}`), /outside/],
    ['another encoding of the root', alone(pemOf(signerDer, otherRoot.certificate.der)), /no trust anchor/],
    ['a PCK leaf', signed(tcbInfo, pki.leafKeys.privateKey, pemOf(leaf, rootDer)), /is not Intel SGX TCB Signing/],
    ['the PCK CA', withSigner(pki.ca.certificate.der, pki.ca.keys.privateKey), /is not Intel SGX TCB Signing/],
    ['the root itself', withSigner(rootDer, pki.root.keys.privateKey), /is not Intel SGX TCB Signing/],
    ['another leaf under the root', withSigner(issueTcbSignerDer(pki, { subject: named('Else') })), /is not Intel SGX/],
    ['a signer that is a CA', withSigner(issueTcbSignerDer(pki, { basicConstraints: { ca: true } })), /may not be/],
    [
      'a signer that a PCK leaf issued in the name of the root',
      withSigner(issueTcbSignerDer({ root: { ...pki.root, keys: pki.leafKeys }, signerKeys: pki.signerKeys })),
      /not signed by the key of its issuer/,
    ],
    [
      'a signer that the PCK CA issued',
      withSigner(issueTcbSignerDer({ root: pki.ca, signerKeys: pki.signerKeys })),
      /names another issuer/,
    ],
    ['a signer with SHA-384', withSigner(issueTcbSignerDer(pki, { algorithm: 'ecdsa-sha384' })), /SHA-256/],
    ['a signer on P-384', withSigner(issueTcbSignerDer(pki, { keys: generateKeys('P-384') })), /not on P-256/],
  ])('%s is refused', (_what, document, says) => {
    expect(tcbInfoVerdict(document)).toMatch(says)
    expect(qeIdentityVerdict({ ...document, text: qeIdentity })).toMatch(/^(chain|signature)/)
  })

  it('needs an anchor, that of the platform: collateral under another trusted root is not looked at', () => {
    expect(tcbInfoVerdict(signed(tcbInfo), [])).toMatch(/no trust anchor/)
    expect(tcbInfoVerdict(signed(tcbInfo), intelSgxRootAnchors)).toMatch(/no trust anchor/)
  })

  it('is under a root with the name and the role of one, also where it is an anchor', () => {
    const under = (root: ReturnType<typeof createPckRoot>) => {
      const der = issueTcbSignerDer({ root, signerKeys: pki.signerKeys })
      const issuerChain = pemOf(der, root.certificate.der)
      return tcbInfoVerdict(signed(tcbInfo, pki.signerKeys.privateKey, issuerChain), [anchorOf(root.certificate)])
    }
    expect(under(createPckRoot())).toBe('authentic')
    expect(under(createPckRoot({ subject: named('Else') }))).toMatch(/is not Intel SGX Root CA/)
    expect(under(createPckRoot({ issuer: named('Else') }))).toMatch(/names another issuer/)
    expect(under(createPckRoot({ basicConstraints: { ca: false } }))).toMatch(/not a certificate authority/)
    expect(under(createPckRoot({ keyUsage: ['cRLSign'] }))).toMatch(/may not sign certificates/)
  })

  it('is valid at the time of the appraisal, and so is the root', () => {
    const [notBefore, notAfter] = [testNow - 1000, testNow + 1000]
    const narrow = parseCertificate(issueTcbSignerDer(pki, { notBefore, notAfter }))
    const at = (now: number) => {
      const checklist = new Checklist(tcbInfoChecks)
      const id = 'tdx.tcbInfo.chainValidity'
      return judgeChainValidity<typeof id>(checklist, id, [narrow, pki.root.certificate], now)
    }
    expect([notBefore - 1, notBefore, notAfter + 999, notAfter + 1000].map(at)).toEqual([false, true, true, false])
  })
})

describe('the chain of a PCK revocation list', () => {
  const context = { work: new ChainWork(), anchors: pki.anchors }

  it('is a PCK CA and its root', () => {
    const found = readIssuerChain(pemOf(pki.ca.certificate.der, rootDer), 'pckCa', context)
    expect(found).toMatchObject({ anchor: { name: 'test' } })
    expect(readIssuerChain(chain, 'pckCa', context)).toContain('is not Intel SGX PCK Platform CA or')
    expect(readIssuerChain(pemOf(pki.ca.certificate.der, rootDer), 'tcbSigner', context)).toContain(
      'is not Intel SGX TCB',
    )
  })
})

describe.skipIf(!haveVectors)('recorded documents', () => {
  interface Golden {
    readonly signer_certificate: string
    readonly identities: readonly { readonly name: string; readonly text: string; readonly signature: string }[]
  }
  const golden: Golden = haveVectors
    ? vectorJson('tdx/golden/intel-signed-identities.json')
    : { signer_certificate: '', identities: [] }
  const pemAt = (path: string) => Buffer.from(vector(`tdx/${path}`)).toString('latin1')

  it.each(golden.identities)(
    '$name: the bytes that Intel signed in 2023 verify, indented ones do not (PCS-07)',
    (one) => {
      const issuerChain = golden.signer_certificate + pemAt('anchors/intel-sgx-root-ca-2049.pem')
      const document = { text: one.text, signature: one.signature, issuerChain }
      expect(qeIdentityVerdict(document, intelSgxRootAnchors)).toBe('authentic')
      const indented = JSON.stringify(JSON.parse(one.text), null, 2)
      expect(qeIdentityVerdict({ ...document, text: indented }, intelSgxRootAnchors)).toMatch(/^signature/)
    },
  )

  const bundles = ['dcapqvl-sgx-00a067-2025-06', 'dcapqvl-tdx-b0c06f-2025-06', 'gotdx-tdx-50806f-2023-06']
  it.each([...bundles, 'gotdxv5-tdx-90c06f-2026-02'])('%s is authentic under the pinned root', (name) => {
    const collateral = parseCollateral(vector(`tdx/collateral/${name}.json`))
    expect(tcbInfoVerdict(tcbInfoOf(collateral), intelSgxRootAnchors)).toBe('authentic')
    expect(qeIdentityVerdict(qeIdentityOf(collateral), intelSgxRootAnchors)).toBe('authentic')
    expect(parsePemBlocks(collateral.tcbInfoIssuerChain, 'CERTIFICATE')).toHaveLength(2)
  })

  it('of the test PKI are authentic under their own root alone', () => {
    const collateral = parseCollateral(vector('tdx/collateral/intel-testpki-sgx.json'))
    const anchor = anchorOf(parseCertificate(parsePem(pemAt('collateral/intel-testpki-sgx.root.pem'), 'CERTIFICATE')))
    expect(tcbInfoVerdict(tcbInfoOf(collateral), [anchor])).toBe('authentic')
    expect(qeIdentityVerdict(qeIdentityOf(collateral), [anchor])).toBe('authentic')
    expect(tcbInfoVerdict(tcbInfoOf(collateral), intelSgxRootAnchors)).toMatch(/no trust anchor/)
  })

  type Bundle = ReturnType<typeof parseCollateral>
  const tcbInfoOf = ({ tcbInfo: text, tcbInfoSignature: signature, tcbInfoIssuerChain: issuerChain }: Bundle) => ({
    ...{ text, signature, issuerChain },
  })
  const qeIdentityOf = (bundle: Bundle) => ({
    text: bundle.qeIdentity,
    signature: bundle.qeIdentitySignature,
    issuerChain: bundle.qeIdentityIssuerChain,
  })
})
