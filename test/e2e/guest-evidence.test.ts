import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { SimulatedKernel } from '../../mocks/tdx/kernel.ts'
import { type ServedKernel, serveKernel } from '../../mocks/tdx/kernel-server.ts'
import { createSimulator } from '../../mocks/tdx/simulator.ts'
import { appraiseCommand } from '../../src/agent/commands/appraise.ts'
import { evidenceCommand } from '../../src/agent/commands/evidence.ts'
import { parseEvidenceDocument } from '../../src/agent/evidence-document.ts'
import { toBase64url } from '../../src/base/bytes.ts'
import { encodePem } from '../../src/base/pki/pem.ts'
import { encodeCollateral } from '../../src/endorsements/tdx/collateral.ts'
import { parseQuote, reportDataOf } from '../../src/evidence/tdx/quote.ts'
import { runInProcess } from '../support/recorded-io.ts'
import { haveSwtpm } from '../support/swtpm.ts'
import { useTpmMachine } from '../support/tpm-machine.ts'

/** A guest with a simulated TD and a simulated TPM: what `attestd evidence` collects is what `attestd appraise` affirms. */

const folder = mkdtempSync(join(tmpdir(), 'attestd-guest-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))
const file = (name: string, content: string) => {
  const path = join(folder, name)
  writeFileSync(path, content, { mode: 0o600 })
  return path
}
const nonce = '5a'.repeat(32)

describe.skipIf(!haveSwtpm)('a TD beside its TPM', () => {
  const { machine } = useTpmMachine()
  const sim = createSimulator({ clock: { now: Date.now } })
  const socket = join(folder, 'kernel.sock')
  let served: ServedKernel
  beforeAll(async () => {
    served = await serveKernel(new SimulatedKernel({ sim, clock: { sleep: async () => undefined } }), socket)
    const tdx = `[tdx]\nsimulator = true\nsimulator_socket = "${socket}"\n`
    const tpm = `[tpm]\n${machine().configuration.tpm.join('\n')}\n`
    file(
      'attestd.toml',
      `[agent]\nstate_directory = "${folder}/state"\n${tpm}${tdx}[issuer]\nurl = "https://issuer.example"\n`,
    )
  })
  afterAll(() => served.close())

  const evidence = async (...args: string[]) => {
    const run = await runInProcess(evidenceCommand, '--config', join(folder, 'attestd.toml'), ...args)
    expect(run.error).toBeNull()
    return run.out
  }
  const collect = async (name: string) => file(name, await evidence('--nonce', nonce))
  const collateral = file('collateral.json', encodeCollateral(sim.collateral()))
  const root = file('root.pem', encodePem(sim.pki.root.certificate, 'CERTIFICATE'))
  const roots = () => [
    ...['--trust-anchors', root, machine().made.rootCertificate],
    ...['--intermediates', machine().made.issuerCertificate],
  ]
  const appraise = (path: string, ...args: string[]) =>
    runInProcess(appraiseCommand, path, '--simulator', '--collateral', collateral, ...args)
  const failedOf = (out: string) => [...out.matchAll(/^FAILED {5}(\S+)/gm)].map(([, id]) => id)

  it('is affirmed, as one guest, by who knows the nonce, the roots and the key', async () => {
    const path = await collect('both.json')
    const { ak_name: akName } = JSON.parse(
      await evidence('--kind', 'tpm', '--output', join(folder, 'tpm.json'), '--json'),
    )
    const { tdx } = parseEvidenceDocument(readFileSync(path))
    const said = reportDataOf(parseQuote(tdx?.quote ?? new Uint8Array()))
    expect(JSON.parse(readFileSync(path, 'utf8')).runtime_data.raw).toBe(toBase64url(said))
    const logs = ['--require-event-log', '--require-ima']
    const { out, error } = await appraise(path, '--nonce', nonce, '--ak-name', akName, ...roots(), ...logs)
    expect([error, failedOf(out)]).toEqual([null, []])
    expect(out).toContain('evidence of a TD and its TPM\nquote: verified\nTCB status: UpToDate')
    expect(out).toContain('trust in the attestation key: ek-certificate\n')
    const json = JSON.parse((await appraise(path, '--nonce', nonce, '--ak-name', akName, ...roots(), '--json')).out)
    expect(json).toMatchObject({ kind: 'tdx+tpm', binding: [{ edge: 'tdx+tpm', outcome: 'passed' }], affirmed: true })
    expect(Object.keys(json.claims)).toEqual(expect.arrayContaining(['tdx', 'tpm', 'tcb']))
  })

  it('needs the root of the TD alone where nobody vouches for the TPM', async () => {
    const path = await collect('root.json')
    const { out, error } = await appraise(path, '--nonce', nonce, '--allow-unenrolled', '--trust-anchors', root)
    expect([error, failedOf(out)]).toEqual([null, []])
    expect(out).toContain('trust in the attestation key: none\n')
  })

  it('is refused over another nonce, with the binding broken in both halves', async () => {
    const path = await collect('nonce.json')
    const { out, error } = await appraise(
      path,
      '--nonce',
      '5b'.repeat(32),
      '--allow-unenrolled',
      '--trust-anchors',
      root,
    )
    expect(error).toMatchObject({ code: 'NOT_AFFIRMED', exitCode: 1 })
    expect(failedOf(out)).toEqual(['tdx.reportData', 'tpm.quote.nonce', 'composite.nonce', 'composite.devices'])
  })

  it('is refused with a part of another round in it', async () => {
    const [first, second] = [await collect('first.json'), await collect('second.json')].map((path) =>
      JSON.parse(Buffer.from(JSON.parse(readFileSync(path, 'utf8')).evidence, 'base64url').toString()),
    )
    const mixed = file('mixed.json', JSON.stringify({ ...first, tpm: second.tpm }))
    const { out } = await appraise(mixed, '--nonce', nonce, '--allow-unenrolled', '--trust-anchors', root)
    expect(failedOf(out)).toEqual(['tdx.reportData', 'composite.nonce', 'composite.devices'])
  })

  it('cannot be judged without its nonce, nor with the root of a simulator alone', async () => {
    const path = await collect('usage.json')
    const bare = await appraise(path, '--allow-unenrolled', '--trust-anchors', root)
    expect(bare.error).toMatchObject({ code: 'USAGE', exitCode: 78 })
    const any = await appraise(path, '--any-report-data', '--allow-unenrolled', '--trust-anchors', root)
    expect(any.error?.message).toContain('--any-report-data is for a quote alone')
    const hardware = [path, '--nonce', nonce, '--allow-unenrolled', '--trust-anchors', root]
    const unmarked = await runInProcess(appraiseCommand, ...hardware)
    expect(unmarked.error?.message).toContain('needs --simulator')
  })
})
