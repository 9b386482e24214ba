import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { runInProcess } from '../../../test/support/recorded-io.ts'
import { haveVectors, vectorsFolder } from '../../../test/support/vectors.ts'
import { toBase64 } from '../../base/bytes.ts'
import { parseQuote } from '../../evidence/tdx/quote.ts'
import { tdxChecks } from '../../verifier/index.ts'
import { appraiseCommand } from './appraise.ts'

const folder = mkdtempSync(join(tmpdir(), 'attestd-appraise-quote-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

const file = (name: string, content: string | Uint8Array) => {
  const path = join(folder, name)
  writeFileSync(path, content)
  return path
}
const recorded = (name: string) => join(vectorsFolder, 'tdx', name)
const collateral = (name: string) => ['--collateral', recorded(`collateral/${name}.json`)]
const appraise = (...args: readonly string[]) => runInProcess(appraiseCommand, ...args)

/** What stands below the findings, and those that did not pass. */
function summaryOf(out: string): string {
  return out
    .split('\n')
    .filter((line) => !/^(?:passed|unreached|note:|waived {5}tdx\.(?:eventlog|references))/.test(line))
    .join('\n')
}

const v4 = {
  quote: recorded('quotes/dcapqvl-tdx_quote-v4.bin'),
  now: ['--at', '2025-06-20T00:00:00Z'],
  collateral: collateral('dcapqvl-tdx-b0c06f-2025-06'),
}
const debugTd = [
  ...[recorded('quotes/trustee-tdx4-v4.bin'), ...collateral('gotdx-tdx-50806f-2023-06')],
  ...['--at', '2023-07-01T01:00:00Z', '--any-report-data'],
]

describe.skipIf(!haveVectors)('recorded quotes', () => {
  const nonce = haveVectors
    ? Buffer.from(parseQuote(readFileSync(v4.quote)).body.report.reportData).toString('hex')
    : ''
  const asked = [v4.quote, ...v4.now, ...v4.collateral, '--nonce', nonce]

  it('the quote of a TD over its nonce is affirmed, and its TCB shown', async () => {
    const { out, error } = await appraise(...asked)
    expect(error).toBeNull()
    expect(out.split('\n').filter((line) => /^(?:passed|waived)/.test(line))).toHaveLength(
      Object.keys(tdxChecks).length,
    )
    expect(summaryOf(out)).toBe(
      [
        'evidence of a TD',
        'quote: verified',
        'TCB status: UpToDate, of 2024-03-13, by evaluation 17',
        'advisories: none',
        'collateral: newest of 2025-06-19T10:32:27Z, all of it current until 2025-07-19T10:00:35Z',
        'affirmed: 65 checks passed, 5 waived',
        '',
      ].join('\n'),
    )
    expect(out).toContain('note: no measurement was compared: name --references for what has to run\n')
  })

  it('with another nonce it is not', async () => {
    const other = nonce.replace(/^../, '00')
    const { error } = await appraise(v4.quote, ...v4.now, ...v4.collateral, '--nonce', other)
    expect(error).toMatchObject({ code: 'NOT_AFFIRMED', exitCode: 1 })
    expect(error?.message).toMatch(/^tdx\.reportData: the quote has /)
  })

  it('without a nonce it is not judged, unless that is waived', async () => {
    const { error, out } = await appraise(v4.quote, ...v4.now, ...v4.collateral)
    expect(error).toMatchObject({ code: 'USAGE', exitCode: 78 })
    expect([out, error?.message.includes('--any-report-data waives that')]).toEqual(['', true])
    const waived = await appraise(v4.quote, ...v4.now, ...v4.collateral, '--any-report-data')
    expect(waived.error).toBeNull()
    expect(waived.out).toContain('note: the report data was not compared: this may be a recording of any age\n')
    expect(waived.out).toMatch(/^waived {5}tdx\.reportData /m)
  })

  it("the same bytes as a container, with the host's padding, say the same", async () => {
    const quote = new Uint8Array(readFileSync(v4.quote))
    const container = file('v4.json', JSON.stringify({ quote: toBase64(quote), cc_eventlog: null }))
    const run = async (path: string) => JSON.parse((await appraise(path, ...asked.slice(1), '--json')).out)
    expect(await run(container)).toEqual(await run(v4.quote))
  })

  it('without collateral it is never affirmed, and the way to the collateral is named (TDX-099)', async () => {
    const { out, error } = await appraise(v4.quote, ...v4.now, '--nonce', nonce)
    expect(error).toMatchObject({ code: 'NOT_AFFIRMED', exitCode: 1 })
    expect(error?.remedy).toBe('name --collateral: attestd collateral fetch --quote FILE --output BUNDLE')
    expect(out).toContain('quote: genuine as far as that shows without collateral\n')
    expect(summaryOf(out)).not.toContain('TCB status: ')
    const json = JSON.parse((await appraise(v4.quote, ...v4.now, '--nonce', nonce, '--json')).out)
    expect(json).toMatchObject({ affirmed: false, claims: {}, quote: { verified: true, complete: false, tcb: null } })
    const container = file('bare.json', JSON.stringify({ quote: toBase64(readFileSync(v4.quote)) }))
    const other = await appraise(container, ...v4.now, '--nonce', nonce)
    expect(other.error?.remedy).toContain('collateral fetch --tee tdx --fmspc b0c06f000000 --ca ')
  })

  it('below every TCB level it is refused, and what is short is shown (TDX-177)', async () => {
    const args = [recorded('quotes/dcapqvl-quote-from-tappd-v4.bin'), ...v4.now, ...v4.collateral, '--any-report-data']
    const { out, error } = await appraise(...args)
    expect(error?.message).toBe('tdx.tcb.level: the platform is below every level')
    expect(summaryOf(out).split('\n').slice(-7)).toEqual([
      'evidence of a TD',
      'quote: not verified (tcb_not_supported)',
      'short of the best TCB level:',
      '  component   have   need',
      '  sgx[7]         3      5  SGX TCB component 7 is 3, 2 below 5: update BIOS and microcode of the host, and fetch its new PCK certificate',
      'NOT affirmed: 2 of 70 checks failed, 2 unreached, 6 waived',
      '',
    ])
    const json = JSON.parse((await appraise(...args, '--json')).out)
    expect(json.quote.shortfall).toMatchObject([{ component: 'sgx[7]', have: 3, need: 5 }])
  })

  it('of a TD in debug mode it is refused, unless that is allowed', async () => {
    const { out, error } = await appraise(...debugTd)
    expect(error?.message).toBe('tdx.policy.debug: it is in debug mode')
    expect(out).toContain('quote: verified\n')
    const allowed = await appraise(...debugTd, '--allow-debug', '--json')
    expect(allowed.error).toBeNull()
    expect(JSON.parse(allowed.out)).toMatchObject({
      quote: { debug: true },
      claims: { tdx: { td_attributes: { debug: true } } },
    })
  })

  it('that is malformed it is refused, whatever the collateral', async () => {
    const args = [...collateral('gotdx-tdx-50806f-2023-06'), '--at', '2023-07-01T01:00:00Z', '--any-report-data']
    const { out, error } = await appraise(recorded('quotes/gotdx-spr-e4-v4.bin'), ...args)
    expect(error?.message).toMatch(/^tdx\.quote\.padding: .* \(at byte 4935\)$/)
    expect(out).toContain('quote: not verified (malformed)\nNOT affirmed: 1 of 70 checks failed')
  })

  it.each([0, 47, 636, 1020])('cut to %i bytes it is malformed, and no program error', async (size) => {
    const path = file(`cut-${size}.bin`, readFileSync(v4.quote).subarray(0, size))
    const { error } = await appraise(path, ...v4.now, ...v4.collateral, '--any-report-data')
    expect(error?.code).toBe(size === 0 ? 'MALFORMED' : 'NOT_AFFIRMED')
  })

  it.each([
    ['collateral that has expired', '2025-07-19T10:00:36Z', 'not_current'],
    ['collateral that is not issued yet', '2025-06-19T10:16:02Z', 'not_current'],
  ])('with %s it is refused', async (_, at, verdict) => {
    const { out, error } = await appraise(v4.quote, ...v4.collateral, '--any-report-data', '--at', at)
    expect(error?.code).toBe('NOT_AFFIRMED')
    expect(out).toContain(`quote: not verified (${verdict})\n`)
  })

  it('with the collateral of another platform it is refused', async () => {
    const { out, error } = await appraise(
      v4.quote,
      ...v4.now,
      ...collateral('dcapqvl-sgx-00a067-2025-06'),
      '--any-report-data',
    )
    expect(error?.code).toBe('NOT_AFFIRMED')
    expect(out).toMatch(/^quote: not verified \(collateral_/m)
  })
})

describe.skipIf(!haveVectors)('recorded quotes of SGX enclaves', () => {
  const sgx = [
    ...[recorded('quotes/dcapqvl-sgx_quote-v3.bin'), ...collateral('dcapqvl-sgx-00a067-2025-06')],
    ...['--at', '2025-06-20T00:00:00Z', '--any-report-data'],
  ]

  it('need the status to be accepted by name', async () => {
    const { out, error } = await appraise(...sgx)
    expect(error?.message).toBe('tdx.policy.tcbStatus: the status is ConfigurationAndSWHardeningNeeded')
    expect(out).toContain('evidence of an SGX enclave\nquote: verified\n')
    expect(out).toContain('advisories: INTEL-SA-00289, INTEL-SA-00615\n')
    const accepted = await appraise(...sgx, '--tcb-status', 'UpToDate,ConfigurationAndSWHardeningNeeded', '--json')
    expect(accepted.error).toBeNull()
    expect(JSON.parse(accepted.out)).toMatchObject({ kind: 'sgx', claims: { sgx: { tcb_status: expect.any(String) } } })
  })

  it('have no event log to require', async () => {
    const { error } = await appraise(...sgx, '--require-event-log')
    expect(error).toMatchObject({ code: 'USAGE', message: 'the quote of an SGX enclave has no event log' })
  })

  it('are not taken for TDs in a container that says that it holds one', async () => {
    const container = file('sgx.json', JSON.stringify({ quote: toBase64(readFileSync(sgx[0] ?? '')) }))
    const { out, error } = await appraise(
      container,
      ...sgx.slice(1),
      '--tcb-status',
      'ConfigurationAndSWHardeningNeeded',
    )
    expect(error?.message).toBe('tdx.evidence.kind: the quote is about an SGX enclave')
    expect(out).toContain('evidence of a TD\n')
  })

  it('under a root of their own need the word that they are simulated, which marks them', async () => {
    const root = recorded('collateral/intel-testpki-sgx.root.pem')
    const own = [
      ...[recorded('quotes/intel-sgx-v3-testpki.bin'), ...collateral('intel-testpki-sgx')],
      ...['--at', '2022-01-01T00:00:00Z', '--any-report-data'],
    ]
    expect((await appraise(...own)).error?.message).toMatch(/^tdx\.pck\.anchor: /)
    const unmarked = await appraise(...own, '--trust-anchors', root)
    expect(unmarked.error).toMatchObject({ code: 'USAGE', exitCode: 78 })
    expect(unmarked.error?.message).toContain('needs --simulator')
    const { out, error } = await appraise(...own, '--trust-anchors', root, '--simulator', '--json')
    expect(error).toBeNull()
    expect(JSON.parse(out)).toMatchObject({ quote: { simulated: true } })
    expect(JSON.parse(out).notes.join()).toContain('simulated TDs were let through')
  })
})

describe.skipIf(!haveVectors)('reference values', () => {
  const asked = [v4.quote, ...v4.now, ...v4.collateral, '--any-report-data']
  const { report } = haveVectors ? parseQuote(readFileSync(v4.quote)).body : { report: undefined }
  const mrTd = report && 'mrTd' in report ? Buffer.from(report.mrTd).toString('hex') : ''
  const with_ = (references: unknown) =>
    appraise(...asked, '--references', file('references.json', JSON.stringify(references)))

  it('that hold are compared, one of several suffices', async () => {
    const { out, error } = await with_({ mr_td: ['00'.repeat(48), mrTd] })
    expect(error).toBeNull()
    expect(out).toMatch(/^passed {5}tdx\.references .*: mrTd$/m)
    expect(out).not.toContain('no measurement was compared')
  })

  it.each([
    ['another value', { mr_td: ['00'.repeat(48)] }, 'tdx.references: mrTd is '],
    [
      'a field that the quote does not have',
      { mr_enclave: ['00'.repeat(32)] },
      'tdx.references: the quote has no mrEnclave',
    ],
  ])('that do not hold refuse: %s', async (_, references, says) => {
    const { error } = await with_(references)
    expect(error).toMatchObject({ code: 'NOT_AFFIRMED', exitCode: 1 })
    expect(error?.message.startsWith(says)).toBe(true)
  })

  it('that are misspelt are an error, and nothing is judged', async () => {
    const { error, out } = await with_({ mr_tdd: [mrTd] })
    expect(error).toMatchObject({
      code: 'MALFORMED',
      exitCode: 65,
      message: 'references."mr_tdd": is no field of a quote',
    })
    expect(out).toBe('')
  })
})
