import fc from 'fast-check'
import type { QuoteParts } from '../../src/evidence/tdx/quote.ts'
import type { BodyKind, QuoteBody } from '../../src/evidence/tdx/quote-body.ts'
import type { SgxReport } from '../../src/evidence/tdx/sgx-report.ts'
import type { TdReport, TdReport15, TdReportExtended } from '../../src/evidence/tdx/td-report.ts'

/** Quotes of every form with any content, for properties and fault tables; no signature in them is true. */

const bytes = (length: number) => fc.uint8Array({ minLength: length, maxLength: length })
const u16 = fc.integer({ min: 0, max: 0xffff })
const register = bytes(48)

export const sgxReports: fc.Arbitrary<SgxReport> = fc.record({
  cpuSvn: bytes(16),
  miscSelect: bytes(4),
  reserved1: bytes(12),
  isvExtProdId: bytes(16),
  attributes: bytes(16),
  mrEnclave: bytes(32),
  reserved2: bytes(32),
  mrSigner: bytes(32),
  reserved3: bytes(32),
  configId: bytes(64),
  isvProdId: u16,
  isvSvn: u16,
  configSvn: u16,
  reserved4: bytes(42),
  isvFamilyId: bytes(16),
  reportData: bytes(64),
})

const fields10 = {
  teeTcbSvn: bytes(16),
  mrSeam: register,
  mrSignerSeam: register,
  seamAttributes: bytes(8),
  tdAttributes: bytes(8),
  xfam: bytes(8),
  mrTd: register,
  mrConfigId: register,
  mrOwner: register,
  mrOwnerConfig: register,
  rtmr: fc.tuple(register, register, register, register),
  reportData: bytes(64),
}
const fields15 = { ...fields10, teeTcbSvn2: bytes(16), mrServiceTd: register }
const fieldsExtended = {
  ...fields15,
  vmId: fc.integer({ min: 0, max: 255 }),
  tdId: bytes(32),
  devInfo: register,
  initServTdHash: register,
  initServTdAttr: bytes(8),
  initCpuSvn: bytes(16),
  initTeeTcbSvn: bytes(16),
  initTeeFmspc: bytes(12),
  currServTdHash: register,
  currServTdAttr: bytes(8),
}
const tdReports: fc.Arbitrary<TdReport> = fc.record(fields10)
const tdReports15: fc.Arbitrary<TdReport15> = fc.record(fields15)
const tdReportsExtended: fc.Arbitrary<TdReportExtended> = fc.record(fieldsExtended)

const bodies: Readonly<Record<BodyKind, fc.Arbitrary<QuoteBody>>> = {
  sgx: sgxReports.map((report) => ({ kind: 'sgx', report })),
  'td-1.0': tdReports.map((report) => ({ kind: 'td-1.0', report })),
  'td-1.5': tdReports15.map((report) => ({ kind: 'td-1.5', report })),
  'td-1.5-extended': tdReportsExtended.map((report) => ({ kind: 'td-1.5-extended', report })),
}

export interface QuoteForm {
  readonly version: 3 | 4 | 5
  readonly kind: BodyKind
}

/** Every form that a quote may have. */
export const quoteForms: readonly QuoteForm[] = [
  { version: 3, kind: 'sgx' },
  { version: 4, kind: 'sgx' },
  { version: 4, kind: 'td-1.0' },
  { version: 5, kind: 'sgx' },
  { version: 5, kind: 'td-1.0' },
  { version: 5, kind: 'td-1.5' },
  { version: 5, kind: 'td-1.5-extended' },
]

export const vendorId = Uint8Array.from(Buffer.from('939a7233f79c4ca9940a0db3957f0607', 'hex'))

export const quotesOf = ({ version, kind }: QuoteForm): fc.Arbitrary<QuoteParts> =>
  fc.record({
    header: fc.record({
      version: fc.constant(version),
      attestationKeyType: fc.constant(2),
      teeType: fc.constant(kind === 'sgx' ? 0 : 0x81),
      reserved: bytes(4),
      qeVendorId: fc.constant(vendorId),
      userData: bytes(20),
    }),
    body: bodies[kind],
    signature: bytes(64),
    attestationKey: bytes(64),
    qe: fc.record({ report: sgxReports, signature: bytes(64), authData: fc.uint8Array({ maxLength: 40 }) }),
    certification: fc.record({
      type: fc.constantFrom(1, 2, 3, 4, 5),
      data: fc.uint8Array({ maxLength: 80 }),
    }),
    paddingBytes: fc.integer({ min: 0, max: 20 }),
  })

export const quotes: fc.Arbitrary<QuoteParts> = fc.constantFrom(...quoteForms).chain(quotesOf)

/** One quote of a form, the same at every run: 32 bytes of authentication data, 100 of certification data. */
export function sampleQuote(form: QuoteForm): QuoteParts {
  const [parts] = fc.sample(quotesOf(form), { numRuns: 1, seed: 7 })
  if (parts === undefined) throw new TypeError('no sample')
  return {
    ...parts,
    qe: { ...parts.qe, authData: new Uint8Array(32).fill(3) },
    certification: { type: 5, data: new Uint8Array(100).fill(65) },
    paddingBytes: 0,
  }
}
