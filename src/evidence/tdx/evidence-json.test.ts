import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { MalformedError } from '../../base/errors.ts'
import { encodeTdxEvidence, parseTdxEvidence, tdxEvidenceLimits } from './evidence-json.ts'

const bytes = (size: number) => new Uint8Array(size).fill(65)
const base64 = (size: number) => Buffer.from(bytes(size)).toString('base64')
const quote = base64(1020)
const json = (members: object) => JSON.stringify({ quote, cc_eventlog: null, ...members })

describe('TDX evidence as JSON (TDX-040, SVC-20)', () => {
  it('is read back as it was written, as object, text and bytes', () => {
    const evidence = fc.record({
      quote: fc.uint8Array({ minLength: 1020, maxLength: 1100 }),
      ccEventLog: fc.option(fc.uint8Array({ minLength: 1, maxLength: 100 })),
      simulated: fc.boolean(),
    })
    fc.assert(
      fc.property(evidence, (original) => {
        const container = encodeTdxEvidence(original)
        const text = JSON.stringify(container)
        expect(parseTdxEvidence(container)).toEqual(original)
        expect(parseTdxEvidence(text)).toEqual(original)
        expect(parseTdxEvidence(new TextEncoder().encode(text))).toEqual(original)
      }),
      { numRuns: 50 },
    )
  })

  it('has exactly the two members for services of others', () => {
    const evidence = { quote: bytes(1020), ccEventLog: null, simulated: true }
    expect(encodeTdxEvidence(evidence, { hints: false })).toEqual({ quote, cc_eventlog: null })
    expect(encodeTdxEvidence(evidence)).toEqual({ quote, cc_eventlog: null, hints: { simulated: true } })
    expect(encodeTdxEvidence({ ...evidence, simulated: false })).toEqual({ quote, cc_eventlog: null })
  })

  it.each([null, '', undefined])('may have an aa_eventlog of %j', (aa_eventlog) => {
    expect(parseTdxEvidence(json({ aa_eventlog })).ccEventLog).toBeNull()
  })

  it('needs no cc_eventlog, and ignores members that it does not know', () => {
    expect(parseTdxEvidence(JSON.stringify({ quote, gpu_evidence: [1] }))).toEqual({
      quote: bytes(1020),
      ccEventLog: null,
      simulated: false,
    })
  })

  it.each([
    ['no quote', { quote: undefined }, 'evidence.quote: is missing'],
    ['a quote that is null', { quote: null }, 'evidence.quote: is not a string'],
    ['a quote of 1 019 bytes', { quote: base64(1019) }, 'evidence.quote: has 1019 bytes, must have 1020'],
    ['a quote of 16 385 bytes', { quote: base64(16_385) }, 'evidence.quote: has 16385 bytes, may have 16384'],
    ['a quote far too long', { quote: 'A'.repeat(30_000) }, 'evidence.quote: is longer than 21848 characters'],
    ['a quote in base64url', { quote: `${quote.slice(0, -4)}-_-_` }, 'evidence.quote: is not standard base64'],
    ['a quote without padding', { quote: base64(1021).replace('=', '') }, 'evidence.quote: is not standard base64'],
    ['a quote with a line end', { quote: `${quote}\n` }, 'evidence.quote: is not standard base64'],
    ['a quote with unused bits', { quote: `${base64(1020)}QQ==`.replace('QQ==', 'QR==') }, 'is not standard base64'],
    ['an empty log', { cc_eventlog: '' }, 'evidence.cc_eventlog: is empty'],
    ['a log that is a number', { cc_eventlog: 1 }, 'evidence.cc_eventlog: is not a string'],
    [
      'a log above 2 MiB',
      { cc_eventlog: base64(tdxEvidenceLimits.ccEventLog + 1) },
      'evidence.cc_eventlog: has 2097153 bytes, may have 2097152',
    ],
    ['a log in the older place', { aa_eventlog: 'AAAA' }, 'evidence.aa_eventlog: must be absent, null or empty'],
    ['hints that are no object', { hints: true }, 'evidence.hints: is not an object'],
    ['a hint that is no boolean', { hints: { simulated: 1 } }, 'evidence.hints.simulated: is not true or false'],
  ])('is refused with %s', (_, members, says) => {
    expect(() => parseTdxEvidence(json(members))).toThrow(says)
    expect(() => parseTdxEvidence(json(members))).toThrow(MalformedError)
  })

  it('has the largest quote and log that are allowed', () => {
    const { quote: size, ccEventLog } = tdxEvidenceLimits
    const evidence = { quote: bytes(size), ccEventLog: bytes(ccEventLog), simulated: false }
    const parsed = parseTdxEvidence(JSON.stringify(encodeTdxEvidence(evidence)))
    expect([parsed.quote, parsed.ccEventLog].map((part) => Buffer.from(part ?? []).toString('latin1'))).toEqual([
      'A'.repeat(size),
      'A'.repeat(ccEventLog),
    ])
  })

  it.each([
    ['nothing', '', 'evidence: '],
    ['an array', '[]', 'is not a JSON object'],
    ['null', 'null', 'is not a JSON object'],
    ['a member twice', `{"quote":"${quote}","quote":"${quote}"}`, 'duplicate member "quote"'],
    ['more than 4 MiB', ' '.repeat(4 * 1024 * 1024 + 1), 'evidence: is longer than 4194304 bytes'],
    [
      'members nested deeper than any container',
      JSON.stringify({ quote, more: [[[[[[[[1]]]]]]]] }),
      'nested deeper than 8',
    ],
  ])('is refused as %s', (_, text, says) => {
    expect(() => parseTdxEvidence(text)).toThrow(says)
    expect(() => parseTdxEvidence(text)).toThrow(MalformedError)
  })
})
