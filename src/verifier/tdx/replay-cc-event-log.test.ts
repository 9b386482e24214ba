import { describe, expect, it } from 'vitest'
import { manifestEntries, syntheticCases } from '../../../test/support/recorded-tdx.ts'
import { haveVectors, vector } from '../../../test/support/vectors.ts'
import { toHex } from '../../base/bytes.ts'
import { parseCcEventLog } from '../../evidence/tdx/cc-event-log.ts'
import { parseQuote } from '../../evidence/tdx/quote.ts'
import type { Rtmrs } from '../../evidence/tdx/td-report.ts'
import { bindEvent } from '../event-log/event-binding.ts'
import { appraiseTdx } from './appraise-tdx.ts'
import { createQuoteMemo } from './quote-memo.ts'
import { matchRtmrs, replayCcEventLog } from './replay-cc-event-log.ts'

const logs = haveVectors
  ? [...manifestEntries('eventlogs'), ...manifestEntries('synthetic')].filter(({ expected }) => expected.boundBy)
  : []

const rtmrsOf = (bytes: Uint8Array): Rtmrs => {
  const { body } = parseQuote(bytes)
  if (body.kind === 'sgx') throw new Error('the quote is about an enclave')
  return body.report.rtmr
}

describe.skipIf(!haveVectors)('recorded event logs', () => {
  it('are all there', () => expect(logs).toHaveLength(4))

  it.each(logs)('$file leads to the recorded registers (TDX-233)', ({ file, expected }) => {
    const { registers, withoutDigest } = replayCcEventLog(parseCcEventLog(vector(`tdx/${file}`)))
    expect(registers.map(({ value }) => toHex(value))).toEqual(expected.rtmr)
    const extended = registers.flatMap(({ events }, index) => (events > 0 ? [index + 1] : []))
    expect(extended).toEqual(expected.mrIndexes)
    expect(withoutDigest).toEqual([])
  })

  it.each(logs)('$file has the recorded events bound to their content (TDX-238)', ({ file, expected }) => {
    const { events } = parseCcEventLog(vector(`tdx/${file}`))
    const bindings = events.map((event) => bindEvent(event, 'sha384'))
    const count = (binding: string) => bindings.filter((bound) => bound === binding).length
    const { data = 0, 'variable-data': variables = 0, grub = 0, 'grub+nul': withNul = 0 } = expected.boundBy
    expect([count('data'), count('variable-data'), count('grub')]).toEqual([data, variables, grub + withNul])
    const unbound = bindings.flatMap((bound, index) => (bound === 'none' ? [index] : []))
    expect(unbound).toEqual(expected.unboundEvents)
  })

  it('of a container OS leads to the registers of its quote, and of no other', () => {
    const replay = replayCcEventLog(parseCcEventLog(vector('tdx/eventlogs/cos113-ccel.bin')))
    const own = matchRtmrs(replay, rtmrsOf(vector('tdx/quotes/gotdx-cos113-v4.bin')))
    expect(own.map(({ outcome }) => outcome)).toEqual(['matched', 'matched', 'matched', 'matched'])
    const foreign = matchRtmrs(replay, rtmrsOf(vector('tdx/quotes/dcapqvl-quote-from-tappd-v4.bin')))
    expect(foreign.map(({ outcome }) => outcome)).toEqual(['different', 'different', 'different', 'unaccounted'])
  })
})

/** Up to the end marker; behind it nothing is read. */
const logBytes = 1299

interface Content {
  readonly kernel_cmdline: readonly string[]
  readonly boot_variables: readonly { readonly value: string }[]
  readonly aael: readonly object[]
}

describe.skipIf(!haveVectors)('the generated quote with three banks in its log', () => {
  const one = haveVectors ? syntheticCases().find(({ name }) => name.includes('ccel-three-banks')) : undefined
  const memo = createQuoteMemo()
  const log = () => vector('tdx/synthetic/ccel-three-banks.bin')

  function appraise(ccEventLog: Uint8Array | null) {
    if (one === undefined) throw new Error('the case is missing')
    const { quote, collateral, trustAnchors, now } = one
    const evidence = { quote, ccEventLog, simulated: false }
    return appraiseTdx(evidence, { collateral, trustAnchors, now, reportData: 'any', memo })
  }

  it('is affirmed and names what is bound', () => {
    const { affirmed, claims, eventLog } = appraise(log())
    expect(affirmed).toBe(true)
    expect(eventLog).toMatchObject({ matches: true, rtmr3Unaccounted: false })
    expect(claims['tdx']).toMatchObject({
      eventlog_present: true,
      eventlog_verified: true,
      rtmr_replayed: [0, 1, 2, 3],
      rtmr3_unaccounted: false,
      eventlog: { aael: [{ rtmr: 3 }] },
    })
  })

  it('is affirmed without its log, and says nothing of its content', () => {
    const { affirmed, claims } = appraise(null)
    expect(affirmed).toBe(true)
    expect(claims['tdx']).toMatchObject({ eventlog_present: false })
    expect(claims['tdx']).not.toHaveProperty('eventlog')
  })

  it('never says more than it did, whichever byte of its log changes', () => {
    const contentOf = (ccEventLog: Uint8Array) => {
      const { tdx } = appraise(ccEventLog).claims as { readonly tdx?: { readonly eventlog?: Content } }
      const { kernel_cmdline = [], boot_variables = [], aael = [] } = tdx?.eventlog ?? {}
      // Names of variables are not measured, their values are.
      return [
        ...kernel_cmdline,
        ...boot_variables.map(({ value }) => value),
        ...aael.map((event) => JSON.stringify(event)),
      ]
    }
    const changed = log()
    const whole = contentOf(changed)
    expect(whole).toHaveLength(3)
    for (let at = 0; at < logBytes; at++) {
      changed[at] = (changed[at] ?? 0) ^ 0x20
      expect(whole, `byte ${at}`).toEqual(expect.arrayContaining(contentOf(changed)))
      changed[at] = (changed[at] ?? 0) ^ 0x20
    }
  })
})
