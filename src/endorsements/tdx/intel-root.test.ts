import { describe, expect, it } from 'vitest'
import { haveVectors, vector } from '../../../test/support/vectors.ts'
import { parseCertificate } from '../../base/pki/certificate.ts'
import { commonNameOf } from '../../base/pki/distinguished-name.ts'
import { parsePem } from '../../base/pki/pem.ts'
import { readPublicKey } from '../../base/pki/public-key.ts'
import { authorityOf } from '../../base/pki/trust-anchor.ts'
import { intelSgxRootAnchors } from './intel-root.ts'

const [anchor, ...others] = intelSgxRootAnchors
if (!anchor) throw new Error('there is an anchor')

describe('the pinned root of Intel (TDX-113)', () => {
  it('is one authority with two certificates and a usable key', () => {
    expect(others).toEqual([])
    expect(anchor.fingerprints).toHaveLength(2)
    expect(anchor.fingerprints.every((fingerprint) => /^[0-9a-f]{64}$/.test(fingerprint))).toBe(true)
    expect(readPublicKey(anchor.authority.publicKey).usable).toBe(true)
    expect(commonNameOf(anchor.authority.subject)).toBe('Intel SGX Root CA')
  })
})

describe.skipIf(!haveVectors)('the recorded roots', () => {
  it.each([2033, 2049])('of %i has the pinned facts', (year) => {
    const pem = Buffer.from(vector(`tdx/anchors/intel-sgx-root-ca-${year}.pem`)).toString('latin1')
    const certificate = parseCertificate(parsePem(pem, 'CERTIFICATE'))
    expect(anchor.fingerprints).toContain(certificate.fingerprint)
    const { notBefore, notAfter, ...rest } = authorityOf(certificate)
    const { notBefore: earliest, notAfter: latest, ...facts } = anchor.authority
    expect({ ...rest, criticalExtensions: [...rest.criticalExtensions].sort() }).toEqual({
      ...facts,
      criticalExtensions: [...facts.criticalExtensions].sort(),
    })
    expect([notBefore >= earliest, notAfter <= latest, new Date(notAfter).getUTCFullYear()]).toEqual([true, true, year])
  })
})
