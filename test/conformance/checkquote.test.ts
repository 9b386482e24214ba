import { randomBytes } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { simulateFirmware } from '../../mocks/swtpm/measured-boot.ts'
import { type AkScheme, akTemplates } from '../../src/attester/tpm/attestation-key.ts'
import { parseText } from '../../src/base/bytes.ts'
import type { HashName } from '../../src/evidence/tpm/algorithms.ts'
import { parseTpmAttest } from '../../src/evidence/tpm/attest.ts'
import type { TpmEvidence, TpmQuote } from '../../src/evidence/tpm/evidence.ts'
import { parseSizedPublic, type TpmtPublic } from '../../src/evidence/tpm/public-area.ts'
import { appraiseTpm } from '../../src/verifier/tpm/appraise-tpm.ts'
import type { TpmCheckId } from '../../src/verifier/tpm/checks.ts'
import { defaultTpmRequirements } from '../../src/verifier/tpm/inputs.ts'
import { type CheckedQuote, haveCheckquote, haveOpenssl, opensslAccepts, toolAccepts } from '../support/checkquote.ts'
import { recordedEvidence } from '../support/recorded-tpm.ts'
import { haveSwtpm, useSwtpm } from '../support/swtpm.ts'
import { SwtpmConnection } from '../support/swtpm-connection.ts'
import { attestingMachine } from '../support/tpm-attesting.ts'
import { haveVectors, vectorJson } from '../support/vectors.ts'

/** Independent judges of quotes: tpm2_checkquote and, for RSASSA-PSS, OpenSSL say what this verifier says. */

const draw = (size: number) => new Uint8Array(randomBytes(size))
const compared: readonly TpmCheckId[] = ['tpm.quote.signature', 'tpm.quote.nonce', 'tpm.pcrs.digest']

/** Signature, qualifying data and digest as this verifier sees them, whatever else it has to say. */
function ours({ area, quote, qualifyingData }: CheckedQuote, ak: TpmEvidence['ak']): boolean {
  const ek = { publicArea: null, certificate: null, chain: [] }
  const { findings } = appraiseTpm(
    { ak, ek, quotes: [quote], eventLog: null, ima: null, simulated: false },
    {
      now: 0,
      expected: { qualifyingData, selection: 'any', minimumLength: 1 },
      enrolment: null,
      requirements: { ...defaultTpmRequirements, eventLog: 'optional', allowUnenrolled: true },
      simulator: false,
    },
  )
  expect(area.type).toBe(parseSizedPublic(ak.publicArea).type)
  return compared.every((id) => findings.find((finding) => finding.id === id)?.outcome === 'passed')
}

function hashOf({ scheme }: TpmtPublic): HashName {
  if (!('hash' in scheme)) throw new Error('a key without a scheme')
  return scheme.hash
}

const changed = (bytes: Uint8Array, at: number) => bytes.with(at, (bytes[at] ?? 0) ^ 1)

function withValue(quote: TpmQuote, bank: HashName, pcr: number): TpmQuote {
  const values = new Map(quote.pcrs.get(bank))
  values.set(pcr, changed(values.get(pcr) ?? new Uint8Array(1), 7))
  return { ...quote, pcrs: new Map([...quote.pcrs, [bank, values]]) }
}

function lastByteOfClock({ attest }: TpmQuote): number {
  const { qualifiedSigner, extraData } = parseTpmAttest(attest)
  return 4 + 2 + 2 + qualifiedSigner.length + 2 + extraData.length + 7
}

/** The quote as it is, and broken in every way that both sides look at. */
function variants(given: CheckedQuote): [string, CheckedQuote][] {
  const { quote, qualifyingData } = given
  const [bank = 'sha256'] = [...quote.pcrs.keys()]
  const [first = 0, ...others] = [...(quote.pcrs.get(bank)?.keys() ?? [])]
  const changes: [string, CheckedQuote][] = [
    ['signature', { ...given, quote: { ...quote, signature: changed(quote.signature, 20) } }],
    [
      'end of the signature',
      { ...given, quote: { ...quote, signature: changed(quote.signature, quote.signature.length - 1) } },
    ],
    // Nothing but the signature covers the clock.
    ['clock', { ...given, quote: { ...quote, attest: changed(quote.attest, lastByteOfClock(quote)) } }],
    ['first value', { ...given, quote: withValue(quote, bank, first) }],
    ['last value', { ...given, quote: withValue(quote, bank, others.at(-1) ?? first) }],
    ['nonce', { ...given, qualifyingData: changed(qualifyingData, qualifyingData.length - 1) }],
    ['length of the nonce', { ...given, qualifyingData: qualifyingData.subarray(0, -1) }],
  ]
  return [['nothing', given], ...changes]
}

const folder = mkdtempSync(join(tmpdir(), 'attestd-checkquote-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

/** tpm2_checkquote 5.4 knows no RSASSA-PSS; OpenSSL then judges the signature alone. */
function theirs(quote: CheckedQuote): boolean {
  return quote.area.scheme.algorithm === 'rsapss' ? opensslAccepts(quote, folder) : toolAccepts(quote, folder)
}

const visible = (quote: CheckedQuote, what: string) =>
  quote.area.scheme.algorithm !== 'rsapss' || !/value|nonce/.test(what)

function compare(given: CheckedQuote, ak: TpmEvidence['ak']): void {
  for (const [what, quote] of variants(given)) {
    const expected = what === 'nothing'
    expect([what, ours(quote, ak)]).toEqual([what, expected])
    if (visible(quote, what)) expect([what, theirs(quote)]).toEqual([what, expected])
  }
}

interface Recorded {
  readonly file: string
  readonly expected: {
    readonly attest: { readonly extraData: string }
    readonly with?: { readonly ak?: string; readonly pcrs?: string; readonly signature?: string }
  }
}

describe.skipIf(!haveVectors || !haveCheckquote || !haveOpenssl)('recorded quotes', () => {
  const manifest = haveVectors ? (vectorJson('tpm/MANIFEST.json') as Recorded[]) : []
  const quotes = manifest.filter(
    ({ file, expected }) => /\.attest$/.test(file) && expected.with?.ak && expected.with.pcrs,
  )

  it.each(quotes)('$file: both sides say the same of it, and of every change', ({ file, expected }) => {
    const folderOf = file.slice(0, file.lastIndexOf('/') + 1)
    const at = (name = '') => (name.includes('/') ? name : `${folderOf}${name}`)
    const { ak = '', pcrs = '', signature = '' } = expected.with ?? {}
    const parts = { ak: at(ak), attest: file, signature: at(signature), pcrs: at(pcrs) }
    const evidence = recordedEvidence(parts)
    const area = parseSizedPublic(evidence.ak.publicArea)
    const [quote] = evidence.quotes
    if (!quote) return expect.unreachable()
    const qualifyingData = parseText(expected.attest.extraData, 'hex', 'nonce')
    compare({ area, quote, qualifyingData, hash: hashOf(area) }, evidence.ak)
  })

  it('are fifteen', () => {
    expect(quotes).toHaveLength(15)
  })
})

describe.skipIf(!haveSwtpm || !haveCheckquote || !haveOpenssl)('quotes of the attester', () => {
  const { tpm } = useSwtpm('checkquote')
  let connection = new SwtpmConnection(tpm)
  beforeAll(async () => {
    await simulateFirmware(connection.send)
  })
  afterEach(async () => {
    await connection[Symbol.asyncDispose]()
    connection = new SwtpmConnection(tpm)
  })

  it.each(Object.keys(akTemplates) as AkScheme[])(
    '%s: both sides say the same of it, and of every change',
    async (scheme) => {
      const { attester } = attestingMachine(connection, { scheme })
      await attester.identity()
      const qualifyingData = draw(32)
      const { ak, quotes } = await attester.collect(qualifyingData)
      const area = parseSizedPublic(ak.publicArea)
      const [quote] = quotes
      if (!quote) return expect.unreachable()
      expect([...quote.pcrs.keys()]).toEqual(['sha256', 'sha384'])
      compare({ area, quote, qualifyingData, hash: hashOf(area) }, ak)
    },
  )
})
