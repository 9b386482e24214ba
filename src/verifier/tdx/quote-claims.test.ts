import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { quoteForms, quotes, sampleQuote } from '../../../test/support/tdx-quotes.ts'
import { haveVectors, vector, vectorJson } from '../../../test/support/vectors.ts'
import { concatBytes, toHex } from '../../base/bytes.ts'
import { isJsonObject, type JsonObject } from '../../base/json.ts'
import { nameFields, namesOf } from '../../evidence/tdx/named-fields.ts'
import { encodeQuote, encodeSignedPart, parseQuote, parseSignedPart } from '../../evidence/tdx/quote.ts'
import { encodeTcbStatus } from '../../results/tcb-status.ts'
import { quoteClaims } from './quote-claims.ts'

const member = (claims: JsonObject, name: string): JsonObject => {
  const value = claims[name]
  if (!isJsonObject(value)) throw new TypeError(`no object ${name}`)
  return value
}

describe.skipIf(!haveVectors)('claims of recorded quotes', () => {
  it.each(['gotdx-v5-sample', 'trustee-tdx4-v4'])('of %s are the known ones (TDX-250)', (name) => {
    const claims = quoteClaims(parseQuote(vector(`tdx/quotes/${name}.bin`)))
    expect(claims).toEqual(vectorJson(`tdx/golden/${name}.claims.json`))
  })

  it('flatten to the published text, byte for byte (TDX-254)', () => {
    const signedBytes = vector('tdx/golden/alibaba-v5-header-body.bin')
    const claims = quoteClaims({ signedBytes, ...parseSignedPart(signedBytes) })
    const published = new TextDecoder().decode(vector('tdx/golden/alibaba-v5-tcb-status.json'))
    expect(encodeTcbStatus(claims)).toBe(published)
  })

  it('of an enclave have no quote member (TDX-251)', () => {
    const claims = quoteClaims(parseQuote(vector('tdx/quotes/dcapqvl-sgx_quote-v3.bin')))
    expect(Object.keys(claims).sort()).toEqual(['body', 'header', 'init_data', 'report_data'])
    expect(claims['header']).toEqual({
      version: '0300',
      att_key_type: '0200',
      att_key_data_0: '00000000',
      qe_svn: '0a00',
      pce_svn: '0f00',
      vendor_id: '939a7233f79c4ca9940a0db3957f0607',
      user_data: '3987622ee6968a54977c8626ef47123500000000',
    })
    const body = member(claims, 'body')
    expect([claims['report_data'], claims['init_data']]).toEqual([body['report_data'], body['config_id']])
    expect(body['attributes.flags']).toHaveLength(16)
  })
})

describe('claims of quotes of every form', () => {
  it.each(quoteForms)('cover every signed byte of version $version of $kind', (form) => {
    const parts = sampleQuote(form)
    const { header, descriptor, body } = namesOf(form)
    const size = [...header, ...descriptor, ...body].reduce((sum, [, length]) => sum + length, 0)
    expect(size).toBe(encodeSignedPart(parts).length)
  })

  it('hold the bytes of the quote in its order', () => {
    fc.assert(
      fc.property(quotes, (parts) => {
        const quote = parseQuote(encodeQuote(parts))
        const { header, descriptor, body } = nameFields(quote.signedBytes, quote)
        const texts = [header, descriptor, body].flatMap((members) => Object.values(members))
        const bytes = texts.map((hex) => new Uint8Array(Buffer.from(hex, 'hex')))
        expect(concatBytes(...bytes)).toEqual(quote.signedBytes)
        expect(body['report_data']).toBe(toHex(parts.body.report.reportData))
      }),
      { numRuns: 50 },
    )
  })

  it('name type and size in version 5 only, beside header and body', () => {
    const of = (version: 4 | 5, kind: 'sgx' | 'td-1.0') => {
      const claims = quoteClaims(parseQuote(encodeQuote(sampleQuote({ version, kind }))))
      const { type, size } = kind === 'sgx' ? claims : member(claims, 'quote')
      return [type, size]
    }
    expect(of(5, 'td-1.0')).toEqual(['0200', '48020000'])
    expect(of(5, 'sgx')).toEqual(['0100', '80010000'])
    expect(of(4, 'td-1.0')).toEqual([undefined, undefined])
    expect(of(4, 'sgx')).toEqual([undefined, undefined])
  })

  it('name the further fields of extended bodies', () => {
    const claims = quoteClaims(parseQuote(encodeQuote(sampleQuote({ version: 5, kind: 'td-1.5-extended' }))))
    const body = member(member(claims, 'quote'), 'body')
    expect(body['vmid']).toHaveLength(2)
    expect(Object.keys(body).slice(-3)).toEqual(['init_tee_fmspc', 'curr_servtd_hash', 'curr_servtd_attr'])
  })
})

describe('named TD attributes (TDX-190)', () => {
  const attributesOf = (bits: readonly number[]) => {
    const parts = sampleQuote({ version: 4, kind: 'td-1.0' })
    if (parts.body.kind !== 'td-1.0') throw new TypeError('another kind')
    const tdAttributes = new Uint8Array(8)
    for (const bit of bits) tdAttributes[bit >> 3] = (tdAttributes[bit >> 3] ?? 0) | (1 << (bit & 7))
    const body = { kind: 'td-1.0', report: { ...parts.body.report, tdAttributes } } as const
    const claims = quoteClaims(parseQuote(encodeQuote({ ...parts, body })))
    return Object.entries(member(claims, 'td_attributes')).flatMap(([name, set]) => (set ? [name] : []))
  }

  it.each([
    [0, 'debug'],
    [28, 'septve_disable'],
    [30, 'protection_keys'],
    [31, 'key_locker'],
    [63, 'perfmon'],
  ])('bit %i is %s', (bit, name) => expect(attributesOf([bit])).toEqual([name]))

  it('no other bit has a name', () => {
    const others = Array.from({ length: 64 }, (_, bit) => bit).filter((bit) => ![0, 28, 30, 31, 63].includes(bit))
    expect(attributesOf(others)).toEqual([])
  })
})
