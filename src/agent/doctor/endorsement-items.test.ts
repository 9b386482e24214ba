import { describe, expect, it } from 'vitest'
import { certifyEk, ekAuthority, maker } from '../../../test/support/enrolling-tpm.ts'
import { makeSoftwareEk } from '../../../test/support/software-tpm.ts'
import { createRoot, issueCrl, testNow } from '../../../test/support/test-ca.ts'
import { haveVectors, vector } from '../../../test/support/vectors.ts'
import { attesterErrors } from '../../attester/errors.ts'
import type { TpmSurvey } from '../../attester/tpm/tpm-survey.ts'
import { parseCertificate } from '../../base/pki/certificate.ts'
import { parsePem } from '../../base/pki/pem.ts'
import { sha256Hex } from '../../base/pki/signed-object.ts'
import { anchorOf } from '../../base/pki/trust-anchor.ts'
import { encodeSizedPublic, nameOf } from '../../evidence/tpm/public-area.ts'
import { spkiOfKey } from '../../verifier/tpm/key-certificate.ts'
import { configurationSchema } from '../configuration/schema.ts'
import { lookAtEndorsement } from './endorsement-items.ts'
import type { Item } from './item.ts'
import type { KnownSettings } from './settings-items.ts'

const ek = makeSoftwareEk()
const spki = sha256Hex(spkiOfKey(ek.area))
const chain = [ekAuthority.certificate.der]

type Identity = Awaited<ReturnType<TpmSurvey['endorsement']>>
const identity = (certificate: Uint8Array | null, given: readonly Uint8Array[] = chain): Identity => ({
  publicArea: encodeSizedPublic(ek.area),
  name: nameOf(ek.area),
  certificate,
  chain: given,
})
const surveyOf = (endorsement: TpmSurvey['endorsement']): TpmSurvey => ({
  endorsement,
  describe: () => Promise.reject(new TypeError('not asked here')),
  registers: () => Promise.reject(new TypeError('not asked here')),
  [Symbol.asyncDispose]: async () => {},
})

interface Said {
  readonly configured?: boolean
  readonly anchors?: readonly ReturnType<typeof anchorOf>[]
  readonly crls?: readonly ReturnType<typeof issueCrl>[]
  readonly verifier?: object
  readonly now?: number
}

function settingsOf({ configured = true, anchors = [], crls = [], verifier = {} }: Said): KnownSettings {
  const { shape } = configurationSchema
  const devices = { tpm: shape.tpm.parse({}), tdx: shape.tdx.parse({}) }
  const tables = { ...devices, agent: shape.agent.parse({}), listen: shape.listen.parse({}) }
  return {
    configured,
    ...tables,
    verifier: shape.verifier.parse(verifier),
    trust: { anchors, intermediates: [], crls },
  }
}

async function look(given: Identity, said: Said = {}): Promise<Record<string, Item>> {
  const items = await lookAtEndorsement(
    surveyOf(async () => given),
    settingsOf(said),
    said.now ?? testNow,
  )
  return Object.fromEntries(items.map((item) => [item.id, item]))
}

const pinLine = `verifier.ek_pinned = ["${spki}"]`
const anchor = anchorOf(maker.certificate, 'example')
const certified = identity(certifyEk(ek))

describe('the endorsement key', () => {
  it('is shown as verifier.ek_pinned wants it, and needs nothing more once it is pinned', async () => {
    expect((await look(certified, { anchors: [anchor] }))['ek']?.says).toContain(spki)
    const pinned = await look(identity(null), { verifier: { ek_pinned: [spki] } })
    expect(Object.keys(pinned)).toEqual(['ek'])
    expect(pinned['ek']).toMatchObject({ state: 'ok', says: expect.stringContaining('pinned in the configuration') })
  })

  it('that cannot be read is the problem that the TPM named', async () => {
    const survey = surveyOf(() => Promise.reject(attesterErrors.error('EK_MISMATCH', 'for another key')))
    const [item, ...more] = await lookAtEndorsement(survey, settingsOf({}), testNow)
    expect(item).toMatchObject({ id: 'ek', state: 'problem', says: 'EK_MISMATCH: for another key' })
    expect(more).toEqual([])
  })

  it('that is no key is a problem too: the TPM may be hostile', async () => {
    const { ek: item } = await look({ ...certified, publicArea: Uint8Array.of(0, 1, 0) })
    expect(item).toMatchObject({ state: 'problem', says: expect.stringContaining('MALFORMED') })
  })

  it('without a certificate can be pinned: a problem once somebody decided otherwise', async () => {
    const { 'ek.certificate': item } = await look(identity(null))
    expect(item).toMatchObject({ state: 'problem', remedy: `pin the key: ${pinLine}` })
    expect((await look(identity(null), { configured: false }))['ek.certificate']?.state).toBe('warning')
  })
})

describe('its certificate', () => {
  it('names whom it is for, who issued it and how long', async () => {
    const { 'ek.certificate': item } = await look(certified, { anchors: [anchor] })
    expect(item?.state).toBe('ok')
    expect(item?.says).toMatch(/^for .*CN=i-1.*, issued by .*CN=TPM maker EK CA, valid until \d{4}-\d\d-\d\d$/)
  })

  it('of a signing key is a problem (EKC-07), and bytes that are none name the field', async () => {
    const signing = identity(certifyEk(ek, { keyUsage: ['digitalSignature'] }))
    expect((await look(signing, { anchors: [anchor] }))['ek.certificate']).toMatchObject({
      state: 'problem',
      says: 'it is for a signing key, which cannot decrypt',
    })
    expect((await look(identity(Uint8Array.of(0x30, 0x00))))['ek.certificate']?.says).toContain('MALFORMED')
  })
})

describe('who vouches for it', () => {
  const trustOf = async (given: Identity, said: Said) => (await look(given, said))['ek.trust']

  it('is a configured anchor', async () => {
    expect(await trustOf(certified, { anchors: [anchor] })).toMatchObject({
      state: 'ok',
      says: 'the configured anchor example vouches for it',
    })
  })

  it.each<[string, Identity, Said, RegExp]>([
    ['nobody without anchors', certified, {}, /no anchor is configured/],
    ['not somebody else', certified, { anchors: [anchorOf(createRoot().certificate)] }, /nobody vouches for it: /],
    ['not the anchor without the intermediate', identity(certifyEk(ek), []), { anchors: [anchor] }, /nobody vouches/],
  ])('%s', async (_, given, said, says) => {
    const item = await trustOf(given, said)
    expect(item).toMatchObject({ state: 'problem', says: expect.stringMatching(says) })
    expect(item?.remedy).toContain('verifier.ek_anchors')
    expect(item?.remedy).toContain(pinLine)
  })

  it.each<[string, Said, RegExp]>([
    ['after its end', { now: Date.UTC(2200, 0, 1) }, /the validity is over/],
    ['without required lists', { verifier: { revocation: 'required' } }, /revocation list/],
  ])('is not the configured anchor %s: another anchor would not help', async (_, said, says) => {
    const item = await trustOf(certified, { anchors: [anchor], ...said })
    expect(item).toMatchObject({ state: 'problem', says: expect.stringMatching(says) })
    expect(item?.says).toContain('the configured anchor example does not vouch for it: ')
    expect(item?.remedy).not.toContain('verifier.ek_anchors')
  })

  it('is not asked of the operator before anything is configured', async () => {
    expect((await trustOf(certified, { configured: false }))?.state).toBe('warning')
  })

  it('with the lists that are required is the anchor', async () => {
    const crls = [issueCrl({ signer: ekAuthority }), issueCrl({ signer: maker })]
    expect((await trustOf(certified, { anchors: [anchor], crls, verifier: { revocation: 'required' } }))?.state).toBe(
      'ok',
    )
  })

  it.skipIf(!haveVectors)('is a maker that is known here: the remedy is one line', async () => {
    const text = (file: string) => Buffer.from(vector(`tpm/certs/${file}`)).toString('latin1')
    const leaf = parsePem(text('pca_tpm_rsa_enc_cert.pem'), 'CERTIFICATE')
    const intermediate = parseCertificate(vector('tpm/certs/gcp_ek_ak_ca_intermediate_v3.crt')).der
    const item = await trustOf(identity(leaf, [intermediate]), { configured: false })
    expect(item).toMatchObject({ state: 'warning', remedy: 'set verifier.ek_vendors = ["google"]' })
    expect(item?.says).toBe('Google Cloud EK/AK CA Root vouches for it, and is not configured')
  })
})
