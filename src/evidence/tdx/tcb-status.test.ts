import { describe, expect, it } from 'vitest'
import { sampleQuote } from '../../../test/support/tdx-quotes.ts'
import { haveVectors, vector } from '../../../test/support/vectors.ts'
import { MalformedError } from '../../base/errors.ts'
import { encodeTcbStatus } from '../../results/tcb-status.ts'
import { quoteClaims } from '../../verifier/tdx/quote-claims.ts'
import { encodeSignedPart } from './quote.ts'
import { parseTcbStatusText } from './tcb-status.ts'

const forms = [
  { version: 4, kind: 'td-1.0' },
  { version: 5, kind: 'td-1.0' },
  { version: 5, kind: 'td-1.5' },
  { version: 5, kind: 'td-1.5-extended' },
] as const

function sampleText(form: (typeof forms)[number]): { text: string; signedBytes: Uint8Array } {
  const parts = sampleQuote(form)
  const signedBytes = encodeSignedPart(parts)
  return { text: encodeTcbStatus(quoteClaims({ ...parts, signedBytes })), signedBytes }
}

describe('the text of tcb-status', () => {
  it.skipIf(!haveVectors)('of the published token gives its 702 bytes back (TDX-254)', () => {
    const text = new TextDecoder().decode(vector('tdx/golden/alibaba-v5-tcb-status.json'))
    const part = parseTcbStatusText(text)
    expect(part.signedBytes).toEqual(vector('tdx/golden/alibaba-v5-header-body.bin'))
    expect(encodeTcbStatus(quoteClaims(part))).toBe(text)
  })

  it.each(forms)('of version $version of $kind gives the signed bytes back', (form) => {
    const { text, signedBytes } = sampleText(form)
    const part = parseTcbStatusText(text)
    expect(part.signedBytes).toEqual(signedBytes)
    expect([part.header.version, part.body.kind]).toEqual([form.version, form.kind])
  })

  const changed = (members: object) => JSON.stringify({ ...JSON.parse(sampleText(forms[2]).text), ...members })

  it.each([
    ['no version', { 'tdx.quote.header.version': undefined }, 'tdx.quote.header.version: is not 0400 or 0500'],
    ['version 3', { 'tdx.quote.header.version': '0300' }, 'tdx.quote.header.version: is not 0400 or 0500'],
    ['a version in big-endian order', { 'tdx.quote.header.version': '0005' }, 'is not 0400 or 0500'],
    ['an enclave type', { 'tdx.quote.type': '0100' }, 'tdx.quote.type: is not the type of a TD report'],
    ['another type', { 'tdx.quote.type': '0200' }, 'quote.descriptor.size: is 648, must be 584 for type 2'],
    ['another TEE', { 'tdx.quote.header.tee_type': '00000000' }, 'does not fit TEE type 0'],
    ['no register', { 'tdx.quote.body.rtmr_1': undefined }, 'tcb-status.tdx.quote.body.rtmr_1: is missing'],
    ['a register that is a boolean', { 'tdx.quote.body.rtmr_1': true }, 'rtmr_1: is not a string'],
    ['a short register', { 'tdx.quote.body.rtmr_1': 'aa' }, 'rtmr_1: has 1 bytes, must have 48'],
    ['upper-case digits', { 'tdx.quote.body.rtmr_1': 'AA'.repeat(48) }, 'rtmr_1: is not lower-case hexadecimal'],
    ['another copy of report data', { report_data: '00'.repeat(64) }, 'report_data: is not what the fields'],
    ['another copy of init data', { init_data: '00'.repeat(48) }, 'init_data: is not what the fields'],
    ['no copy of report data', { report_data: undefined }, 'report_data: is not what the fields'],
    ['a debug flag as text', { 'tdx.td_attributes.debug': 'false' }, 'tdx.td_attributes.debug: is not what'],
    ['a member beside them', { 'tdx.quote.body.more': '00' }, 'tdx.quote.body.more: is not known'],
    ['a nested member', { tdx: {} }, 'nested deeper than 1 levels'],
  ])('is refused with %s', (_, members, says) => {
    expect(() => parseTcbStatusText(changed(members))).toThrow(says)
    expect(() => parseTcbStatusText(changed(members))).toThrow(MalformedError)
  })

  it('is refused with a named attribute that the attributes have not', () => {
    const members = JSON.parse(sampleText(forms[2]).text)
    for (const name of ['debug', 'septve_disable', 'protection_keys', 'key_locker', 'perfmon']) {
      const member = `tdx.td_attributes.${name}`
      expect(() => parseTcbStatusText(changed({ [member]: !members[member] }))).toThrow(`${member}: is not what`)
    }
  })
})
