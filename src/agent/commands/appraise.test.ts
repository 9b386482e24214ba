import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { runInProcess } from '../../../test/support/recorded-io.ts'
import { type RecordedMachine, recordedEvidence } from '../../../test/support/recorded-tpm.ts'
import { SoftwareTpm } from '../../../test/support/software-tpm.ts'
import { createRoot } from '../../../test/support/test-ca.ts'
import { haveVectors, vector, vectorJson, vectorsFolder } from '../../../test/support/vectors.ts'
import { toHex } from '../../base/bytes.ts'
import { encode, sizedBytes, u16be } from '../../base/layout.ts'
import type { TpmEvidence } from '../../evidence/tpm/evidence.ts'
import { encodeTpmEvidence } from '../../evidence/tpm/evidence-json.ts'
import { encodeEvidenceDocument } from '../evidence-document.ts'
import { appraiseCommand } from './appraise.ts'

const folder = mkdtempSync(join(tmpdir(), 'attestd-appraise-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

const file = (name: string, content: string | Uint8Array) => {
  const path = join(folder, name)
  writeFileSync(path, content)
  return path
}
const tpmDocument = (evidence: TpmEvidence, nonce: Uint8Array) =>
  encodeEvidenceDocument({ tdx: null, tpm: { evidence, container: null } }, nonce)
const appraise = (...args: readonly string[]) => runInProcess(appraiseCommand, ...args)

describe.skipIf(!haveVectors)('the recorded sequence, step s1', () => {
  const machine: RecordedMachine = haveVectors ? vectorJson('tpm/sequence/sequence.json') : { aks: {}, steps: [] }
  const step = machine.steps[0] ?? { nonce: '', ak: '', eventLog: '', ima: { file: '' } }
  const { file: akFile = '', name: akName = '' } = machine.aks[step.ak] ?? {}
  const sequence = (name: string) => join(vectorsFolder, 'tpm/sequence', name)
  const document = join(folder, 's1.json')
  const bare = join(folder, 's1-bare.json')
  beforeAll(() => {
    const recorded = recordedEvidence({
      ak: `sequence/${akFile}`,
      attest: 'sequence/s1.attest',
      signature: 'sequence/s1.sig',
      pcrs: 'sequence/s1.pcrs.json',
      eventLog: step.eventLog,
      ima: `sequence/${step.ima.file}`,
    })
    const publicArea = encode(sizedBytes(u16be), vector('tpm/sequence/ek-rsa.tpmt'))
    const ek = { publicArea, certificate: vector('tpm/sequence/ek-rsa.nv.der'), chain: [] }
    const evidence: TpmEvidence = { ...recorded, ek }
    writeFileSync(document, tpmDocument(evidence, Buffer.from(step.nonce, 'hex')))
    writeFileSync(bare, JSON.stringify(encodeTpmEvidence(evidence)))
  })
  const at = ['--at', '2027-01-01T00:00:00Z']
  const maker = ['--trust-anchors', sequence('ek-ca-root.pem'), '--intermediates', sequence('ek-ca-issuer.pem')]
  const logs = ['--require-event-log', '--require-ima']

  it('with its nonce, its AK name and the CA of its TPM is affirmed, with trust by the EK certificate', async () => {
    const run = await appraise(document, '--nonce', step.nonce, '--ak-name', akName, ...maker, ...at, ...logs)
    expect(run.error).toBeNull()
    const lines = run.out.trimEnd().split('\n')
    expect(lines[0]).toMatch(/^passed {5}tpm\.enrolment\.akWellFormed /)
    expect(lines.filter((line) => line.startsWith('FAILED'))).toEqual([])
    expect(lines.at(-2)).toBe('trust in the attestation key: ek-certificate')
    expect(lines.at(-1)).toMatch(/^affirmed: \d+ checks passed, \d+ waived$/)
  })

  it('as a bare container says the same', async () => {
    const run = (path: string) => appraise(path, '--nonce', step.nonce, '--ak-name', akName, '--json')
    expect(JSON.parse((await run(bare)).out)).toEqual(JSON.parse((await run(document)).out))
  })

  it('with its AK name alone is affirmed, and its AK is not said to be trusted', async () => {
    const { out, error } = await appraise(document, '--nonce', step.nonce, '--ak-name', akName, ...logs, '--json')
    expect(error).toBeNull()
    const { affirmed, ak_trust: trust, claims } = JSON.parse(out)
    expect([affirmed, trust, claims.tpm.ak_trusted]).toEqual([true, 'none', false])
  })

  it('with the CA of its TPM alone is not: only an activation ties AK and EK', async () => {
    const { out, error } = await appraise(document, '--nonce', step.nonce, ...maker, ...at)
    expect(error).toMatchObject({ code: 'NOT_AFFIRMED', exitCode: 1, message: 'tpm.ak.known: it is not enrolled' })
    expect(out).toMatch(/^passed {5}tpm\.ek\.chain /m)
    expect(out).toContain('note: only an activation (enrolment) proves')
    expect(out).toContain('trust in the attestation key: none')
  })

  it.each<[string, string[], string]>([
    ['a changed nonce', ['--nonce', step.nonce.replace(/^../, '00'), ...at], 'tpm.quote.nonce'],
    ['the name of another AK', ['--nonce', step.nonce, ...at, '--ak-name', `000b${'00'.repeat(32)}`], 'tpm.ak.known'],
    ['the certificates before their time', ['--nonce', step.nonce, '--at', '2020-01-01T00:00:00Z'], 'tpm.ek.validity'],
  ])('with %s is not affirmed, and the finding has a remedy', async (_, args, id) => {
    const name = args.includes('--ak-name') ? [] : ['--ak-name', akName]
    const { out, error } = await appraise(document, ...maker, ...name, ...args)
    expect(error?.code).toBe('NOT_AFFIRMED')
    expect(error?.message.startsWith(`${id}: `)).toBe(true)
    expect(out).toMatch(new RegExp(`^FAILED {5}${id} .*\\n +[A-Z]+-\\d+: .`, 'm'))
    expect(out.trimEnd().split('\n').at(-1)).toMatch(/^NOT affirmed: /)
  })

  it('with foreign anchors is not affirmed, whatever is said of its AK', async () => {
    const foreign = file('foreign.der', createRoot().certificate.der)
    const args = [document, '--nonce', step.nonce, '--ak-name', akName, '--trust-anchors', foreign, ...at]
    const { error } = await appraise(...args)
    expect(error?.message).toMatch(/^tpm\.ek\.chain: /)
  })

  it('with its EK pinned is affirmed by that', async () => {
    const { error: refused, out: findings } = await appraise(
      ...[document, '--nonce', step.nonce, '--ak-name', akName, '--pinned-ek', 'ab'.repeat(32), '--json'],
    )
    expect(refused?.message).toMatch(/^tpm\.ek\.chain: /)
    expect(JSON.parse(findings).claims).toEqual({})
    const { out: known } = await appraise(
      document,
      '--nonce',
      step.nonce,
      '--ak-name',
      akName,
      ...maker,
      ...at,
      '--json',
    )
    const spki = JSON.parse(known).claims.tpm.ek_spki_sha256
    const { out } = await appraise(document, '--nonce', step.nonce, '--ak-name', akName, '--pinned-ek', spki, '--json')
    expect(JSON.parse(out)).toMatchObject({ affirmed: true, ak_trust: 'ek-pinned' })
  })
})

describe('the command line', () => {
  const tpm = new SoftwareTpm()
  const nonce = new Uint8Array(32).fill(3)
  const evidence = tpm.evidence(nonce)
  const document = file('software.json', tpmDocument(evidence, nonce))
  const asked = [document, '--nonce', toHex(nonce)]
  const name = toHex(tpm.akName)

  it('without --nonce says why, although the file holds the bytes that were signed', async () => {
    const { error, out } = await appraise(document, '--allow-unenrolled')
    expect(error).toMatchObject({ code: 'USAGE' })
    expect(error?.message).toContain('with a nonce taken from the evidence itself any old recording would pass')
    expect(out).toBe('')
  })

  it.each<[string, string[], RegExp]>([
    ['--ak-name with --allow-unenrolled', ['--ak-name', name, '--allow-unenrolled'], /contradict each other/],
    ['--intermediates alone', ['--intermediates', document], /say nothing without --trust-anchors/],
    ['--crl alone', ['--crl', document, '--pinned-ek', 'ab'.repeat(32)], /say nothing without --trust-anchors/],
  ])('refuses %s', async (_, args, says) => {
    const { error } = await appraise(...asked, ...args)
    expect(error).toMatchObject({ code: 'USAGE', exitCode: 78 })
    expect(error?.message).toMatch(says)
  })

  it.each([
    ['a nonce of 7 bytes', ['--nonce', '00'.repeat(7)]],
    ['a nonce of 65 bytes', ['--nonce', '00'.repeat(65)]],
    ['a nonce in capitals', ['--nonce', 'AB'.repeat(8)]],
    ['a name without its algorithm', ['--ak-name', 'ab'.repeat(34)]],
    ['a name of SHA-384 with the digest of SHA-256', ['--ak-name', `000c${'ab'.repeat(32)}`]],
    ['a pin that is no SHA-256', ['--pinned-ek', 'ab'.repeat(31)]],
  ])('does not take %s', async (_, args) => {
    await expect(appraise(document, '--nonce', toHex(nonce), ...args)).rejects.toThrow(/argument .* is invalid/)
  })

  it('names an anchor file that holds none', async () => {
    const text = file('text.pem', 'no certificate')
    const { error } = await appraise(...asked, '--trust-anchors', text)
    expect(error).toMatchObject({ code: 'MALFORMED', exitCode: 65 })
    expect(error?.message).toContain(text)
    expect((await appraise(...asked, '--trust-anchors', join(folder, 'absent'))).error?.code).toBe('INPUT_UNREADABLE')
  })

  it('shows every finding with its outcome as JSON, and no claims of what is refused', async () => {
    const { out, error } = await appraise(...asked, '--json')
    expect(error?.code).toBe('NOT_AFFIRMED')
    const shown = JSON.parse(out)
    expect(shown).toMatchObject({ affirmed: false, ak_trust: 'none', claims: {} })
    expect(shown.findings).toContainEqual({ id: 'tpm.ak.known', outcome: 'failed', detail: 'it is not enrolled' })
  })

  it('lets an unenrolled key through only where it is told to, and says what that means', async () => {
    const { out, error } = await appraise(...asked, '--allow-unenrolled')
    expect(error).toBeNull()
    expect(out).toContain('note: an attestation key that nobody enrolled may be a file on any computer\n')
    expect(out).toContain('trust in the attestation key: none\n')
  })

  it('lets simulated evidence through only where it is told to', async () => {
    const path = file('simulated.json', tpmDocument({ ...evidence, simulated: true }, nonce))
    const args = [path, '--nonce', toHex(nonce), '--ak-name', name]
    expect((await appraise(...args)).error?.message).toMatch(/^tpm\.hardware: /)
    expect((await appraise(...args, '--simulator')).error).toBeNull()
  })
})
