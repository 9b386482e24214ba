import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { runInProcess } from '../../../test/support/recorded-io.ts'
import { SimulatedGuest } from '../../../test/support/simulated-guest.ts'
import { createRoot, testNow } from '../../../test/support/test-ca.ts'
import type { JsonObject } from '../../base/json.ts'
import { encodePem } from '../../base/pki/pem.ts'
import { encodeCollateral } from '../../endorsements/tdx/collateral.ts'
import { deriveReportData, deriveTpmQualifyingData } from '../../evidence/binding.ts'
import { nonceSeed } from '../evidence-binding.ts'
import { encodeEvidenceDocument } from '../evidence-document.ts'
import { appraiseCommand } from './appraise.ts'

/** Which options fit which evidence, and how they are refused. */

const folder = mkdtempSync(join(tmpdir(), 'attestd-appraise-options-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

const file = (name: string, content: string | Uint8Array) => {
  const path = join(folder, name)
  writeFileSync(path, content)
  return path
}
const appraise = (...args: readonly string[]) => runInProcess(appraiseCommand, ...args)

describe('the command line, for a quote', () => {
  const quote = file('quote.bin', Uint8Array.of(4, 0, 2, 0, 0x81, 0, 0, 0))
  const nonce = ['--nonce', '00'.repeat(32)]
  const aboutTpm: [string, string[]][] = [
    ['--ak-name', ['--ak-name', `000b${'00'.repeat(32)}`]],
    ['--allow-unenrolled', ['--allow-unenrolled']],
    ['--pinned-ek', ['--pinned-ek', '00'.repeat(32)]],
    ['--intermediates', ['--intermediates', quote]],
    ['--crl', ['--crl', quote]],
    ['--require-ima', ['--require-ima']],
  ]

  it.each(aboutTpm)('refuses %s: who asks for a TPM must not be content without one', async (name, args) => {
    const { error, out } = await appraise(quote, ...nonce, ...args)
    expect(error).toMatchObject({ code: 'USAGE', exitCode: 78 })
    expect([error?.message, out]).toEqual([`${name} is about a TPM, and this evidence has none`, ''])
  })

  it('refuses a nonce and its waiver', async () => {
    const { error } = await appraise(quote, ...nonce, '--any-report-data')
    expect(error).toMatchObject({ code: 'USAGE', message: '--nonce and --any-report-data contradict each other' })
  })

  it.each([
    ['absent collateral', ['--collateral', join(folder, 'absent')], 'INPUT_UNREADABLE', 78],
    ['collateral that is none', ['--collateral', quote], 'MALFORMED', 65],
    ['absent references', ['--references', join(folder, 'absent')], 'INPUT_UNREADABLE', 78],
    ['references that are none', ['--references', quote], 'MALFORMED', 65],
    ['a root that is none', ['--trust-anchors', quote, '--simulator'], 'MALFORMED', 65],
  ])('ends with an error for %s', async (_, args, code, exitCode) => {
    expect((await appraise(quote, ...nonce, ...args)).error).toMatchObject({ code, exitCode })
  })

  it.each([['Revoked'], ['uptodate'], ['UpToDate,'], ['']])('does not take the status %j', async (list) => {
    await expect(appraise(quote, ...nonce, '--tcb-status', list)).rejects.toThrow(/must be of these/)
  })

  it('says of a quote that names no platform that no collateral can be fetched', async () => {
    const { error } = await appraise(quote, ...nonce)
    expect(error).toMatchObject({ code: 'NOT_AFFIRMED', exitCode: 1 })
    expect(error?.remedy).toContain('names no platform')
  })
})

describe('the command line, for a TD beside its TPM and for a TPM', () => {
  const guest = new SimulatedGuest()
  const nonce = new Uint8Array(32).fill(6)
  const both = guest.both(nonceSeed(nonce))
  const pem = (name: string, { der }: { readonly der: Uint8Array }) => file(name, encodePem(der, 'CERTIFICATE'))
  const tdRoot = pem('td-root.pem', { der: guest.sim.pki.root.certificate })
  const ekRoot = pem('ek-root.pem', createRoot().certificate)
  const composite = file('both.json', encodeEvidenceDocument(both, nonce))
  const tpm = file(
    'tpm.json',
    encodeEvidenceDocument({ tdx: null, tpm: { evidence: guest.tpm.evidence(nonce), container: null } }, nonce),
  )
  const asked = ['--nonce', Buffer.from(nonce).toString('hex'), '--at', new Date(testNow).toISOString()]
  const judgedBy = ['--collateral', file('both-collateral.json', encodeCollateral(guest.sim.collateral()))]
  const refusal = async (...args: string[]) => {
    const { error, out } = await appraise(...args)
    expect([error?.code, error?.exitCode, out]).toEqual(['USAGE', 78, ''])
    return error?.message
  }

  it('tells roots of simulated TDs by the name that all roots of quotes have (TDX-115)', async () => {
    const simulated = [composite, ...asked, ...judgedBy, '--simulator', '--allow-unenrolled']
    const tdAlone = await appraise(...simulated, '--trust-anchors', tdRoot)
    expect(tdAlone.error).toBeNull()
    expect(tdAlone.out).not.toContain('tpm.ek.chain')
    const { out, error } = await appraise(...simulated, '--trust-anchors', tdRoot, ekRoot)
    expect(error?.code).toBe('NOT_AFFIRMED')
    expect([...out.matchAll(/^FAILED {5}(\S+)/gm)].map(([, id]) => id)).toEqual(['tpm.ek.certificate'])
  })

  it('takes roots of TPMs without the word that anything is simulated, and no root of TDs', async () => {
    const hardware = [composite, ...asked, ...judgedBy, '--allow-unenrolled', '--trust-anchors', ekRoot]
    expect((await appraise(...hardware)).error?.code).toBe('NOT_AFFIRMED')
    expect(await refusal(...hardware, tdRoot)).toContain('needs --simulator')
  })

  it('refuses certificates for a chain whose root is not there', async () => {
    const args = [composite, ...asked, '--simulator', '--trust-anchors', tdRoot, '--intermediates', ekRoot]
    expect(await refusal(...args)).toBe('--intermediates and --crl say nothing without --trust-anchors')
  })

  it.each([[composite], [tpm]])('refuses to waive the nonce: %#', async (path) => {
    expect(await refusal(path, '--any-report-data', '--allow-unenrolled')).toMatch(/^--any-report-data is /)
  })

  it.each([['--collateral', composite], ['--tcb-status', 'OutOfDate'], ['--allow-debug']])(
    'refuses %s for a TPM: who asks for a TD must not be content without one',
    async (...args) => {
      const message = await refusal(tpm, ...asked, '--allow-unenrolled', ...args)
      expect(message).toBe(`${args[0]} is about the quote of a TD, and this evidence has none`)
    },
  )

  it('takes what POST /v1/evidence gave, for the verifier that one asked for and for no other (BRK-93, BRK-94)', async () => {
    const verifier = 'https://verifier.example'
    const stated = (of: string) => ({ profile: 'attestd/1', purpose: 'evidence', verifier: of })
    const made = (of: string, says: object | null) => {
      const seed = nonceSeed(nonce, of)
      const ofTpm = { evidence: guest.tpm.evidence(deriveTpmQualifyingData(seed)), container: null }
      const ofTd = guest.tdEvidence(deriveReportData(seed, new Uint8Array()))
      const guests = [{ tdx: null, tpm: ofTpm }, { tdx: ofTd, tpm: null }, guest.both(seed)]
      return guests.map((one, at) => file(`made-${at}.json`, encodeEvidenceDocument(one, nonce, says as JsonObject)))
    }
    const ofWhat = [
      ['--allow-unenrolled'],
      [...judgedBy, '--trust-anchors', tdRoot],
      [...judgedBy, '--trust-anchors', tdRoot, '--allow-unenrolled'],
    ]
    const verdicts = (files: readonly string[], ...args: string[]) =>
      Promise.all(
        files.map(async (path, at) => {
          const { error } = await appraise(path, ...asked, '--simulator', ...(ofWhat[at] ?? []), ...args)
          return error === null ? 'affirmed' : error.code
        }),
      )
    const all = (verdict: string) => [verdict, verdict, verdict]
    expect(await verdicts(made('', stated('')))).toEqual(all('affirmed'))
    expect(await verdicts(made(verifier, stated(verifier)), '--verifier', verifier)).toEqual(all('affirmed'))
    expect(await verdicts(made(verifier, null), '--verifier', verifier)).toEqual(all('affirmed'))
    // Relayed: made for somebody else, whatever the document says.
    expect(await verdicts(made(verifier, stated(verifier)))).toEqual(all('USAGE'))
    for (const says of [stated(''), null, { profile: 'raw' }]) {
      expect(await verdicts(made(verifier, says))).toEqual(all('NOT_AFFIRMED'))
    }
    for (const says of [stated(verifier), stated('https://other.example')]) {
      expect(await verdicts(made(verifier, says), '--verifier', 'https://other.example')).toEqual(all('NOT_AFFIRMED'))
      expect(await verdicts(made(verifier, says), '--verifier', '')).toEqual(all('NOT_AFFIRMED'))
    }
    const quote = file('enclave.bin', Uint8Array.of(3, 0, 2, 0, 0, 0, 0, 0))
    expect(await refusal(quote, ...asked, '--verifier', verifier)).toContain('--verifier is about')
  })

  it('refuses references for what is not there, and measurements of a TD twice', async () => {
    const td = file('td.json', JSON.stringify({ mr_td: ['00'.repeat(48)] }))
    const header = { format: 'attestd.reference-values', version: 1, name: 'example' }
    const golden = { pcrs: { sha256: { 4: ['00'.repeat(32)] } }, image: 'example' }
    const pcrs = file('pcrs.jsonl', `${JSON.stringify(header)}\n${JSON.stringify(golden)}\n`)
    const ofTpm = [tpm, ...asked, '--allow-unenrolled', '--references']
    expect(await refusal(...ofTpm, td)).toContain('what is asked of a TD, and this evidence has none')
    const quote = file('quote.bin', Uint8Array.of(4, 0, 2, 0, 0x81, 0, 0, 0))
    expect(await refusal(quote, ...asked, '--references', pcrs)).toContain('what is asked of a TPM, and')
    expect(await refusal(quote, ...asked, '--references', td, td)).toContain('measurements of a TD more than once')
    const { error } = await appraise(...ofTpm, pcrs)
    expect(String(error)).toContain('tpm.references.pcrs')
  })
})
