import { describe, expect, it } from 'vitest'
import { ekAuthority, enrolmentInputs, keyPairOf, maker } from '../../../test/support/enrolling-tpm.ts'
import { makeSoftwareAk } from '../../../test/support/software-tpm.ts'
import { type CertificateSpec, issueCrl, issueDer, testNow } from '../../../test/support/test-ca.ts'
import { haveVectors, vector } from '../../../test/support/vectors.ts'
import { parseCertificate } from '../../base/pki/certificate.ts'
import { encodePem } from '../../base/pki/pem.ts'
import { anchorOf } from '../../base/pki/trust-anchor.ts'
import { encodeSizedPublic, nameOf, parsePublic } from '../../evidence/tpm/public-area.ts'
import { type AkCertificateInputs, appraiseAkCertificate, type CertifiedAk } from './ak-certificate.ts'
import { akCertificateChecks } from './enrolment-checks.ts'

const ak = makeSoftwareAk()
const inputs: AkCertificateInputs = { ...enrolmentInputs, akParent: { under: 'hierarchy', hierarchy: 'endorsement' } }
const healthy: CertificateSpec = {
  signer: ekAuthority,
  keys: keyPairOf(ak),
  keyUsage: ['digitalSignature'],
  extKeyUsage: ['2.23.133.8.3'],
}
const certified = (changes: Partial<CertificateSpec> = {}, members: Partial<CertifiedAk> = {}): CertifiedAk => ({
  publicArea: encodeSizedPublic(ak.area),
  certificate: encodePem(issueDer({ ...healthy, ...changes }), 'CERTIFICATE'),
  chain: [ekAuthority.certificate.der],
  ...members,
})
const seen = { failed: new Set<string>(), passed: new Set<string>() }

function failures(asked: CertifiedAk, changes: Partial<AkCertificateInputs> = {}): string[] {
  const { findings, affirmed, enrolment } = appraiseAkCertificate(asked, { ...inputs, ...changes })
  for (const { id, outcome } of findings) if (outcome === 'failed' || outcome === 'passed') seen[outcome].add(id)
  expect(affirmed).toBe(enrolment !== null)
  return findings.filter(({ outcome }) => outcome === 'failed').map(({ id }) => id.replace('tpm.akCertificate.', ''))
}

describe('a certified AK', () => {
  const crls = [issueCrl({ signer: ekAuthority }), issueCrl({ signer: maker })]

  it('stands for an enrolment', () => {
    expect(failures(certified(), { revocation: 'required', crls })).toEqual([])
    expect(appraiseAkCertificate(certified(), inputs).enrolment).toEqual({
      ...{ akName: nameOf(ak.area), akTrust: 'ak-certificate', akParent: inputs.akParent, anchor: 'example' },
      ...{ crlStatus: 'off', ekSpkiSha256: null, ekCertSha256: null, instanceId: null },
      ...{ counters: null, imaCheckpoint: null },
      ...{ ekNotAfter: testNow + 365 * 86_400_000, crlFreshUntil: null, simulated: false },
    })
  })

  it.each<[string, CertifiedAk, string[]]>([
    ['an AK that is cut', certified({}, { publicArea: new Uint8Array(3) }), ['wellFormed']],
    ['text before the certificate', certified({}, { certificate: `x${certified().certificate}` }), ['certificate']],
    [
      'two certificates',
      certified({}, { certificate: certified().certificate + certified().certificate }),
      ['certificate'],
    ],
    [
      'an unknown critical extension',
      certified({ extensions: [{ id: '1.2.3', critical: true, value: Uint8Array.of(5, 0) }] }),
      ['certificate'],
    ],
    ['another key', certified({ keys: keyPairOf(makeSoftwareAk()) }), ['match']],
    ['another purpose', certified({ extKeyUsage: ['2.23.133.8.1'] }), ['usage']],
    ['no signing', certified({ keyUsage: ['keyAgreement'] }), ['usage']],
    ['an expired certificate', certified({ notBefore: 0, notAfter: testNow - 1000 }), ['validity']],
    ['no issuer', certified({}, { chain: [] }), ['chain']],
  ])('with %s is refused', (_what, asked, problems) => {
    expect(failures(asked)).toEqual(problems)
  })

  it('is refused when it is revoked, and without an anchor', () => {
    const { serial } = parseCertificate(issueDer({ ...healthy, serial: Uint8Array.of(9) }))
    const revoking = [issueCrl({ signer: ekAuthority, revoked: [{ serial }] }), issueCrl({ signer: maker })]
    expect(failures(certified({ serial: Uint8Array.of(9) }), { revocation: 'optional', crls: revoking })).toEqual([
      'revocation',
    ])
    expect(failures(certified(), { anchors: [] })).toEqual(['chain'])
  })
})

describe.skipIf(!haveVectors)('the recorded AK certificate', () => {
  it('is for the recorded AK; its purpose is that of an EK, and its authority is not configured', () => {
    const asked = {
      publicArea: encodeSizedPublic(parsePublic(vector('tpm/quotes/gce-cos85/ak.tpmt'))),
      certificate: encodePem(vector('tpm/quotes/gce-cos85/ak-cert.der'), 'CERTIFICATE'),
      chain: [],
    }
    const { findings } = appraiseAkCertificate(asked, { ...inputs, anchors: [anchorOf(maker.certificate)] })
    const outcomes = Object.fromEntries(
      findings.map(({ id, outcome }) => [id.replace('tpm.akCertificate.', ''), outcome]),
    )
    expect(outcomes).toMatchObject({
      wellFormed: 'passed',
      certificate: 'passed',
      match: 'passed',
      usage: 'failed',
      chain: 'failed',
    })
  })
})

it('every check failed in one test and passed in another', () => {
  const ids = Object.keys(akCertificateChecks)
  expect(ids.filter((id) => !seen.failed.has(id) || !seen.passed.has(id))).toEqual([])
})
