import { describe, expect, it } from 'vitest'
import { certifyEk, ekAuthority, maker } from '../../../test/support/enrolling-tpm.ts'
import { SoftwareTpm } from '../../../test/support/software-tpm.ts'
import { createRoot, issueCrl, testNow } from '../../../test/support/test-ca.ts'
import { parseCertificate } from '../../base/pki/certificate.ts'
import { sha256Hex } from '../../base/pki/signed-object.ts'
import { anchorOf } from '../../base/pki/trust-anchor.ts'
import type { TpmEvidence } from '../../evidence/tpm/evidence.ts'
import { spkiOfKey } from '../../verifier/tpm/key-certificate.ts'
import { appraiseOffline } from './appraise-offline.ts'
import type { OfflineQuestion, TpmQuestion } from './question.ts'

const tpm = new SoftwareTpm()
const nonce = new Uint8Array(32).fill(9)
const bare = tpm.evidence(nonce)
const evidence: TpmEvidence = {
  ...bare,
  ek: { ...bare.ek, certificate: certifyEk(tpm.ek), chain: [ekAuthority.certificate.der] },
}
const spki = sha256Hex(spkiOfKey(tpm.ek.area))

const trustIn = (...anchors: Parameters<typeof anchorOf>[0][]) => ({
  anchors: anchors.map((certificate) => anchorOf(certificate)),
  intermediates: [],
  crls: [],
  pinned: [] as string[],
})

type Changes = Partial<OfflineQuestion & TpmQuestion>

/** Unless it is said otherwise nobody vouches for anything. */
const whole = ({
  ekTrust = null,
  akName = null,
  allowUnenrolled = false,
  requireIma = false,
  ...others
}: Changes): OfflineQuestion => ({
  ...{ now: testNow, nonce, verifier: null, simulator: false, requireEventLog: false },
  td: { collateral: null, trustAnchors: [], references: null, tcbStatuses: null, allowDebug: false },
  ...others,
  tpm: { ekTrust, akName, allowUnenrolled, requireIma, references: null },
})
const named = { akName: tpm.akName }
const certified = { ekTrust: trustIn(maker.certificate) }

const judged = (changes: Changes, given = evidence) =>
  appraiseOffline({ tdx: null, tpm: { evidence: given, container: null }, form: 'document' }, whole(changes))
const idsOf = (outcome: string, changes: Changes, given = evidence) =>
  judged(changes, given)
    .findings.filter((finding) => finding.outcome === outcome && !finding.detail?.startsWith('inputs.references'))
    .map(({ id }) => id)
const claimsOf = (changes: Changes) => judged(changes).claims['tpm'] as Record<string, unknown>

describe('what the operator says decides what is shown', () => {
  it.each<[string, Changes, boolean, string, string[]]>([
    ['nothing', {}, false, 'none', ['tpm.ak.known']],
    ['a genuine EK alone', certified, false, 'none', ['tpm.ak.known']],
    ['that the key is enrolled', named, true, 'none', []],
    ['that the key is enrolled, and a genuine EK', { ...certified, akName: tpm.akName }, true, 'ek-certificate', []],
    [
      'that the key is enrolled, and which EK is pinned',
      { ...named, ekTrust: { ...trustIn(), pinned: [spki] } },
      true,
      'ek-pinned',
      [],
    ],
    ['that no key need be enrolled', { allowUnenrolled: true }, true, 'none', []],
    ['that no key need be enrolled, with a genuine EK', { ...certified, allowUnenrolled: true }, true, 'none', []],
    [
      'that no key need be enrolled, with anchors of somebody else',
      { allowUnenrolled: true, ekTrust: trustIn(createRoot().certificate) },
      false,
      'none',
      ['tpm.ek.chain'],
    ],
    [
      'that the key is enrolled, with anchors of somebody else',
      { ...named, ekTrust: trustIn(createRoot().certificate) },
      false,
      'none',
      ['tpm.ek.chain'],
    ],
    [
      'that another key is enrolled',
      { ...named, akName: new SoftwareTpm({ ek: tpm.ek }).akName },
      false,
      'none',
      ['tpm.ak.known'],
    ],
    ['another nonce', { ...named, nonce: new Uint8Array(32) }, false, 'none', ['tpm.quote.nonce']],
    [
      'a pin of another EK',
      { ...named, ekTrust: { ...trustIn(), pinned: ['ab'.repeat(32)] } },
      false,
      'none',
      ['tpm.ek.chain'],
    ],
    [
      'a time after the certificates',
      { ...certified, akName: tpm.akName, now: Date.UTC(2200, 0, 1) },
      false,
      'none',
      ['tpm.ek.validity'],
    ],
  ])('%s', (_, changes, affirmed, akTrust, failed) => {
    const appraisal = judged(changes)
    expect([appraisal.affirmed, appraisal.akTrust]).toEqual([affirmed, akTrust])
    expect(idsOf('failed', changes)).toEqual(failed)
    expect(Object.keys(appraisal.claims).length > 0).toBe(affirmed)
  })

  it('puts the endorsement key first, and only where it is to be judged', () => {
    expect(judged(certified).findings[0]?.id).toBe('tpm.enrolment.akWellFormed')
    expect(judged(named).findings.some(({ id }) => id.startsWith('tpm.enrolment.'))).toBe(false)
  })

  it('without a certificate in the evidence no anchor helps', () => {
    const changes = { ...certified, akName: tpm.akName }
    expect(idsOf('failed', changes, bare)).toEqual(['tpm.ek.certificate'])
    const without = { ...bare, ek: { publicArea: null, certificate: null, chain: [] } }
    expect(idsOf('failed', changes, without)).toEqual(['tpm.ek.wellFormed'])
  })

  it('a genuine EK beside a key that hangs under another one is refused, although the key is enrolled (TPM-13)', () => {
    const other = new SoftwareTpm()
    const ek = { ...evidence.ek, publicArea: bare.ek.publicArea }
    const foreign = { ...other.evidence(nonce), ek }
    const changes = { ...certified, akName: other.akName }
    expect(idsOf('failed', changes, foreign)).toEqual(['tpm.quote.signer'])
    expect(judged(changes, foreign).akTrust).toBe('none')
  })
})

describe('what an offline appraisal does not know', () => {
  it('is waived by name: the selection, the counters, and of a named key its parent', () => {
    expect(idsOf('waived', named)).toEqual([
      'tpm.ek.current',
      'tpm.quote.asked',
      'tpm.quote.signer',
      'tpm.counters.rollback',
      'tpm.ima.bootAggregate',
    ])
    expect(idsOf('waived', { ...certified, akName: tpm.akName })).toEqual([
      'tpm.ek.revocation',
      'tpm.ek.instance',
      'tpm.quote.asked',
      'tpm.counters.rollback',
      'tpm.ima.bootAggregate',
    ])
  })

  it('is not claimed', () => {
    const about = /^(?:ek_|crl_|new_boot)|_count|firmware/
    expect(Object.keys(claimsOf(named)).filter((name) => about.test(name))).toEqual([])
    expect(claimsOf(named)).toMatchObject({ ak_trusted: false, ak_trust: 'none' })
    const both = claimsOf({ ...certified, akName: tpm.akName })
    expect(both).toMatchObject({
      ak_trusted: true,
      ak_trust: 'ek-certificate',
      ek_spki_sha256: spki,
      crl_status: 'off',
    })
    expect(both['new_boot']).toBeUndefined()
    expect(Object.keys(claimsOf({ ...certified, allowUnenrolled: true })).filter((name) => about.test(name))).toEqual(
      [],
    )
  })

  it('is said: only an activation proves that both keys are in one TPM', () => {
    for (const changes of [certified, { ...certified, akName: tpm.akName }]) {
      expect(judged(changes).notes.join('\n')).toContain('only an activation (enrolment) proves')
    }
    expect(judged(named).notes.join('\n')).toContain('rests on your word alone')
    expect(judged({ allowUnenrolled: true }).notes.join('\n')).toContain('may be a file on any computer')
  })
})

describe('revocation lists', () => {
  const withLists = (...crls: ReturnType<typeof issueCrl>[]) => ({
    ...named,
    ekTrust: { ...trustIn(maker.certificate), crls },
  })
  const serial = parseCertificate(evidence.ek.certificate ?? new Uint8Array()).serial

  it('that are given must cover the whole chain, and are then claimed to be fresh', () => {
    const lists = [issueCrl({ signer: ekAuthority }), issueCrl({ signer: maker })]
    expect(idsOf('failed', withLists(...lists))).toEqual([])
    expect(claimsOf(withLists(...lists))).toMatchObject({ crl_status: 'fresh' })
    for (const list of lists) expect(idsOf('failed', withLists(list))).toEqual(['tpm.ek.revocation'])
  })

  it('refuse what they name, and say nothing once they have ended', () => {
    const revoking = issueCrl({ signer: ekAuthority, revoked: [{ serial }] })
    expect(idsOf('failed', withLists(revoking, issueCrl({ signer: maker })))).toEqual(['tpm.ek.revocation'])
    const stale = issueCrl({ signer: ekAuthority, nextUpdate: testNow - 1000 })
    expect(idsOf('failed', withLists(stale, issueCrl({ signer: maker })))).toEqual(['tpm.ek.revocation'])
  })
})

describe('logs', () => {
  const without = { ...bare, eventLog: null, ima: null }

  it('may be absent, unless they are required', () => {
    expect(judged(named, without).affirmed).toBe(true)
    expect(idsOf('failed', { ...named, requireEventLog: true }, without)).toEqual(['tpm.eventlog.present'])
    expect(idsOf('failed', { ...named, requireIma: true }, without)).toEqual(['tpm.ima.present'])
    expect(judged({ ...named, requireEventLog: true, requireIma: true }).affirmed).toBe(true)
  })
})

describe('simulated TPMs', () => {
  const simulated = { ...evidence, simulated: true }

  it('are refused unless they are let through', () => {
    expect(idsOf('failed', { ...certified, akName: tpm.akName }, simulated)).toEqual([
      'tpm.ek.hardware',
      'tpm.hardware',
    ])
    const through = judged({ ...certified, akName: tpm.akName, simulator: true }, simulated)
    expect(through.affirmed).toBe(true)
    expect(through.notes.join('\n')).toContain('simulated TPMs were let through')
  })
})

it('certificates that come with the evidence are never anchors (EKC-01)', () => {
  const root = parseCertificate(maker.certificate.der)
  const chain = [ekAuthority.certificate.der, root.der]
  const given = { ...evidence, ek: { ...evidence.ek, chain } }
  expect(idsOf('failed', { ...named, ekTrust: trustIn(createRoot().certificate) }, given)).toEqual(['tpm.ek.chain'])
})
