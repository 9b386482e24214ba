import { describe, expect, it } from 'vitest'
import { recordedFiles } from '../../../test/support/tdx-manifest.ts'
import { haveVectors, vector } from '../../../test/support/vectors.ts'
import { concatBytes, toHex } from '../../base/bytes.ts'
import { encodeQuote, encodeSignedPart, parseQuote, parseSignedPart, type Quote, reportDataOf } from './quote.ts'
import type { QuoteBody } from './quote-body.ts'
import type { SgxReport } from './sgx-report.ts'

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
