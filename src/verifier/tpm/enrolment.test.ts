import { createHash } from 'node:crypto'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  certifyEk,
  ekAuthority,
  enrolmentInputs,
  keyPairOf,
  makeEnrollingTpm,
  maker,
} from '../../../test/support/enrolling-tpm.ts'
import { makeSoftwareAk, makeSoftwareEk, type SoftwareKey } from '../../../test/support/software-tpm.ts'
import {
  type CertificateSpec,
  createIntermediate,
  createRoot,
  issueCrl,
  testNow,
} from '../../../test/support/test-ca.ts'
import { flipBit, spkiOf } from '../../../test/support/test-ca-schema.ts'
import { haveVectors, vector, vectorJson } from '../../../test/support/vectors.ts'
import { parseCertificate } from '../../base/pki/certificate.ts'
import { parsePem } from '../../base/pki/pem.ts'
import { parseCrl } from '../../base/pki/revocation-list.ts'
import { anchorOf } from '../../base/pki/trust-anchor.ts'
import type { EnrolmentRequest } from '../../evidence/tpm/enrolment.ts'
import { attributesOf, encodeSizedPublic, nameOf, type TpmtPublic } from '../../evidence/tpm/public-area.ts'
import { appraiseEnrolment, type EnrolmentInputs } from './enrolment.ts'
import { enrolmentChecks } from './enrolment-checks.ts'

const second = 1000
const tpm = makeEnrollingTpm()
const { ek, ak, request } = tpm
const sha256 = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex')
const spkiSha256 = sha256(spkiOf(keyPairOf(ek).publicKey))
const seen = { failed: new Set<string>(), passed: new Set<string>() }

/** Findings that did not pass, as `id outcome`; remembers which checks failed and passed in any test. */
function shortfall(asked: EnrolmentRequest, inputs: Partial<EnrolmentInputs> = {}): string[] {
  const appraisal = appraiseEnrolment(asked, { ...enrolmentInputs, ...inputs })
  for (const { id, outcome } of appraisal.findings) {
    if (outcome === 'failed' || outcome === 'passed') seen[outcome].add(id)
  }
  expect(appraisal.findings.map(({ id }) => id)).toEqual(Object.keys(enrolmentChecks))
  expect(appraisal.candidate === null).toBe(!appraisal.affirmed)
  return appraisal.findings.filter(({ outcome }) => outcome !== 'passed').map(({ id, outcome }) => `${id} ${outcome}`)
}

const withEk = (changes: Partial<EnrolmentRequest['ek']>): EnrolmentRequest => ({
  ...request,
  ek: { ...request.ek, ...changes },
})
const certified = (changes: Partial<CertificateSpec>) => withEk({ certificate: certifyEk(ek, changes) })
/** The instance and revocation are not asked for in most cases. */
const usual = ['tpm.ek.revocation waived', 'tpm.ek.instance waived']

describe('a healthy request', () => {
  it('is affirmed, with what the enrolment needs and the claims that it supports', () => {
    const crls = [issueCrl({ signer: ekAuthority }), issueCrl({ signer: maker })]
    const inputs = { ...enrolmentInputs, crls, revocation: 'required', expectedInstance: 'i-1' } as const
    expect(shortfall({ ...request, instanceId: 'i-1' }, inputs)).toEqual([])
    const { candidate, claims } = appraiseEnrolment(request, inputs)
    expect(candidate).toEqual({
      ...{ ak: ak.area, akName: nameOf(ak.area), ek: ek.area, ekName: nameOf(ek.area) },
      ekSpkiSha256: spkiSha256,
      ekCertSha256: sha256(request.ek.certificate ?? new Uint8Array()),
      ekNotAfter: testNow + 365 * 86_400_000,
      certificates: [request.ek.certificate, ekAuthority.certificate.der],
      anchor: 'example',
      identity: 'i-1',
      instanceId: 'i-1',
      crlStatus: 'fresh',
      crlFreshUntil: Math.min(...crls.map(({ nextUpdate }) => nextUpdate)),
      trust: 'ek-certificate',
      simulated: false,
    })
    expect(claims).toEqual({
      tpm: {
        ek_spki_sha256: spkiSha256,
        ek_cert_sha256: candidate?.ekCertSha256,
        ek_anchor: 'example',
        crl_status: 'fresh',
        instance_id: 'i-1',
      },
    })
  })

  it('claims no instance id that policy did not require, though the certificate has one', () => {
    const { candidate, claims } = appraiseEnrolment({ ...request, instanceId: 'i-1' }, enrolmentInputs)
    expect(candidate).toMatchObject({ identity: 'i-1', instanceId: null })
    expect(claims['tpm']).not.toHaveProperty('instance_id')
  })

  it.each<[string, SoftwareKey]>([
    ['P-256', eccEk('P-256')],
    ['P-384', eccEk('P-384')],
  ])('may have an EK on %s', (_curve, key) => {
    expect(shortfall(makeEnrollingTpm({ ek: key }).request)).toEqual(usual)
  })
})

function eccEk(curve: 'P-256' | 'P-384'): SoftwareKey {
  const { area: rsa } = makeSoftwareEk()
  const { privateKey, area } = makeSoftwareAk(curve)
  const { attributes, authPolicy, symmetric } = rsa
  return {
    privateKey,
    area: { ...area, attributes, authPolicy, symmetric, scheme: { algorithm: 'null' } } as TpmtPublic,
  }
}

const otherEk = makeSoftwareEk()
const stranger = createRoot()
const underStranger = createIntermediate(stranger, { subject: { O: 'Example', CN: 'TPM maker EK CA' } })
const akWith = (changes: Partial<TpmtPublic>): EnrolmentRequest => ({
  ...request,
  ak: { publicArea: encodeSizedPublic({ ...ak.area, ...changes } as TpmtPublic) },
})
const ekWith = (changes: Partial<TpmtPublic>) =>
  withEk({ publicArea: encodeSizedPublic({ ...ek.area, ...changes } as TpmtPublic) })
const ekAttributes = ['fixedTPM', 'fixedParent', 'sensitiveDataOrigin', 'restricted', 'decrypt'] as const
const unreached = (...steps: string[]) => steps.map((step) => `tpm.ek.${step} unreached`)
const everythingAboutTrust = unreached(
  'certificate',
  'match',
  'usage',
  'validity',
  'chain',
  'revocation',
  'instance',
  'hardware',
)
const afterCertificate = unreached('instance', 'hardware')

describe('a request with one fault has exactly these shortcomings', () => {
  it.each<[string, EnrolmentRequest, string[]]>([
    [
      'AK cut',
      { ...request, ak: { publicArea: request.ak.publicArea.subarray(0, -1) } },
      [
        'tpm.enrolment.akWellFormed failed',
        'tpm.enrolment.akStrength unreached',
        'tpm.enrolment.akAttributes unreached',
        ...usual,
      ],
    ],
    ['AK named by SHA-1', akWith({ nameAlg: 'sha1' }), ['tpm.enrolment.akStrength failed', ...usual]],
    [
      'AK not restricted',
      akWith({ attributes: attributesOf('fixedTPM', 'fixedParent', 'sensitiveDataOrigin', 'sign') }),
      ['tpm.enrolment.akAttributes failed', ...usual],
    ],
    [
      'EK cut',
      withEk({ publicArea: request.ek.publicArea.subarray(0, -1) }),
      ['tpm.ek.wellFormed failed', 'tpm.ek.template unreached', ...everythingAboutTrust],
    ],
    ...ekAttributes.map((missing): [string, EnrolmentRequest, string[]] => [
      `EK without ${missing}`,
      ekWith({ attributes: attributesOf(...ekAttributes.filter((name) => name !== missing)) }),
      ['tpm.ek.template failed', ...everythingAboutTrust],
    ]),
    [
      'EK that signs',
      ekWith({ attributes: attributesOf(...ekAttributes, 'sign') }),
      ['tpm.ek.template failed', ...everythingAboutTrust],
    ],
    ['EK named by SHA-1', ekWith({ nameAlg: 'sha1' }), ['tpm.ek.template failed', ...everythingAboutTrust]],
    [
      'EK without AES',
      ekWith({ symmetric: { algorithm: 'null' } }),
      ['tpm.ek.template failed', ...everythingAboutTrust],
    ],
    [
      'no certificate',
      withEk({ certificate: null }),
      [
        'tpm.ek.certificate failed',
        ...unreached('match', 'usage', 'validity', 'chain', 'revocation'),
        ...afterCertificate,
      ],
    ],
    [
      'certificate damaged',
      withEk({ certificate: request.ek.certificate?.subarray(1) ?? null }),
      [
        'tpm.ek.certificate failed',
        ...unreached('match', 'usage', 'validity', 'chain', 'revocation'),
        ...afterCertificate,
      ],
    ],
    [
      'certificate followed by text (EKC-02)',
      withEk({ certificate: Uint8Array.of(...(request.ek.certificate ?? []), 0x41) }),
      [
        'tpm.ek.certificate failed',
        ...unreached('match', 'usage', 'validity', 'chain', 'revocation'),
        ...afterCertificate,
      ],
    ],
    [
      'unknown critical extension (EKC-04)',
      certified({ extensions: [{ id: '1.2.3', critical: true, value: Uint8Array.of(5, 0) }] }),
      ['tpm.ek.certificate failed', 'tpm.ek.revocation waived', ...afterCertificate],
    ],
    [
      'name constraints (EKC-04)',
      certified({ extensions: [{ id: '2.5.29.30', critical: true, value: Uint8Array.of(5, 0) }] }),
      ['tpm.ek.certificate failed', 'tpm.ek.revocation waived', ...afterCertificate],
    ],
    [
      'critical alternative name without a TPM (EKC-04)',
      certified({ extensions: [{ id: '2.5.29.17', critical: true, value: Uint8Array.of(0x30, 3, 0x82, 1, 0x61) }] }),
      ['tpm.ek.certificate failed', 'tpm.ek.revocation waived', ...afterCertificate],
    ],
    [
      'certificate of another EK (EKC-03)',
      withEk({ certificate: certifyEk(otherEk) }),
      ['tpm.ek.match failed', 'tpm.ek.revocation waived', ...afterCertificate],
    ],
    [
      'signing EK (EKC-07)',
      certified({ keyUsage: ['digitalSignature'] }),
      ['tpm.ek.usage failed', 'tpm.ek.revocation waived', ...afterCertificate],
    ],
    [
      'other purpose (EKC-07)',
      certified({ extKeyUsage: ['2.23.133.8.3'] }),
      ['tpm.ek.usage failed', 'tpm.ek.revocation waived', ...afterCertificate],
    ],
    [
      'expired (EKC-06)',
      certified({ notBefore: 0, notAfter: testNow - second }),
      ['tpm.ek.validity failed', 'tpm.ek.revocation waived', ...afterCertificate],
    ],
    [
      'not yet valid (EKC-06)',
      certified({ notBefore: testNow + second }),
      ['tpm.ek.validity failed', 'tpm.ek.revocation waived', ...afterCertificate],
    ],
    [
      'issuer is missing (EKC-05)',
      withEk({ chain: [] }),
      ['tpm.ek.validity unreached', 'tpm.ek.chain failed', 'tpm.ek.revocation unreached', ...afterCertificate],
    ],
    [
      'root of a stranger in the chain (EKC-01)',
      {
        ...request,
        ek: {
          ...request.ek,
          certificate: certifyEk(ek, { signer: underStranger }),
          chain: [underStranger.certificate.der, stranger.certificate.der],
        },
      },
      ['tpm.ek.validity unreached', 'tpm.ek.chain failed', 'tpm.ek.revocation unreached', ...afterCertificate],
    ],
    [
      'chain damaged',
      withEk({ chain: [Uint8Array.of(0x30, 0)] }),
      ['tpm.ek.validity unreached', 'tpm.ek.chain failed', 'tpm.ek.revocation unreached', ...afterCertificate],
    ],
    [
      'chain of five',
      withEk({ chain: Array.from({ length: 5 }, () => ekAuthority.certificate.der) }),
      ['tpm.ek.validity unreached', 'tpm.ek.chain failed', 'tpm.ek.revocation unreached', ...afterCertificate],
    ],
    [
      'certificate signed by another key (EKC-05)',
      certified({ signer: { ...ekAuthority, keys: keyPairOf(makeSoftwareAk()) } }),
      ['tpm.ek.chain failed', 'tpm.ek.revocation waived', ...afterCertificate],
    ],
    [
      'leaf with the CA bit (EKC-05)',
      certified({ basicConstraints: { ca: true } }),
      ['tpm.ek.chain failed', 'tpm.ek.revocation waived', ...afterCertificate],
    ],
    [
      'declared as simulated (TPM-30)',
      { ...request, simulated: true },
      ['tpm.ek.revocation waived', 'tpm.ek.instance waived', 'tpm.ek.hardware failed'],
    ],
    [
      'another instance declared (EKC-09)',
      { ...request, instanceId: 'i-2' },
      ['tpm.ek.revocation waived', 'tpm.ek.instance failed'],
    ],
    [
      'instance declared, none in the certificate (EKC-09)',
      { ...certified({ subject: {} }), instanceId: 'i-1' },
      ['tpm.ek.revocation waived', 'tpm.ek.instance failed'],
    ],
  ])('%s', (_what, asked, expected) => {
    expect(shortfall(asked)).toEqual(expected)
  })

  it('takes certificates of 4096 bytes into the chain, and none larger (EVD-05)', () => {
    const padding = (size: number) => ({ id: '1.2.3', critical: false, value: new Uint8Array(size) })
    const sized = (size: number) => createIntermediate(maker, { extensions: [padding(size)] }).certificate.der
    const room = 4096 - sized(3000).length + 3000
    // Signatures differ in length, so that the exact size takes a few tries.
    const exact = () => Array.from({ length: 40 }, () => sized(room)).find(({ length }) => length === 4096)
    const chain = [ekAuthority.certificate.der, exact() ?? new Uint8Array()]
    expect(shortfall(withEk({ chain }))).toEqual(usual)
    const larger = [ekAuthority.certificate.der, sized(room + 16)]
    expect(shortfall(withEk({ chain: larger }))).toContain('tpm.ek.chain failed')
  })

  it('takes a chain of four', () => {
    const chain = Array.from({ length: 4 }, () => ekAuthority.certificate.der)
    expect(shortfall(withEk({ chain }))).toEqual(usual)
  })

  it('takes the issuer from the operator where the TPM does not hold it', () => {
    expect(shortfall(withEk({ chain: [] }), { intermediates: [ekAuthority.certificate] })).toEqual(usual)
  })
})

describe('the instance that policy requires (EKC-09)', () => {
  it.each([
    ['i-1', null, []],
    ['i-1', 'i-1', []],
    ['i-2', null, ['tpm.ek.instance failed']],
    ['i-1', 'i-2', ['tpm.ek.instance failed']],
    ['i-2', 'i-2', ['tpm.ek.instance failed']],
    ['I-1', null, ['tpm.ek.instance failed']],
  ])('%s, with %s declared', (expectedInstance, instanceId, problems) => {
    expect(shortfall({ ...request, instanceId }, { expectedInstance })).toEqual([
      'tpm.ek.revocation waived',
      ...problems,
    ])
  })

  it('is not met by one of two common names', () => {
    const twice = certified({
      subject: { CN: 'i-1', '2.5.4.10': 'x' },
      edit: (tbs) => tbs.subject.push(...tbs.subject.slice(0, 1)),
    })
    expect(shortfall(twice, { expectedInstance: 'i-1' })).toContain('tpm.ek.instance failed')
  })
})

describe('revocation (EKC-08)', () => {
  const leaf = parseCertificate(request.ek.certificate ?? new Uint8Array())
  const rootList = issueCrl({ signer: maker })
  const fresh = [issueCrl({ signer: ekAuthority }), rootList]
  const stale = [
    issueCrl({ signer: ekAuthority, thisUpdate: testNow - 9 * second, nextUpdate: testNow - second }),
    rootList,
  ]
  const revoking = [issueCrl({ signer: ekAuthority, revoked: [{ serial: leaf.serial }] }), rootList]

  it.each<[string, Partial<EnrolmentInputs>, string, string | null]>([
    ['required and fresh', { revocation: 'required', crls: fresh }, 'passed', 'fresh'],
    ['required and stale', { revocation: 'required', crls: stale }, 'failed', null],
    ['required and absent', { revocation: 'required', crls: [] }, 'failed', null],
    ['required and revoked', { revocation: 'required', crls: revoking }, 'failed', null],
    ['optional and fresh', { revocation: 'optional', crls: fresh }, 'passed', 'fresh'],
    ['optional and stale', { revocation: 'optional', crls: stale }, 'waived', 'stale'],
    ['optional and absent', { revocation: 'optional', crls: [] }, 'waived', 'none'],
    ['optional and revoked', { revocation: 'optional', crls: revoking }, 'failed', null],
    ['off', { revocation: 'off', crls: revoking }, 'waived', 'off'],
  ])('%s', (_what, inputs, outcome, status) => {
    const { findings, candidate } = appraiseEnrolment(request, { ...enrolmentInputs, ...inputs })
    expect(findings.find(({ id }) => id === 'tpm.ek.revocation')?.outcome).toBe(outcome)
    expect(candidate?.crlStatus ?? null).toBe(status)
    expect(typeof candidate?.crlFreshUntil === 'number').toBe(status === 'fresh')
    shortfall(request, inputs)
  })
})

describe('a simulated TPM (TPM-30)', () => {
  const anchors = enrolmentInputs.anchors
  it('is recognised by its anchor, whatever the request says', () => {
    expect(shortfall(request, { anchors: [], simulatorAnchors: anchors })).toEqual([...usual, 'tpm.ek.hardware failed'])
  })

  it.each([
    ['by its anchor', request, { anchors: [], simulatorAnchors: anchors }],
    ['by its own word', { ...request, simulated: true }, {}],
  ])('is waived through in simulator mode, and marked: %s', (_what, asked, inputs) => {
    expect(shortfall(asked, { ...inputs, simulator: true })).toEqual([...usual, 'tpm.ek.hardware waived'])
    expect(appraiseEnrolment(asked, { ...enrolmentInputs, ...inputs, simulator: true }).candidate?.simulated).toBe(true)
  })

  it('that says so is told even where nothing else is known of it', () => {
    const asked = { ...withEk({ certificate: null }), simulated: true }
    expect(shortfall(asked)).toContain('tpm.ek.hardware failed')
    expect(shortfall({ ...asked, simulated: false })).toContain('tpm.ek.hardware unreached')
  })

  it('does not make a genuine one simulated: the anchor decides', () => {
    const inputs = { ...enrolmentInputs, simulator: true, simulatorAnchors: [anchorOf(stranger.certificate)] }
    expect(appraiseEnrolment(request, inputs).candidate?.simulated).toBe(false)
  })
})

describe('a pinned EK (EKC-11)', () => {
  const pins = [{ spkiSha256, instanceId: 'i-9' }]
  const waived = ['certificate', 'match', 'usage', 'validity', 'chain', 'revocation'].map(
    (step) => `tpm.ek.${step} waived`,
  )
  const bare = withEk({ certificate: null, chain: [] })

  it('is trusted without a certificate, by explicit waivers', () => {
    expect(shortfall(bare, { pinnedEks: pins })).toEqual([...waived, 'tpm.ek.instance waived'])
    expect(appraiseEnrolment(bare, { ...enrolmentInputs, pinnedEks: pins }).candidate).toMatchObject({
      ...{ trust: 'ek-pinned', identity: 'i-9', instanceId: null, anchor: null, crlStatus: null, ekNotAfter: null },
      ...{ ekCertSha256: null, ekSpkiSha256: spkiSha256, certificates: [] },
    })
  })

  it('is bound to the instance that the operator pinned with it', () => {
    expect(shortfall(bare, { pinnedEks: pins, expectedInstance: 'i-9' })).toEqual(waived)
    expect(shortfall(bare, { pinnedEks: pins, expectedInstance: 'i-1' })).toEqual([...waived, 'tpm.ek.instance failed'])
    const loose = [{ spkiSha256, instanceId: null }]
    expect(shortfall(bare, { pinnedEks: loose, expectedInstance: 'i-9' })).toContain('tpm.ek.instance failed')
  })

  it('must be the pinned one to the last digit', () => {
    const [pin] = pins
    const digits = pin?.spkiSha256 ?? ''
    const near = `${digits.slice(0, -1)}${digits.endsWith('0') ? '1' : '0'}`
    expect(shortfall(bare, { pinnedEks: [{ spkiSha256: near, instanceId: null }] })).toContain(
      'tpm.ek.certificate failed',
    )
  })

  it('must be the pinned one, and still have the form of an EK', () => {
    const other = makeEnrollingTpm({ ek: otherEk }).request
    expect(shortfall({ ...other, ek: { ...other.ek, certificate: null } }, { pinnedEks: pins })).toContain(
      'tpm.ek.certificate failed',
    )
    const signing = ekWith({ attributes: attributesOf(...ekAttributes, 'sign') })
    expect(shortfall(signing, { pinnedEks: pins })).toContain('tpm.ek.template failed')
  })
})

describe('hostile requests', () => {
  it('any flipped bit of an EK certificate is refused', () => {
    const der = request.ek.certificate ?? new Uint8Array()
    for (let at = 0; at < der.length; at++) {
      expect([
        at,
        appraiseEnrolment(withEk({ certificate: flipBit(der, at, at % 8) }), enrolmentInputs).affirmed,
      ]).toEqual([at, false])
    }
  })

  it('any bytes get an answer', () => {
    const bytes = fc.uint8Array({ maxLength: 80 })
    fc.assert(
      fc.property(
        bytes,
        fc.option(bytes),
        fc.array(bytes, { maxLength: 6 }),
        bytes,
        (ekArea, certificate, chain, akArea) => {
          const hostile = {
            ek: { publicArea: ekArea, certificate, chain },
            ak: { publicArea: akArea },
            instanceId: null,
            simulated: false,
          }
          expect(appraiseEnrolment(hostile, enrolmentInputs).affirmed).toBe(false)
        },
      ),
    )
  })

  it('any edit of the public areas gets an answer, and an EK that was changed is refused', () => {
    const { publicArea } = request.ek
    for (let at = 0; at < publicArea.length; at++) {
      const edited = appraiseEnrolment(withEk({ publicArea: flipBit(publicArea, at, at % 8) }), enrolmentInputs)
      // Policy, and the exponent written as 0 or 65537, do not show in the certificate: they change the Name instead.
      if (edited.candidate) expect(edited.candidate.ekName).not.toEqual(nameOf(ek.area))
    }
  })
})

describe.skipIf(!haveVectors)('recorded certificates', () => {
  interface Case {
    id: string
    leaf: string
    chain: string[]
    pinnedRoots: string[]
    crls: string[]
    evaluateAt: string
    expectInstanceId: string | null
    expect: 'accept' | 'reject' | 'reject-if-crl-required'
    ids: string[]
  }
  const cases = haveVectors ? (vectorJson('tpm/pki/cases.json') as Case[]) : []
  const pem = (path: string) => parseCertificate(parsePem(Buffer.from(vector(path)).toString('latin1'), 'CERTIFICATE'))
  const failedRules: Record<string, string[]> = {
    leaf_expired: ['tpm.ek.validity'],
    leaf_revoked: ['tpm.ek.revocation'],
    crl_stale: ['tpm.ek.revocation'],
    crl_absent: ['tpm.ek.revocation'],
    instance_mismatch: ['tpm.ek.instance'],
    // The root's list is not signed by the root of the same name that is pinned.
    root_not_pinned: ['tpm.ek.chain', 'tpm.ek.revocation'],
  }
  const statusOf: Record<string, string> = { crl_stale: 'stale', crl_absent: 'none' }

  /** The cases hold no TPMT_PUBLIC; this one has the key of the certificate. */
  function requestFor({ leaf, chain }: Case): EnrolmentRequest {
    const certificate = vector(`tpm/pki/${leaf}`)
    const der = certificate.subarray(0, 4 + ((certificate[2] ?? 0) << 8) + (certificate[3] ?? 0))
    const spki = Buffer.from(parseCertificate(der).publicKey)
    // SubjectPublicKeyInfo of an RSA-2048 key: 33 bytes, modulus, 5 bytes of exponent.
    const area = { ...ek.area, modulus: new Uint8Array(spki.subarray(33, 33 + 256)) } as TpmtPublic
    return {
      ...request,
      ek: { publicArea: encodeSizedPublic(area), certificate, chain: chain.map((file) => pem(`tpm/pki/${file}`).der) },
    }
  }

  it.each(cases)('$id', (recorded) => {
    const inputs = (revocation: 'required' | 'optional'): EnrolmentInputs => ({
      now: Date.parse(recorded.evaluateAt),
      anchors: recorded.pinnedRoots.map((file) => anchorOf(pem(`tpm/pki/${file}`))),
      crls: recorded.crls.map((file) => parseCrl(vector(`tpm/pki/${file}`))),
      expectedInstance: recorded.expectInstanceId,
      simulator: false,
      revocation,
    })
    const required = appraiseEnrolment(requestFor(recorded), inputs('required'))
    const optional = appraiseEnrolment(requestFor(recorded), inputs('optional'))
    expect(required.affirmed).toBe(recorded.expect === 'accept')
    expect(optional.affirmed).toBe(recorded.expect !== 'reject')
    const failed = required.findings.filter(({ outcome }) => outcome === 'failed').map(({ id }) => id)
    expect(failed).toEqual(failedRules[recorded.id] ?? [])
    if (optional.candidate) expect(optional.candidate.crlStatus).toBe(statusOf[recorded.id] ?? 'fresh')
  })

  it('covers all nine cases', () => {
    expect(cases).toHaveLength(9)
  })

  it.each([
    ['sequence/ek-rsa.nv.der', 'sequence/ek-rsa.tpmt', 'i-2ze0devexample000001'],
    ['sequence/ek-p384.nv.der', 'sequence/ek-p384.tpmt', 'i-2ze0devexample000001'],
    ['guest/ek.nv.der', 'guest/ek.tpmt', 'i-2ze0guestrig000001'],
  ])('%s is accepted under its pinned root, at its key and for its instance', (certificate, area, instance) => {
    const asked = {
      ...request,
      ek: {
        publicArea: sizedOf(vector(`tpm/${area}`)),
        certificate: vector(`tpm/${certificate}`),
        chain: [pem('tpm/sequence/ek-ca-issuer.pem').der, pem('tpm/sequence/ek-ca-root.pem').der],
      },
    }
    const now = parseCertificate(asked.ek.certificate).notBefore
    const anchors = [anchorOf(pem('tpm/sequence/ek-ca-root.pem'))]
    expect(shortfall(asked, { now, anchors, expectedInstance: instance })).toEqual(['tpm.ek.revocation waived'])
    expect(shortfall(asked, { now, anchors: [], expectedInstance: instance })).toContain('tpm.ek.chain failed')
    expect(shortfall(asked, { now: now - second, anchors, expectedInstance: instance })).toContain(
      'tpm.ek.validity failed',
    )
  })

  function sizedOf(area: Uint8Array): Uint8Array {
    return Uint8Array.of(area.length >> 8, area.length & 0xff, ...area)
  }
})

it('every check failed in one test and passed in another', () => {
  const ids = Object.keys(enrolmentChecks)
  expect(ids.filter((id) => !seen.failed.has(id))).toEqual([])
  expect(ids.filter((id) => !seen.passed.has(id))).toEqual([])
})
