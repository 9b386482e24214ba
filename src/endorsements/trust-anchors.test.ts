import { describe, expect, it } from 'vitest'
import { createRoot } from '../../test/support/test-ca.ts'
import { haveVectors, vector } from '../../test/support/vectors.ts'
import { AttestdError } from '../base/errors.ts'
import { parseCertificate, publicKeySha256 } from '../base/pki/certificate.ts'
import { checkChain } from '../base/pki/chain.ts'
import { findPem, parsePem } from '../base/pki/pem.ts'
import { readPublicKey } from '../base/pki/public-key.ts'
import { anchorOf } from '../base/pki/trust-anchor.ts'
import {
  isVendorAnchorName,
  requirePinned,
  vendorAnchor,
  vendorAnchorFacts,
  vendorAnchorNames,
} from './trust-anchors.ts'

const codeOf = (act: () => unknown) => {
  try {
    act()
    return 'nothing thrown'
  } catch (error) {
    return error instanceof AttestdError ? error.code : String(error)
  }
}

describe('the table of vendor anchors', () => {
  const withKey = vendorAnchorNames.filter((name) => vendorAnchorFacts[name].authority !== null)

  it.each(withKey)('%s holds a usable authority', (name) => {
    const { authority, fingerprints } = vendorAnchor(name)
    expect(readPublicKey(authority.publicKey).usable).toBe(true)
    expect(fingerprints).toEqual([expect.stringMatching(/^[0-9a-f]{64}$/)])
    expect(authority.notBefore).toBeLessThan(authority.notAfter)
    expect(authority.keyUsage?.has('keyCertSign')).toBe(true)
  })

  it('names an anchor whose key is not known, which the operator must bring', () => {
    expect(vendorAnchorNames.filter((name) => !withKey.includes(name))).toEqual(['aliyun-root'])
    expect(codeOf(() => vendorAnchor('aliyun-root'))).toBe('trust_anchor_incomplete')
  })

  it('takes no certificate but the pinned one', () => {
    const { certificate } = createRoot()
    for (const name of vendorAnchorNames) {
      expect(codeOf(() => vendorAnchor(name, certificate))).toBe('trust_anchor_mismatch')
    }
    expect(requirePinned(certificate, certificate.fingerprint)).toBe(certificate)
    expect(codeOf(() => requirePinned(certificate, 'ab'.repeat(32)))).toBe('trust_anchor_mismatch')
  })

  it('knows its names, and no inherited ones', () => {
    expect(isVendorAnchorName('aliyun')).toBe(true)
    expect(isVendorAnchorName('toString')).toBe(false)
  })
})

describe.skipIf(!haveVectors)('facts and certificates', () => {
  const load = (file: string) => {
    const bytes = vector(`tpm/certs/${file}`)
    const text = Buffer.from(bytes).toString('latin1')
    return parseCertificate(bytes[0] === 0x30 ? bytes : findPem(text, 'CERTIFICATE'))
  }
  const google = () => load('gcp_ek_ak_ca_intermediate_v3.crt')

  it.each([
    ['aliyun', 'Alibaba_Cloud_vTPM_EK.pem'],
    ['google', 'gcp_ek_ak_ca_root.crt'],
    ['google-host', 'tpm_ek_root_1.cer'],
  ] as const)('%s: the facts are exactly those of the certificate', (name, file) => {
    const certificate = load(file)
    const made = vendorAnchor(name)
    expect(made).toEqual(vendorAnchor(name, certificate))
    expect(made).toEqual({ ...anchorOf(certificate), name })
  })

  it('aliyun: subject key and dates are those of the specification', () => {
    const certificate = load('Alibaba_Cloud_vTPM_EK.pem')
    expect(publicKeySha256(certificate)).toBe('09bf17d50158ea4a4929870e0f287c3bc4edc60a4dc395c8e0ebfa1a4350b12e')
    expect(new Date(vendorAnchor('aliyun').authority.notAfter).toISOString()).toBe('2030-12-31T23:59:59.000Z')
  })

  it.each(['tpm_ek_intermediate_2.crt', 'tpm_ek_intermediate_3.crt'])('google-host issued %s', (file) => {
    // The intermediate stands in the place of a leaf, so that it is a CA is the only thing to complain of.
    const chain = checkChain({
      leaf: load(file),
      pool: [],
      anchors: [vendorAnchor('google-host')],
      crls: [],
      revocation: 'off',
      now: Date.UTC(2026, 5, 1),
    })
    expect(chain.problems.map(({ code }) => code)).toEqual(['leaf_is_ca'])
  })

  it.each([
    'pca_tpm_rsa_enc_cert.pem',
    'pca_tpm_ecc_enc_cert.pem',
    'pca_tpm_rsa_sign_cert.pem',
    'pca_tpm_ecc_sign_cert.pem',
  ])('google issued %s, through its intermediate', (file) => {
    const leaf = parseCertificate(parsePem(Buffer.from(vector(`tpm/certs/${file}`)).toString('latin1'), 'CERTIFICATE'))
    const chain = checkChain({
      leaf,
      pool: [google()],
      anchors: [vendorAnchor('google')],
      crls: [],
      revocation: 'off',
      now: Date.UTC(2026, 5, 1),
    })
    expect(chain.problems).toEqual([])
  })
})
