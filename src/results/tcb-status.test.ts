import { createHash } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { haveVectors, vectorJson } from '../../test/support/vectors.ts'
import type { JsonObject } from '../base/json.ts'
import { parseTcbStatus } from '../relying-party/tcb-status.ts'
import { encodeTcbStatus, flattenTdx } from './tcb-status.ts'

const tdx = (change: JsonObject = {}): JsonObject => ({
  quote: { header: { version: '0400' }, body: { mr_td: 'aa', mr_config_id: 'bb', report_data: 'cc' } },
  td_attributes: { debug: false, septve_disable: true },
  ...change,
})

describe('the claim tcb-status', () => {
  it('is compact JSON with names joined by dots and sorted by code point (TOK-30, TOK-31)', () => {
    expect(encodeTcbStatus(tdx())).toBe(
      '{"init_data":"bb","report_data":"cc","tdx.quote.body.mr_config_id":"bb","tdx.quote.body.mr_td":"aa",' +
        '"tdx.quote.body.report_data":"cc","tdx.quote.header.version":"0400",' +
        '"tdx.td_attributes.debug":false,"tdx.td_attributes.septve_disable":true}',
    )
  })

  it('holds the quote and its attributes and nothing else that is known of the TD', () => {
    const more = tdx({ rtmr3_unaccounted: true, event_log: { count: 3 } as JsonObject, simulated: 'yes' })
    expect(flattenTdx(more)).toEqual(flattenTdx(tdx()))
  })

  it.each([
    ['a body', tdx({ quote: { header: {} } })],
    ['a quote', tdx({ quote: 'text' })],
    ['report data', tdx({ quote: { body: { mr_config_id: 'bb' } } })],
    ['an init data digest', tdx({ quote: { body: { report_data: 'cc', mr_config_id: true } } })],
  ])('is not made without %s', (_, tree) => {
    expect(() => encodeTcbStatus(tree)).toThrowError(expect.objectContaining({ code: 'CLAIM_MISSING' }))
  })
})

describe.skipIf(!haveVectors)('the recorded tcb-status', () => {
  it('comes out of its own nested form, byte for byte (TOK-30)', () => {
    const { payload, canonical, tcbStatusKeys } = vectorJson('token/alibaba-sample-token.json')
    const nested = parseTcbStatus(payload['tcb-status'])
    const tree = nested['tdx'] as JsonObject
    expect(encodeTcbStatus(tree)).toBe(payload['tcb-status'])
    expect(Object.keys(flattenTdx(tree))).toHaveLength(tcbStatusKeys)
    expect(createHash('sha256').update(encodeTcbStatus(tree)).digest('hex')).toBe(canonical.tcbStatusStringSha256)
  })
})
