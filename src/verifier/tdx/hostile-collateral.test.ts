import { describe, expect, it } from 'vitest'
import type { Identity } from '../../../mocks/tdx/certificates.ts'
import type { CollateralOptions } from '../../../mocks/tdx/collateral.ts'
import { createPki, type SimulatedPki } from '../../../mocks/tdx/pki.ts'
import { createSimulator } from '../../../mocks/tdx/simulator.ts'
import { FakeClock } from '../../../test/support/fake-clock.ts'
import type { Collateral } from '../../endorsements/tdx/collateral.ts'
import type { QeIdentity } from '../../endorsements/tdx/qe-identity.ts'
import type { TcbInfo } from '../../endorsements/tdx/tcb-info.ts'
import { appraiseQuote } from './appraise-quote.ts'
import type { AuthenticDocument, IssuerChain } from './collateral-chains.ts'
import type { TdxTrustAnchor } from './inputs.ts'
import type { PckChain } from './pck-chain.ts'
import { createQuoteMemo, type QuoteMemo, RecentMap } from './quote-memo.ts'
import type { AuthenticList } from './revocation.ts'

/** Two makers whose certificates have the same names, both of them trusted, as far as a test says so. */
const now = Date.UTC(2026, 5, 1)
const [pki, otherPki] = [createPki(now), createPki(now)]
const simulatorOf = (maker: SimulatedPki) => createSimulator({ clock: new FakeClock(now), pki: maker })
const [sim, other] = [simulatorOf(pki), simulatorOf(otherPki)]
const quote = sim.quote({ reportData: new Uint8Array(64) })
const good = sim.collateral()

interface Given {
  readonly anchors?: readonly TdxTrustAnchor[]
  readonly memo?: QuoteMemo
}

/** The checks that failed, without their common prefix. */
function failed(collateral: Collateral, { anchors = [pki.anchor, otherPki.anchor], memo }: Given = {}): string[] {
  const inputs = { collateral, now, trustAnchors: anchors, reportData: 'any', simulator: true } as const
  const { findings, verified } = appraiseQuote(quote, memo === undefined ? inputs : { ...inputs, memo })
  const ids = findings.filter(({ outcome }) => outcome === 'failed').map(({ id }) => id.slice('tdx.'.length))
  expect(verified).toBe(ids.length === 0)
  return ids
}

/** Judged alone, and by a memo that knows all there is to know of both makers. */
function failedBothWays(collateral: Collateral): string[] {
  const memo = createQuoteMemo()
  for (const known of [good, other.collateral()]) failed(known, { memo })
  const cold = failed(collateral)
  expect(failed(collateral, { memo })).toEqual(cold)
  return cold
}

const lists = { rootCaCrl: ['rootCrl.authentic'], pckCrl: ['pckCrl.authentic'], pckCrlIssuerChain: ['pckCrl.chain'] }
const documents = {
  tcbInfoIssuerChain: ['tcbInfo.chain'],
  tcbInfoSignature: ['tcbInfo.signature'],
  qeIdentityIssuerChain: ['qeIdentity.chain'],
  qeIdentitySignature: ['qeIdentity.signature'],
}

describe('collateral of another maker of the same names, who is trusted as well', () => {
  it.each(Object.entries({ ...lists, ...documents }))('is refused in its %s', (member, checks) => {
    expect(failedBothWays({ ...good, [member]: other.collateral()[member as keyof Collateral] })).toEqual(checks)
  })

  it('is refused as a whole', () => {
    expect(failedBothWays(other.collateral())).toEqual([
      ...['rootCrl.authentic', 'pckCrl.authentic', 'pckCrl.chain', 'qeIdentity.chain', 'tcbInfo.chain'],
    ])
  })
})

describe('collateral by hands of the same maker that may not write it (TDX 3.10)', () => {
  const bySigner = (signer: Identity): Collateral => sim.collateral({ signer })
  it.each(['platformPck', 'platformCa', 'processorCa', 'root'] as const)('documents signed by its %s', (member) => {
    expect(failedBothWays(bySigner(pki[member]))).toEqual(['qeIdentity.chain', 'tcbInfo.chain'])
  })

  it.each(['platformPck', 'processorCa', 'tcbSigner'] as const)('lists signed by its %s', (member) => {
    for (const revoked of [[], ['pck']] as const) {
      const collateral = sim.collateral({ listKey: pki[member].key, revoked })
      expect(failedBothWays(collateral)).toEqual(['rootCrl.authentic', 'pckCrl.authentic'])
    }
  })

  it('lists in the place of each other', () => {
    const swapped = { ...good, rootCaCrl: good.pckCrl, pckCrl: good.rootCaCrl }
    expect(failedBothWays(swapped)).toEqual(['rootCrl.authentic', 'pckCrl.authentic'])
  })

  it('documents in the place of each other', () => {
    const { tcbInfo, tcbInfoSignature, qeIdentity, qeIdentitySignature } = good
    const swapped = { ...good, tcbInfo: qeIdentity, tcbInfoSignature: qeIdentitySignature }
    expect(failedBothWays(swapped)).toEqual(['tcbInfo.wellFormed'])
    expect(failedBothWays({ ...good, qeIdentity: tcbInfo, qeIdentitySignature: tcbInfoSignature })).toEqual([
      'qeIdentity.wellFormed',
    ])
  })

  it('the chain of the other authority beside the list of the right one', () => {
    const { pckCrlIssuerChain } = sim.collateral({ ca: 'processor' })
    expect(failedBothWays({ ...good, pckCrlIssuerChain })).toEqual(['pckCrl.chain'])
  })
})

it('of a platform with another quoting enclave no status is judged', () => {
  const qeReport = { mrSigner: new Uint8Array(32).fill(1) }
  const inputs = { collateral: good, now, trustAnchors: [pki.anchor], reportData: 'any', simulator: true } as const
  const { findings, tcb } = appraiseQuote(sim.quote({ reportData: new Uint8Array(64), qeReport }), inputs)
  const outcomeOf = (id: string) => findings.find((finding) => finding.id === id)?.outcome
  expect([tcb, outcomeOf('tdx.qe.mrSigner'), outcomeOf('tdx.policy.tcbStatus')]).toEqual([null, 'failed', 'unreached'])
})

/** Counts what was asked for and known. */
class CountingMap<Value> extends RecentMap<Value> {
  hits = 0

  override get(key: string): Value | undefined {
    const value = super.get(key)
    if (value !== undefined) this.hits++
    return value
  }
}

describe('what a memo knows to be authentic', () => {
  it('is looked up, object by object (TDX-216)', () => {
    const memo = {
      pckChains: new CountingMap<PckChain>(4),
      tcbInfos: new CountingMap<AuthenticDocument<TcbInfo>>(4),
      qeIdentities: new CountingMap<AuthenticDocument<QeIdentity>>(4),
      lists: new CountingMap<AuthenticList>(4),
      issuerChains: new CountingMap<IssuerChain>(4),
    } satisfies QuoteMemo
    const hits = () => Object.values(memo).map((map) => map.hits)
    failed(good, { memo })
    expect(hits()).toEqual([0, 0, 0, 0, 0])
    failed(good, { memo })
    expect(hits()).toEqual([1, 1, 1, 2, 1])
  })

  it('is so under its own anchors alone (TDX-216)', () => {
    const memo = createQuoteMemo()
    const untrusted = ['pck.anchor', 'qeIdentity.chain', 'tcbInfo.chain']
    expect(failed(good, { memo, anchors: [pki.anchor] })).toEqual([])
    expect(failed(good, { memo, anchors: [otherPki.anchor] })).toEqual(untrusted)
    expect(failed(good, { memo, anchors: [] })).toEqual(untrusted)
    expect(failed(good, { memo, anchors: [otherPki.anchor, pki.anchor] })).toEqual([])
  })

  it.each<[string, CollateralOptions, string[]]>([
    ['the PCK certificate', { revoked: ['pck'] }, ['pck.revocation']],
    ['its authority', { revoked: ['ca'] }, ['pck.caRevocation']],
    ['the TCB signer', { revoked: ['tcb-signer'] }, ['signers.revocation']],
  ])('is revoked by the first list that names %s', (_, options, checks) => {
    const memo = createQuoteMemo()
    expect(failed(good, { memo })).toEqual([])
    const newer = sim.collateral(options)
    expect(failed({ ...good, rootCaCrl: newer.rootCaCrl, pckCrl: newer.pckCrl }, { memo })).toEqual(checks)
  })
})
