import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { recordedFiles } from '../../../test/support/tdx-manifest.ts'
import { quoteForms, quotes, sampleQuote, sgxReports } from '../../../test/support/tdx-quotes.ts'
import { haveVectors, vector } from '../../../test/support/vectors.ts'
import { concatBytes, toHex } from '../../base/bytes.ts'
import { MalformedError } from '../../base/errors.ts'
import { encodeQuote, encodeSignedPart, parseQuote, parseSignedPart, type Quote, reportDataOf } from './quote.ts'
import type { QuoteBody } from './quote-body.ts'
import { encodeSgxReport, parseSgxReport, type SgxReport } from './sgx-report.ts'

const recorded = recordedFiles('quotes')
const wellFormed = recorded.filter(({ expected }) => typeof expected.parse === 'object')

function little(value: number): string {
  return toHex(Uint8Array.of(value, value >>> 8))
}

/** The names of the manifest, so that each field is compared by its own. */
function namedSgx(report: SgxReport) {
  return {
    cpu_svn: toHex(report.cpuSvn),
    misc_select: toHex(report.miscSelect),
    reserved1: toHex(report.reserved1),
    isv_ext_prod_id: toHex(report.isvExtProdId),
    attributes: toHex(report.attributes),
    mr_enclave: toHex(report.mrEnclave),
    reserved2: toHex(report.reserved2),
    mr_signer: toHex(report.mrSigner),
    reserved3: toHex(report.reserved3),
    config_id: toHex(report.configId),
    isv_prod_id: little(report.isvProdId),
    isv_svn: little(report.isvSvn),
    config_svn: little(report.configSvn),
    reserved4: toHex(report.reserved4),
    isv_family_id: toHex(report.isvFamilyId),
    report_data: toHex(report.reportData),
  }
}

function namedBody(body: QuoteBody) {
  if (body.kind === 'sgx') return namedSgx(body.report)
  const { report } = body
  return {
    tee_tcb_svn: toHex(report.teeTcbSvn),
    mr_seam: toHex(report.mrSeam),
    mrsigner_seam: toHex(report.mrSignerSeam),
    seam_attributes: toHex(report.seamAttributes),
    td_attributes: toHex(report.tdAttributes),
    xfam: toHex(report.xfam),
    mr_td: toHex(report.mrTd),
    mr_config_id: toHex(report.mrConfigId),
    mr_owner: toHex(report.mrOwner),
    mr_owner_config: toHex(report.mrOwnerConfig),
    ...Object.fromEntries(report.rtmr.map((value, index) => [`rtmr_${index}`, toHex(value)])),
    report_data: toHex(report.reportData),
    ...('teeTcbSvn2' in report
      ? { tee_tcb_svn2: toHex(report.teeTcbSvn2), mr_servicetd: toHex(report.mrServiceTd) }
      : {}),
  }
}

function summary(quote: Quote) {
  const { header, qe } = quote
  const svns = new DataView(header.reserved.buffer, header.reserved.byteOffset, 4)
  return {
    version: header.version,
    tee_type: header.teeType,
    body_type: quote.bodyType,
    body_size: quote.bodySize,
    signed_length: quote.signedBytes.length,
    header_at_8: svns.getUint16(0, true),
    header_at_10: svns.getUint16(2, true),
    user_data: toHex(header.userData),
    inner_cert_type: quote.certification.type,
    qe_auth_data: toHex(qe.authData),
    padding_bytes: quote.paddingBytes,
    body: namedBody(quote.body),
    qe_isv_svn: qe.report.isvSvn,
    qe_isv_prod_id: qe.report.isvProdId,
    qe_mr_signer: toHex(qe.report.mrSigner),
  }
}

describe.skipIf(!haveVectors)('recorded quotes', () => {
  it('are the eleven of the manifest, of which one is malformed', () => {
    expect([recorded.length, wellFormed.length]).toEqual([11, 10])
  })

  it.each(wellFormed)('$file says what the manifest says and is written back byte for byte', ({ file, expected }) => {
    const bytes = vector(`tdx/${file}`)
    const quote = parseQuote(bytes)
    expect(summary(quote)).toEqual(expected.parse)
    expect(toHex(reportDataOf(quote))).toBe(expected.parse.body.report_data)
    expect(encodeQuote(quote)).toEqual(bytes)
  })

  it('are read to views, not copies', () => {
    const bytes = vector('tdx/quotes/gotdx-v5-sample.bin')
    const { signedBytes, reportBytes, attestationKey, qe, certification, body } = parseQuote(bytes)
    const views = [signedBytes, reportBytes, attestationKey, qe.reportBytes, certification.data, body.report.reportData]
    expect(views.every((view) => view.buffer === bytes.buffer)).toBe(true)
  })

  // 39 bytes of garbage stand behind the signature data of this one (TDX-108).
  it('gotdx-spr-e4-v4 is refused for what stands behind it', () => {
    expect(() => parseQuote(vector('tdx/quotes/gotdx-spr-e4-v4.bin'))).toThrow(
      'quote.padding: a byte behind the signature data is not zero (at byte 4935)',
    )
  })

  it('has its parts where the layout of TDX section 2.3 puts them', () => {
    const bytes = vector('tdx/quotes/dcapqvl-tdx_quote-v4.bin')
    const quote = parseQuote(bytes)
    const at = (view: Uint8Array) => view.byteOffset - bytes.byteOffset
    expect(at(quote.signature)).toBe(636)
    expect(at(quote.attestationKey)).toBe(700)
    expect(at(quote.qe.reportBytes)).toBe(770)
    expect(at(quote.qe.signature)).toBe(1154)
    expect(at(quote.qe.authData)).toBe(1220)
    expect([at(quote.certification.data), quote.certification.data.length]).toEqual([1258, 3678])
  })

  it('has a signed part that parses alone, as the published token has it (TDX-254)', () => {
    const bytes = vector('tdx/golden/alibaba-v5-header-body.bin')
    const { header, body } = parseSignedPart(bytes)
    expect([header.version, header.teeType, body.kind]).toEqual([5, 0x81, 'td-1.5'])
    expect(encodeSignedPart({ header, body })).toEqual(bytes)
    expect(() => parseSignedPart(bytes.subarray(0, -1))).toThrow('quote.body.mrServiceTd: needs 48 bytes, has 47')
    expect(() => parseSignedPart(concatBytes(bytes, Uint8Array.of(0)))).toThrow('1 bytes left over')
  })
})

const signedSizes = [432, 432, 632, 438, 638, 702, 939]

describe('quotes of every form', () => {
  it.each(quoteForms.map((form, index) => ({ ...form, signed: signedSizes[index] })))(
    'version $version of $kind signs $signed bytes',
    ({ signed, ...form }) => {
      const parts = sampleQuote(form)
      const quote = parseQuote(encodeQuote(parts))
      expect(quote.signedBytes.length).toBe(signed)
      expect(encodeSignedPart(parts)).toEqual(quote.signedBytes)
    },
  )

  it('are read back as they were written', () => {
    fc.assert(
      fc.property(quotes, (parts) => {
        const bytes = encodeQuote(parts)
        const quote = parseQuote(bytes)
        const { reportBytes, ...qe } = quote.qe
        const { header, body, signature, attestationKey, certification, paddingBytes } = quote
        expect({ header, body, signature, attestationKey, qe, certification, paddingBytes }).toEqual(parts)
        expect(parseSgxReport(reportBytes)).toEqual(parts.qe.report)
        expect(encodeQuote(quote)).toEqual(bytes)
      }),
      { numRuns: 100 },
    )
  })

  it('are refused cut anywhere but in their padding', () => {
    fc.assert(
      fc.property(quotes, fc.nat(), (parts, at) => {
        const whole = encodeQuote({ ...parts, paddingBytes: 0 })
        expect(() => parseQuote(whole.subarray(0, at % whole.length))).toThrow(MalformedError)
      }),
      { numRuns: 200 },
    )
  })

  it('give a value or a MalformedError whatever bytes are changed', () => {
    const edits = fc.array(fc.tuple(fc.nat(), fc.nat(255)), { minLength: 1, maxLength: 8 })
    fc.assert(
      fc.property(quotes, edits, (parts, changes) => {
        const bytes = encodeQuote(parts)
        for (const [at, value] of changes) bytes[at % bytes.length] = value
        try {
          expect(encodeQuote(parseQuote(bytes))).toEqual(bytes)
        } catch (error) {
          if (!(error instanceof MalformedError)) throw error
        }
      }),
      { numRuns: 300 },
    )
  })

  it('never throw anything else for bytes that are no quote at all', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 1200 }), (bytes) => {
        expect(() => parseQuote(bytes)).toThrow(MalformedError)
      }),
    )
  })
})

/** Little-endian bytes at an offset of a sample quote, and what is said of them. */
interface Fault {
  readonly rule: string
  readonly form: (typeof quoteForms)[number]
  readonly at: number
  readonly bytes: readonly number[]
  readonly says: string
}

const v3 = { version: 3, kind: 'sgx' } as const
const v4 = { version: 4, kind: 'td-1.0' } as const
const v4Sgx = { version: 4, kind: 'sgx' } as const
const v5 = { version: 5, kind: 'td-1.5' } as const
const v5Sgx = { version: 5, kind: 'sgx' } as const

/** Of version 4 with a TD report: 632 signed bytes, 32 bytes of authentication data, 100 of certification data. */
const faults: readonly Fault[] = [
  {
    rule: 'TDX-101',
    form: v4,
    at: 0,
    bytes: [2, 0],
    says: 'quote.header.version: is 2, must be 3, 4 or 5 (at byte 0)',
  },
  {
    rule: 'TDX-101',
    form: v4,
    at: 0,
    bytes: [6, 0],
    says: 'quote.header.version: is 6, must be 3, 4 or 5 (at byte 0)',
  },
  { rule: 'TDX-101', form: v4, at: 1, bytes: [1], says: 'quote.header.version: is 260, must be 3, 4 or 5 (at byte 0)' },
  {
    rule: 'TDX-102',
    form: v4,
    at: 2,
    bytes: [3],
    says: 'quote.header.attestationKeyType: is 3, must be 2 (at byte 2)',
  },
  { rule: 'TDX-103', form: v4, at: 4, bytes: [1], says: 'quote.header.teeType: is 1, must be 0 or 129 (at byte 4)' },
  {
    rule: 'TDX-103',
    form: v4,
    at: 7,
    bytes: [1],
    says: 'quote.header.teeType: is 16777345, must be 0 or 129 (at byte 4)',
  },
  {
    rule: 'TDX-103',
    form: v3,
    at: 4,
    bytes: [0x81],
    says: 'quote.header.teeType: is 129, must be 0 in version 3 (at byte 4)',
  },
  {
    rule: 'TDX-104',
    form: v4,
    at: 27,
    bytes: [6],
    says: 'quote.header.qeVendorId: is 939a7233f79c4ca9940a0db3957f0606',
  },
  {
    rule: 'TDX-105',
    form: v5,
    at: 48,
    bytes: [0],
    says: 'quote.descriptor.type: is 0, must be 1, 2, 3 or 4 (at byte 48)',
  },
  {
    rule: 'TDX-105',
    form: v5,
    at: 48,
    bytes: [5],
    says: 'quote.descriptor.type: is 5, must be 1, 2, 3 or 4 (at byte 48)',
  },
  {
    rule: 'TDX-105',
    form: v5,
    at: 48,
    bytes: [1],
    says: 'quote.descriptor.type: is 1, which does not fit TEE type 129',
  },
  {
    rule: 'TDX-105',
    form: v5Sgx,
    at: 48,
    bytes: [2],
    says: 'quote.descriptor.type: is 2, which does not fit TEE type 0',
  },
  {
    rule: 'TDX-105',
    form: v5,
    at: 48,
    bytes: [2],
    says: 'quote.descriptor.size: is 648, must be 584 for type 2 (at byte 50)',
  },
  { rule: 'TDX-105', form: v5, at: 50, bytes: [0x87], says: 'quote.descriptor.size: is 647, must be 648 for type 3' },
  { rule: 'TDX-105', form: v5, at: 53, bytes: [1], says: 'quote.descriptor.size: is 16777864, must be 648 for type 3' },
  { rule: 'TDX-106', form: v4, at: 635, bytes: [0xff], says: 'quote.signatureData: needs ' },
  {
    rule: 'TDX-106',
    form: v4,
    at: 632,
    bytes: [1, 0, 0, 0],
    says: 'quote.signatureData.signature: needs 64 bytes, has 1',
  },
  {
    rule: 'TDX-107',
    form: v4,
    at: 764,
    bytes: [5],
    says: 'quote.signatureData.qeCertification.type: is 0x5, must be 0x6',
  },
  {
    rule: 'TDX-106',
    form: v4,
    at: 766,
    bytes: [1, 0],
    says: 'quote.signatureData.qeCertification.data.qeReport.cpuSvn: needs',
  },
  {
    rule: 'TDX-106',
    form: v4,
    at: 766,
    bytes: [0xff, 0xff],
    says: 'quote.signatureData.qeCertification.data: needs 65535',
  },
  {
    rule: 'TDX-106',
    form: v4,
    at: 1218,
    bytes: [0xff, 0xff],
    says: 'quote.signatureData.qeCertification.data.qeAuthData: needs',
  },
  {
    rule: 'TDX-107',
    form: v4,
    at: 1252,
    bytes: [0],
    says: 'qeCertification.data.certification.type: is 0, must be 1, 2, 3, 4 or 5',
  },
  { rule: 'TDX-107', form: v4, at: 1252, bytes: [6], says: 'qeCertification.data.certification.type: is 6, must be' },
  {
    rule: 'TDX-107',
    form: v4,
    at: 1252,
    bytes: [7],
    says: 'certification.type: is 7, must be 1, 2, 3, 4 or 5 (at byte 1252)',
  },
  { rule: 'TDX-106', form: v4, at: 1254, bytes: [101], says: 'certification.data: needs 101 bytes, has 100' },
  {
    rule: 'TDX-106',
    form: v4,
    at: 1254,
    bytes: [99],
    says: 'quote.signatureData.qeCertification.data: 1 bytes left over',
  },
  {
    rule: 'TDX-107',
    form: v3,
    at: 432 + 4 + 128 + 448 + 34,
    bytes: [6],
    says: 'quote.signatureData.certification.type: is 6',
  },
  { rule: 'TDX-106', form: v4Sgx, at: 4, bytes: [0x81], says: 'quote.signatureData' },
]

describe('a fault in a field is named with its path and offset', () => {
  it.each(faults)('$rule: $says', ({ form, at, bytes, says }) => {
    const quote = encodeQuote(sampleQuote(form))
    quote.set(bytes, at)
    expect(() => parseQuote(quote)).toThrow(says)
    expect(() => parseQuote(quote)).toThrow(MalformedError)
  })

  // The outer length leaves a gap between the block of type 6 and the end of the signature data: unsigned bytes.
  it('TDX-106: nothing stands between the last block and the end of the signature data', () => {
    const quote = encodeQuote({ ...sampleQuote(v4), paddingBytes: 1 })
    const view = new DataView(quote.buffer)
    view.setUint32(632, view.getUint32(632, true) + 1, true)
    expect(() => parseQuote(quote)).toThrow('quote.signatureData: 1 bytes left over')
  })

  it('TDX-108: padding is zero, up to the limit of the message', () => {
    const bare = encodeQuote(sampleQuote(v4))
    const padded = (size: number) => {
      const whole = new Uint8Array(size)
      whole.set(bare)
      return whole
    }
    expect(parseQuote(padded(65_536)).paddingBytes).toBe(65_536 - bare.length)
    const dirty = padded(bare.length + 10)
    dirty[bare.length + 9] = 1
    expect(() => parseQuote(dirty)).toThrow(
      `quote.padding: a byte behind the signature data is not zero (at byte ${bare.length + 9})`,
    )
  })

  it('TDX-100: above the limit nothing is read', () => {
    expect(() => parseQuote(new Uint8Array(65_537))).toThrow('quote: has 65537 bytes, may have 65536 (at byte 65536)')
    const quote = encodeQuote(sampleQuote(v4))
    expect(parseQuote(quote, { maximum: quote.length }).bodyType).toBe(2)
    expect(() => parseQuote(quote, { maximum: quote.length - 1 })).toThrow(MalformedError)
    const start = performance.now()
    expect(() => parseQuote(new Uint8Array(10_000_000).fill(4))).toThrow(MalformedError)
    expect(performance.now() - start).toBeLessThan(50)
  })
})

describe('writing a quote', () => {
  const refused = (change: (parts: ReturnType<typeof sampleQuote>) => object, form = v4, says = '') => {
    const parts = sampleQuote(form)
    expect(() => encodeQuote({ ...parts, ...change(parts) })).toThrow(RangeError)
    expect(() => encodeQuote({ ...parts, ...change(parts) })).toThrow(says)
  }

  it('refuses a body that its version or TEE cannot carry', () => {
    refused(() => ({ body: sampleQuote(v5).body }), v4, 'a body of kind td-1.5 needs version 5')
    refused(() => ({ body: sampleQuote(v3).body }), v4, 'a body of kind sgx with TEE type 129')
    refused(({ header }) => ({ header: { ...header, version: 3 } }), v4, 'version 3 speaks of SGX only')
  })

  it('refuses a field of another size, by its path', () => {
    refused(() => ({ signature: new Uint8Array(63) }), v4, 'quote.signatureData.signature: takes 64 bytes, got 63')
    refused(
      ({ qe }) => ({ qe: { ...qe, authData: new Uint8Array(65_536) } }),
      v4,
      'qeAuthData: 65536 does not fit into 2 bytes',
    )
  })

  it('gives enclave reports alone as well', () => {
    fc.assert(
      fc.property(sgxReports, (report) => {
        expect(parseSgxReport(encodeSgxReport(report))).toEqual(report)
      }),
      { numRuns: 20 },
    )
    expect(() => parseSgxReport(new Uint8Array(383))).toThrow('sgxReport.reportData: needs 64 bytes, has 63')
  })
})
