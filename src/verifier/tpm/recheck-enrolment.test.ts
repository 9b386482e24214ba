import { describe, expect, it } from 'vitest'
import {
  candidateFor,
  ekAuthority,
  enrolmentInputs,
  makeEnrollingTpm,
  maker,
} from '../../../test/support/enrolling-tpm.ts'
import { issueCrl, testNow } from '../../../test/support/test-ca.ts'
import { parseCertificate } from '../../base/pki/certificate.ts'
import type { EnrolmentInputs } from './enrolment.ts'
import { recheckEnrolment } from './recheck-enrolment.ts'

const year = 365 * 86_400_000
const candidate = candidateFor(makeEnrollingTpm())
const serials = candidate.certificates.map((der) => parseCertificate(der).serial)
const lists = (leaf: bigint[], authority: bigint[]) => [
  issueCrl({ signer: ekAuthority, revoked: leaf.map((serial) => ({ serial })) }),
  issueCrl({ signer: maker, revoked: authority.map((serial) => ({ serial })) }),
]

describe('an enrolment that is checked again', () => {
  it.each<[string, Partial<EnrolmentInputs>, string | null]>([
    ['stays', {}, null],
    ['stays to the last second', { now: testNow + year }, null],
    ['has expired after it', { now: testNow + year + 1000 }, 'certificate_expired'],
    [
      'is expired where the clock was set back before its certificate',
      { now: testNow - year - 1000 },
      'certificate_expired',
    ],
    ['is revoked', { revocation: 'optional', crls: lists(serials.slice(0, 1), []) }, 'certificate_revoked'],
    [
      'is revoked with its authority',
      { revocation: 'required', crls: lists([], serials.slice(1)) },
      'certificate_revoked',
    ],
    ['stays where lists are missing', { revocation: 'required', crls: [] }, null],
    [
      'is revoked, though also expired',
      { now: testNow + 2 * year, revocation: 'optional', crls: lists(serials.slice(0, 1), []) },
      'certificate_revoked',
    ],
    ['is untrusted without its anchor', { anchors: [] }, 'certificate_untrusted'],
    [
      'is untrusted without its anchor, though also expired',
      { anchors: [], now: testNow + 2 * year },
      'certificate_untrusted',
    ],
    [
      'is untrusted where its anchor is a simulator’s by now',
      { anchors: [], simulatorAnchors: enrolmentInputs.anchors },
      'certificate_untrusted',
    ],
    ['stays in simulator mode', { anchors: [], simulatorAnchors: enrolmentInputs.anchors, simulator: true }, null],
  ])('%s', (_what, changes, expected) => {
    expect(recheckEnrolment(candidate, { ...enrolmentInputs, ...changes })).toBe(expected)
  })

  it('with a pinned EK stays as long as it is pinned', () => {
    const pinned = { ...candidate, trust: 'ek-pinned' as const, certificates: [] }
    const pinnedEks = [{ spkiSha256: candidate.ekSpkiSha256, instanceId: null }]
    expect(recheckEnrolment(pinned, { ...enrolmentInputs, pinnedEks })).toBeNull()
    expect(recheckEnrolment(pinned, enrolmentInputs)).toBe('certificate_untrusted')
  })

  it('without certificates is untrusted', () => {
    expect(recheckEnrolment({ ...candidate, certificates: [] }, enrolmentInputs)).toBe('certificate_untrusted')
  })

  it.each([0, 1])('with a certificate %i that cannot be read is untrusted, and does not end the check', (at) => {
    const certificates = candidate.certificates.map((der, index) => (index === at ? der.subarray(1) : der))
    expect(recheckEnrolment({ ...candidate, certificates }, enrolmentInputs)).toBe('certificate_untrusted')
  })
})
