import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { haveVectors, vector } from '../../../test/support/vectors.ts'
import { AttestdError } from '../../base/errors.ts'
import { inspect } from './inspect.ts'

describe.skipIf(!haveVectors)('inspecting real files', () => {
  it.each([
    ['tpm/guest/g1.attest', 'TPMS_ATTEST', 'pcrDigest'],
    ['tpm/guest/g1.sig', 'TPMT_SIGNATURE', 'r'],
    ['tpm/guest/ak.tpmt', 'TPMT_PUBLIC', '(attributes set)'],
    ['tpm/guest/eventlog.bin', 'event log (crypto-agile, 24 events)', '(replayed sha256)'],
    ['tpm/guest/ima.g3.bin', 'IMA log (sha1 column)', 'record 534'],
    ['tpm/guest/ima.column-sha256.bin', 'IMA log (sha256 column)', 'record 534'],
    ['tpm/guest/ek.nv.der', 'X.509 certificate', '(subject)'],
    ['tpm/sequence/ek-ca-root.pem', 'X.509 certificate', '(SHA-256)'],
    ['tpm/pki/crl.ok.der', 'certificate revocation list', '(validity)'],
    ['token/alibaba-sample.jwt', 'token (signature not checked)', 'tcb-status'],
  ])('%s is %s', (path, kind, name) => {
    const inspection = inspect(vector(path))
    expect(inspection.kind).toBe(kind)
    expect(inspection.fields.map((field) => field.name)).toContain(name)
    expect(inspection.problem).toBeUndefined()
  })

  it('tells where a cut structure stops', () => {
    const cut = inspect(vector('tpm/guest/g1.attest').subarray(0, 60))
    expect(cut.problem?.message).toMatch(/^TPMS_ATTEST\.extraData: needs \d+ bytes, has \d+ \(at byte \d+\)$/)
    expect(cut.fields.at(-1)).toMatchObject({ name: 'extraData', size: null })
  })

  it('answers or throws an error that somebody can act on, whatever the bytes', () => {
    const files = ['guest/g1.attest', 'guest/ak.tpmt', 'guest/ek.nv.der', 'eventlogs/cos85-gce-sev.bin'].map((name) =>
      vector(`tpm/${name}`),
    )
    fc.assert(
      fc.property(fc.constantFrom(...files), fc.nat(30_000), fc.nat(255), (bytes, at, value) => {
        const edited = Uint8Array.from(bytes)
        edited[at % bytes.length] = value
        try {
          inspect(edited)
        } catch (error) {
          expect(error).toBeInstanceOf(AttestdError)
        }
      }),
      { numRuns: 300 },
    )
  })
})
