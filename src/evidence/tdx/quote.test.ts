import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { processorMs } from '../../../test/support/processor-time.ts'
import { quoteForms, quotes, sampleQuote, sgxReports } from '../../../test/support/tdx-quotes.ts'
import { MalformedError } from '../../base/errors.ts'
import { encodeQuote, encodeSignedPart, parseQuote } from './quote.ts'
import { encodeSgxReport, parseSgxReport } from './sgx-report.ts'

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
    says: 'quote.descriptor.type: is 1, which does not fit TEE type 129 (at byte 48)',
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
    const large = new Uint8Array(10_000_000).fill(4)
    const took = Array.from({ length: 3 }, () => {
      const start = processorMs()
      expect(() => parseQuote(large)).toThrow(MalformedError)
      return processorMs() - start
    })
    // A pause of the collector can fall into any of them.
    expect(Math.min(...took)).toBeLessThan(50)
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
