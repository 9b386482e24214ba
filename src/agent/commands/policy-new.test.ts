import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { runInProcess } from '../../../test/support/recorded-io.ts'
import { runAttestd } from '../../../test/support/run-command.ts'
import { haveVectors, vectorsFolder } from '../../../test/support/vectors.ts'
import { parseQuote } from '../../evidence/tdx/quote.ts'
import { type Claim, type EvidenceKind, evaluatePolicy, parsePolicy } from '../../policies/index.ts'
import { siteKinds } from '../policy-tools/site-parts.ts'
import { writeSitePolicy } from '../policy-tools/site-policy.ts'
import { policyCommand } from './policy.ts'

const folder = mkdtempSync(join(tmpdir(), 'attestd-policy-new-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))
const policy = (...args: readonly string[]) => runInProcess(policyCommand, ...args)

const combinations: readonly (readonly EvidenceKind[])[] = [
  ['tdx'],
  ['tpm'],
  ['tpm', 'ima'],
  ['tdx', 'gpu'],
  ['tdx', 'tpm'],
  [...siteKinds],
]

const service = (type: string, value: Claim['value']): Claim => ({ type, value, issuer: 'AttestationService' })
const values = (name: (index: number) => string, bytes: number, indexes: readonly number[]) =>
  indexes.map((index) => service(name(index), `${index}${index}`.repeat(bytes)))

const good: readonly Claim[] = [
  service('attestation.simulated', false),
  service('attestation.time', 1_750_000_000n),
  service('tdx.td_attributes.debug', false),
  service('tdx.report_data_bound', true),
  service('tdx.tcb_status', 'UpToDate'),
  service('tdx.quote.body.mr_td', 'ab'.repeat(48)),
  ...values((index) => `tdx.quote.body.rtmr_${index}`, 48, [0, 1, 2, 3]),
  service('tpm.ak_trusted', true),
  service('tpm.nonce_matched', true),
  service('tpm.eventlog_verified', true),
  ...[0n, 1n, 2n, 3n, 4n, 5n, 6n, 7n, 10n].map((index) => service('tpm.quoted_pcrs', index)),
  ...values((index) => `tpm.pcr.${index}`, 32, [0, 1, 2, 3, 4, 5, 7]),
  service('ima.verified', true),
  service('ima.boot_aggregate_matched', true),
  service('ima.violation_count', 0n),
  service('ima.not_allowed_count', 0n),
  service('gpu.count', 1n),
  service('gpu.verified', true),
  service('gpu.measurements_matched', true),
  service('gpu.debug', false),
  service('gpu.rim', 'full'),
  service('gpu.binding', 'transcript'),
]

function verdictOf(text: string, claims: readonly Claim[]): string {
  const { policy: parsed } = parsePolicy(text)
  return parsed === undefined ? 'does not load' : evaluatePolicy(parsed, claims, { profile: 'attestd' }).verdict
}
const of = (kinds: readonly EvidenceKind[], claims: readonly Claim[] | null) =>
  writeSitePolicy({ name: 'site', kinds: siteKinds.filter((kind) => kinds.includes(kind)), claims })

describe('a site policy (POL-441)', () => {
  it.each(combinations)('for %s %s %s %s has nothing that lints find, and is laid out', async (...kinds) => {
    const given = kinds.filter((kind) => kind !== undefined)
    for (const claims of [null, good]) {
      const path = join(folder, `${given.join('-')}.policy`)
      writeFileSync(path, of(given, claims))
      expect((await policy('check', '--strict', '--kinds', given.join(','), path)).error).toBeNull()
      expect((await policy('fmt', '--check', path)).error).toBeNull()
    }
  })

  it('permits the evidence that it is made for, and nothing while values are missing', () => {
    for (const kinds of combinations) {
      expect([kinds, verdictOf(of(kinds, good), good)]).toEqual([kinds, 'permit'])
      if (kinds[0] === 'tdx' || kinds[0] === 'tpm') expect(verdictOf(of(kinds, null), good)).toBe('deny')
    }
  })

  const judged = good.filter(({ type }) => {
    return !/^attestation\.time|rtmr_3|tpm\.quoted|tpm\.pcr\.[1235]$/.test(type)
  })
  it.each(judged.map((claim) => [claim.type, claim] as const))('denies when %s is another or absent', (_, claim) => {
    const text = of([...siteKinds], good)
    const without = good.filter((each) => each !== claim)
    expect(verdictOf(text, without)).toBe('deny')
    const { value } = claim
    const other = typeof value === 'boolean' ? !value : typeof value === 'bigint' ? value - 1n : `${value}0`
    expect(verdictOf(text, [...without, { ...claim, value: other }])).toBe('deny')
    expect(verdictOf(text, [...without, { ...claim, issuer: 'CustomClaim' }])).toBe('deny')
  })

  it('takes no text from claims that is no measurement', () => {
    const hostile = '"] => permit(); //'
    const claims = [service('tdx.quote.body.mr_td', hostile), service('tdx.quote.body.rtmr_3', `\n${hostile}`)]
    const text = of(['tdx'], claims)
    expect([text.includes(hostile), text.includes('in place of REPLACE-ME')]).toEqual([false, true])
    const stated: Claim[] = [{ type: 'tdx.quote.body.mr_td', value: 'ab'.repeat(48), issuer: 'CustomClaim' }]
    expect(of(['tdx'], stated)).not.toContain('abab')
  })
})

describe('attestd policy new', () => {
  it('needs to know what it is about, and refuses what no site policy is for', async () => {
    expect((await policy('new')).error?.code).toBe('USAGE')
    expect((await policy('new', '--kind', 'sgx')).error?.code).toBe('USAGE')
    expect((await policy('new', '--kind', 'ima')).error?.code).toBe('USAGE')
    const { code } = await runAttestd(['policy', 'new', '--kind', 'tdx', '--name', 'a"b'])
    expect(code).toBe(2)
  })

  it('writes a file, or to standard output', async () => {
    const path = join(folder, 'out.policy')
    expect((await policy('new', '--kind', 'tpm,ima', '--name', 'mine', '-o', path)).out).toBe('')
    const { out } = await policy('new', '--kind', 'tpm+ima', '--name', 'mine')
    expect([readFileSync(path, 'utf8'), out.includes('value="mine"')]).toEqual([out, true])
  })
})

describe.skipIf(!haveVectors)('of a recorded quote', () => {
  const recorded = (name: string) => join(vectorsFolder, 'tdx', name)
  const quote = recorded('quotes/dcapqvl-tdx_quote-v4.bin')
  const nonce = haveVectors ? Buffer.from(parseQuote(readFileSync(quote)).body.report.reportData).toString('hex') : ''
  const asked = [
    ...['--evidence', quote, '--at', '2025-06-20T00:00:00Z'],
    ...['--collateral', recorded('collateral/dcapqvl-tdx-b0c06f-2025-06.json')],
  ]

  it('has its measured values, and permits it', async () => {
    const path = join(folder, 'quote.policy')
    const { error, err } = await policy('new', ...asked, '--nonce', nonce, '-o', path)
    expect([error, err, readFileSync(path, 'utf8').includes('REPLACE-ME')]).toEqual([null, '', false])
    const { out } = await policy('run', path, ...asked, '--nonce', nonce)
    expect(out).toContain(': PERMIT: line ')
  })

  it('says so if the policy denies this very evidence', async () => {
    const { out, err } = await policy('new', ...asked, '--any-report-data')
    expect([out.includes('REPLACE-ME'), err]).toEqual([false, expect.stringContaining('note: the policy denies this')])
  })

  it('takes nothing from evidence that is not affirmed, and nothing that it does not show', async () => {
    const { out, error } = await policy('new', ...asked, '--nonce', '00'.repeat(64))
    expect([out, error?.code]).toEqual(['', 'NOT_AFFIRMED'])
    expect((await policy('new', '--kind', 'tdx,tpm', ...asked, '--nonce', nonce)).error?.code).toBe('USAGE')
  })
})
