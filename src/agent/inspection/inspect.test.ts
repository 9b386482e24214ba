import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { haveVectors, vector } from '../../../test/support/vectors.ts'
import { AttestdError } from '../../base/errors.ts'
import { composeCcEventLog } from '../../evidence/tdx/cc-event-log.ts'
import { encodeTdxEvidence } from '../../evidence/tdx/evidence-json.ts'
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
    ['tdx/quotes/dcapqvl-tdx_quote-v4.bin', 'quote (version 4, td-1.0)', '(SGX extension)'],
    ['tdx/quotes/dcapqvl-sgx_quote-v3.bin', 'quote (version 3, sgx)', 'certificate 2'],
    ['tdx/quotes/gotdx-v5-sample.bin', 'quote (version 5, td-1.5)', 'mrServiceTd'],
    ['tdx/quotes/intel-sgx-v3-testpki.bin', 'quote (version 3, sgx)', 'certification'],
    ['tdx/golden/alibaba-v5-header-body.bin', 'signed part of a quote', 'mrServiceTd'],
    ['tdx/tdreport/tdx_report_1.bin', 'TDREPORT', '(teeInfoHash fits)'],
    ['tdx/eventlogs/cos113-ccel-table.bin', 'CCEL table', 'logAddress'],
    ['tdx/eventlogs/cos113-ccel.bin', 'CC event log (43 events)', '(bound)'],
    ['tdx/eventlogs/alibaba-ccel-aael.bin', 'CC event log (87 events)', '(runtime record)'],
    ['tdx/synthetic/ccel-three-banks.bin', 'CC event log (8 events)', 'sha384'],
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

  it('shows a quote with the offset of every field and of the certificates inside', () => {
    const bytes = vector('tdx/quotes/dcapqvl-tdx_quote-v4.bin')
    const { fields } = inspect(bytes)
    const places = fields.map(({ name, offset, size }) => [name, offset, size])
    expect(places).toContainEqual(['attestationKey', 700, 64])
    expect(places).toContainEqual(['qeReport', 770, 384])
    expect(places).toContainEqual(['qeAuthData', 1218, 34])
    expect(places).toContainEqual(['padding', 4936, 70])
    const certificates = fields.filter(({ name }) => name.startsWith('certificate '))
    expect(certificates.map(({ offset }) => offset)).toEqual([1258, 3031, 3987])
    const value = (name: string) => fields.find((field) => field.name === name)?.value
    expect([value('fmspc'), value('(TD attributes set)')]).toEqual(['b0c06f000000', 'septve_disable'])
    const blocks = certificates.map(({ offset, size }) => {
      return Buffer.from(bytes.subarray(offset ?? 0, (offset ?? 0) + (size ?? 0))).toString()
    })
    expect(blocks.map((block) => [block.slice(0, 10), block.slice(-21)])).toEqual(
      blocks.map(() => ['-----BEGIN', 'END CERTIFICATE-----'.padStart(21, '-')]),
    )
  })

  it('names the register, what is bound, and the registers to which the log of a TD leads', () => {
    const { fields } = inspect(vector('tdx/eventlogs/alibaba-ccel-aael.bin'))
    const of = (name: string) => fields.filter((field) => field.name === name).map(({ value }) => value)
    expect(of('(runtime record)')[0]).toBe('coco.com some-operation some-content')
    expect(of('(bound)').filter((bound) => bound === 'none')).toHaveLength(13)
    expect(of('(measured text)')).toHaveLength(53)
    expect(of('(measured text)').at(-1)).toMatch(/^\/?[ -~]+$/)
    expect(of('RTMR3')).toEqual([
      '2 events',
      '5e4ecd49d3c7983d6f9ca36755b5cee0b423d7fa8c5a88aeb0681bd4698772bc37b4463dc5f722efe352a66417257dad',
    ])
    expect(fields.at(-6)).toMatchObject({ name: '(end marker)', value: 'ff', offset: 11_707 })
  })

  it('tells where a cut quote stops', () => {
    const cut = inspect(vector('tdx/quotes/gotdx-v5-sample.bin').subarray(0, 700))
    expect(cut.problem?.message).toBe('quote.body.mrServiceTd: needs 48 bytes, has 46 (at byte 654)')
    expect(cut.fields.at(-1)).toMatchObject({ name: 'mrServiceTd', offset: 654, size: null })
    const dirty = inspect(vector('tdx/quotes/gotdx-spr-e4-v4.bin'))
    expect(dirty.problem?.message).toContain('quote.padding: a byte behind the signature data is not zero')
  })

  it('shows TDX evidence, bare and in a document, with quote and log inside', () => {
    const quote = vector('tdx/quotes/gotdx-cos113-v4.bin')
    const ccEventLog = composeCcEventLog(vector('tdx/eventlogs/cos113-ccel.bin'), null)
    const container = JSON.stringify(encodeTdxEvidence({ quote, ccEventLog, simulated: false }))
    const bare = inspect(new TextEncoder().encode(container))
    expect(bare.kind).toBe('TDX evidence')
    const names = bare.fields.map(({ name, depth }) => [name, depth])
    expect(names).toEqual(
      expect.arrayContaining([
        ['quote', 0],
        ['mrTd', 2],
        ['cc_eventlog', 0],
        ['(replayed)', 1],
      ]),
    )
    const document = JSON.stringify({ tee: 'tdx', evidence: Buffer.from(container).toString('base64url') })
    const outer = inspect(new TextEncoder().encode(document))
    expect([outer.kind, outer.fields.length]).toEqual(['evidence document', bare.fields.length + 1])
  })

  it('answers or throws an error that somebody can act on, whatever the bytes', () => {
    const tpm = ['guest/g1.attest', 'guest/ak.tpmt', 'guest/ek.nv.der', 'eventlogs/cos85-gce-sev.bin']
    const tdx = ['quotes/gotdx-v5-sample.bin', 'tdreport/tdx_report_1.bin', 'synthetic/ccel-three-banks.bin']
    const files = [...tpm.map((name) => vector(`tpm/${name}`)), ...tdx.map((name) => vector(`tdx/${name}`))]
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
