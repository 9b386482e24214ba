import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { SimulatedGuest } from '../../../test/support/simulated-guest.ts'
import { testNow } from '../../../test/support/test-ca.ts'
import { MalformedError } from '../../base/errors.ts'
import { encodeComposite, type GuestEvidence } from '../../evidence/composite.ts'
import { nonceSeed, reportDataFor } from '../evidence-binding.ts'
import { parseEvidenceDocument } from '../evidence-document.ts'
import { appraiseOffline, kindOfEvidence } from './appraise-offline.ts'
import type { OfflineQuestion } from './question.ts'

const nonce = Uint8Array.from({ length: 32 }, (_, at) => at)
const guest = new SimulatedGuest()
const both = guest.both(nonceSeed(nonce))
const alone = { tdx: guest.tdEvidence(reportDataFor(nonce, null)), tpm: null }

const question: OfflineQuestion = {
  now: testNow,
  nonce,
  verifier: null,
  simulator: true,
  requireEventLog: false,
  tpm: { ekTrust: null, akName: guest.tpm.akName, allowUnenrolled: false, requireIma: true, references: null },
  td: {
    collateral: guest.sim.collateral(),
    trustAnchors: [guest.sim.pki.anchor],
    references: null,
    tcbStatuses: null,
    allowDebug: false,
  },
}
const judged = (evidence: GuestEvidence, changes: Partial<OfflineQuestion> = {}) =>
  appraiseOffline({ ...evidence, form: 'document' }, { ...question, ...changes })
const failedOf = ({ findings }: ReturnType<typeof judged>) =>
  findings.filter(({ outcome }) => outcome === 'failed').map(({ id }) => id)

describe('a TD beside its TPM, offline', () => {
  it('is affirmed as one guest', () => {
    const { kind, affirmed, binding, akTrust, quote, claims } = judged(both)
    expect({ kind, affirmed, binding, akTrust, tcb: quote?.tcb?.status }).toEqual({
      ...{ kind: 'tdx+tpm', affirmed: true, binding: [{ edge: 'tdx+tpm', outcome: 'passed' }] },
      ...{ akTrust: 'none', tcb: 'UpToDate' },
    })
    expect(Object.keys(claims)).toEqual(expect.arrayContaining(['tdx', 'tpm']))
  })

  it('is refused where each part is over the nonce by itself: nothing ties them', () => {
    const evidence = { tdx: alone.tdx, tpm: { evidence: guest.tpm.evidence(nonce), container: both.tpm.container } }
    expect(failedOf(judged(evidence))).toEqual([
      ...['tdx.reportData', 'tpm.quote.nonce', 'composite.nonce', 'composite.devices'],
    ])
  })

  it('loses its claims with the endorsement key, wherever that was to be judged', () => {
    const ekTrust = { anchors: [], intermediates: [], crls: [], pinned: ['ab'.repeat(32)] }
    const appraisal = judged(both, { tpm: { ...question.tpm, ekTrust } })
    expect([appraisal.affirmed, appraisal.claims, appraisal.akTrust]).toEqual([false, {}, 'none'])
    expect(failedOf(appraisal)).not.toContain('composite.devices')
  })

  it('is refused without collateral, and the way to it names the platform (TDX-099)', () => {
    const appraisal = judged(both, { td: { ...question.td, collateral: null } })
    expect([appraisal.affirmed, failedOf(appraisal)]).toEqual([false, ['tdx.collateral.present']])
    expect(appraisal.remedy).toBe(
      'name --collateral: attestd collateral fetch --tee tdx --fmspc 51d0ac000000 --ca platform --output BUNDLE',
    )
    expect(judged(both).remedy).toBeNull()
  })

  it('is only judged against its nonce', () => {
    expect(() => judged(both, { nonce: 'any' })).toThrow(TypeError)
    expect(() => judged({ tdx: null, tpm: both.tpm }, { nonce: 'any' })).toThrow(TypeError)
    expect(() => judged({ tdx: null, tpm: null })).toThrow(TypeError)
  })

  it('is affirmed with no bit of quote or container changed, and never ends in a program error', () => {
    const flipped = (bytes: Uint8Array, at: number, bit: number) =>
      bytes.map((byte, index) => (index === at % bytes.length ? byte ^ (1 << bit) : byte))
    const verdict = (part: 'tdx' | 'tpm', at: number, bit: number): boolean => {
      const tdx = part === 'tdx' ? { ...both.tdx, quote: flipped(both.tdx.quote, at, bit) } : both.tdx
      const container = part === 'tpm' ? flipped(both.tpm.container, at, bit) : both.tpm.container
      const bytes = new TextEncoder().encode(JSON.stringify(encodeComposite(tdx, { container })))
      try {
        return appraiseOffline(parseEvidenceDocument(bytes), question).affirmed
      } catch (error) {
        if (error instanceof MalformedError) return false
        throw error
      }
    }
    expect(verdict('tdx', 0, 8)).toBe(true)
    const [parts, places, bits] = [fc.constantFrom('tdx' as const, 'tpm' as const), fc.nat(), fc.nat(7)]
    fc.assert(
      fc.property(parts, places, bits, (part, at, bit) => !verdict(part, at, bit)),
      { numRuns: 60 },
    )
  })
})

describe('a TD alone, offline', () => {
  it('is affirmed over its nonce, and over any where that is waived', () => {
    expect(judged(alone)).toMatchObject({ kind: 'tdx', affirmed: true, akTrust: null, binding: [] })
    expect(judged(alone, { nonce: 'any' }).affirmed).toBe(true)
    expect(failedOf(judged(alone, { nonce: nonce.subarray(1) }))).toEqual(['tdx.reportData'])
  })

  it('is refused where it covers devices that are not there', () => {
    expect(failedOf(judged({ tdx: both.tdx, tpm: null }))).toEqual(['tdx.reportData'])
  })

  it('says what was not asked', () => {
    const notes = (changes: Partial<OfflineQuestion>) => judged(alone, changes).notes.join('\n')
    expect(notes({ nonce: 'any' })).toContain('recording of any age')
    expect(notes({})).toContain('name --references')
    expect(notes({})).toContain('simulated TDs were let through')
    expect(notes({ simulator: false })).not.toContain('simulated')
  })
})

describe('what evidence is about', () => {
  const quote = (...start: number[]) => ({ tdx: { ...alone.tdx, quote: Uint8Array.from(start) }, tpm: null })

  it.each([
    ['a bare quote of an enclave', { ...quote(3, 0, 2, 0, 0, 0, 0, 0, 9), form: 'quote' as const }, 'sgx'],
    ['a bare quote of a TD', { ...quote(4, 0, 2, 0, 0x81, 0, 0, 0), form: 'quote' as const }, 'tdx'],
    [
      'a container, whose quote is of a TD or refused',
      { ...quote(3, 0, 2, 0, 0, 0, 0, 0), form: 'container' as const },
      'tdx',
    ],
    ['a document, likewise', { ...quote(3, 0, 2, 0, 0, 0, 0, 0), form: 'document' as const }, 'tdx'],
    ['a TPM', { tdx: null, tpm: both.tpm, form: 'container' as const }, 'tpm'],
    ['both', { ...both, form: 'container' as const }, 'tdx+tpm'],
  ])('%s', (_, evidence, kind) => {
    expect(kindOfEvidence(evidence)).toBe(kind)
  })
})
