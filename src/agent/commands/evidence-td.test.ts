import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeEach, describe, expect, it } from 'vitest'
import { type KernelOptions, SimulatedKernel } from '../../../mocks/tdx/kernel.ts'
import { type ServedKernel, serveKernel } from '../../../mocks/tdx/kernel-server.ts'
import { createSimulator } from '../../../mocks/tdx/simulator.ts'
import { type CommandRun, runInProcess } from '../../../test/support/recorded-io.ts'
import { encodePem } from '../../base/pki/pem.ts'
import { encodeCollateral } from '../../endorsements/tdx/collateral.ts'
import { parseEvidenceDocument } from '../evidence-document.ts'
import { appraiseCommand } from './appraise.ts'
import { evidenceCommand } from './evidence.ts'

const folder = mkdtempSync(join(tmpdir(), 'attestd-evidence-td-'))
const socket = join(folder, 'kernel.sock')
const config = join(folder, 'attestd.toml')
const output = join(folder, 'evidence.json')
afterAll(() => rmSync(folder, { recursive: true, force: true }))

const file = (name: string, content: string) => {
  const path = join(folder, name)
  writeFileSync(path, content, { mode: 0o600 })
  return path
}

const sim = createSimulator({ clock: { now: Date.now } })
const judgedBy = [
  ...['--collateral', file('collateral.json', encodeCollateral(sim.collateral()))],
  ...['--trust-anchors', file('root.pem', encodePem(sim.pki.root.certificate, 'CERTIFICATE')), '--simulator'],
]
const nonce = `${'5a'.repeat(31)}01`

let served: ServedKernel | undefined
async function boot(options: Partial<KernelOptions> = {}): Promise<SimulatedKernel> {
  await served?.close()
  const kernel = new SimulatedKernel({ sim, clock: { sleep: async () => undefined }, ...options })
  served = await serveKernel(kernel, socket)
  return kernel
}

function configure(tdx: string, tpm = 'use = "off"'): void {
  file(
    'attestd.toml',
    `[agent]\nstate_directory = "${folder}/state"\n[tpm]\n${tpm}\n[tdx]\n${tdx}\n[issuer]\nurl = "https://issuer.example"\n`,
  )
}

const collect = (...args: string[]) => runInProcess(evidenceCommand, '--config', config, ...args)
const appraise = (...args: string[]) => runInProcess(appraiseCommand, ...args)
const notesOf = ({ err }: CommandRun) => [...err.matchAll(/^note: (.*)$/gm)].map(([, note]) => note)

beforeEach(async () => {
  configure(`simulator = true\nsimulator_socket = "${socket}"`)
  await boot()
})
afterEach(async () => {
  await served?.close()
  served = undefined
})

describe('evidence of a TD', () => {
  it('is a document of which the nonce is the report data, and is affirmed by who asked for it', async () => {
    const run = await collect('--nonce', nonce)
    expect([run.error, notesOf(run)]).toEqual([
      null,
      ['the quote came by configfs-tsm', 'the TD is simulated: this evidence protects nothing'],
    ])
    expect(JSON.parse(run.out)).toMatchObject({
      tee: 'tdx',
      runtime_data: { raw: Buffer.from(nonce, 'hex').toString('base64url') },
    })
    const { out, error } = await appraise(file('e.json', run.out), '--nonce', nonce, ...judgedBy, '--require-event-log')
    expect(error).toBeNull()
    expect(out).toMatch(/^passed {5}tdx\.eventlog\.replay /m)
    expect(out).toContain('evidence of a TD\nquote: verified\nTCB status: UpToDate')
  })

  it('goes whole and private into a file, and what it is is told as JSON', async () => {
    const { out, error } = await collect('--nonce', nonce, '--output', output, '--json')
    expect(error).toBeNull()
    expect(JSON.parse(out)).toEqual({
      output,
      bytes: statSync(output).size,
      nonce,
      quote_path: 'configfs-tsm',
      log_matches: true,
      simulated: true,
      notes: ['the quote came by configfs-tsm', 'the TD is simulated: this evidence protects nothing'],
    })
    expect(statSync(output).mode & 0o777).toBe(0o600)
    expect((await collect('--nonce', nonce, '--output', output)).out).toBe(
      `${output}: a quote of this TD by configfs-tsm\n`,
    )
  })

  it('is over a random nonce where none is given, and that is shown', async () => {
    const run = await collect()
    const shown = /^nonce: ([0-9a-f]{64})$/m.exec(run.err)?.[1] ?? ''
    expect((await appraise(file('r.json', run.out), '--nonce', shown, ...judgedBy)).error).toBeNull()
  })

  it('is not affirmed for another nonce, without the simulator, or with its quote changed', async () => {
    const { out } = await collect('--nonce', nonce)
    const path = file('e.json', out)
    const failed = async (...args: string[]) => (await appraise(...args)).error?.message.split(':')[0]
    expect(await failed(path, '--nonce', nonce.replace(/01$/, '02'), ...judgedBy)).toBe('tdx.reportData')
    expect(await failed(path, '--nonce', nonce, ...judgedBy.slice(0, 2))).toBe('tdx.pck.anchor')
    const document = JSON.parse(out)
    const container = JSON.parse(Buffer.from(document.evidence, 'base64url').toString())
    const quote = Buffer.from(container.quote, 'base64')
    quote.writeUInt8(quote.readUInt8(200) ^ 1, 200)
    const changed = file('c.json', JSON.stringify({ ...container, quote: quote.toString('base64') }))
    expect(await failed(changed, '--nonce', nonce, ...judgedBy)).toBe('tdx.quote.signature')
  })

  it('without its event log is affirmed, unless one is required', async () => {
    const path = file('n.json', (await collect('--nonce', nonce, '--no-event-log')).out)
    expect(parseEvidenceDocument(readFileSync(path)).tdx?.ccEventLog).toBeNull()
    expect((await appraise(path, '--nonce', nonce, ...judgedBy)).error).toBeNull()
    const { error } = await appraise(path, '--nonce', nonce, ...judgedBy, '--require-event-log')
    expect(error?.message).toBe('tdx.eventlog.present: there is no event log')
  })
})

describe('notes on the event log', () => {
  it('say that there is none', async () => {
    await boot({ boot: null, runtime: [] })
    expect(notesOf(await collect('--nonce', nonce))).toContain('there is no event log of the TD')
  })

  it('say which registers it does not lead to, and such evidence is refused', async () => {
    const kernel = await boot()
    kernel.rtmrs.extend(1, new Uint8Array(48).fill(1))
    const run = await collect('--nonce', nonce)
    expect(notesOf(run)).toContain('the event log of the TD does not lead to the quoted registers: RTMR1')
    const { error } = await appraise(file('e.json', run.out), '--nonce', nonce, ...judgedBy)
    expect(error?.message).toMatch(/^tdx\.eventlog\.replay: the log leads RTMR1 to /)
  })

  it('say that somebody extended RTMR3 without a record', async () => {
    const kernel = await boot()
    kernel.rtmrs.extend(3, new Uint8Array(48).fill(1))
    expect(notesOf(await collect('--nonce', nonce))).toContain(
      'RTMR3 was extended without a record: the event log does not account for it',
    )
  })
})

it('what the attester warns of is a note, and no reason to withhold the quote', async () => {
  const kernel = await boot()
  kernel.faults.inject('rmdir', 'EBUSY')
  const run = await collect('--nonce', nonce)
  expect([run.error, notesOf(run).length]).toEqual([null, 3])
  expect(notesOf(run).at(-1)).toMatch(/EBUSY/)
})

describe('what cannot be collected', () => {
  it.each([
    ['a nonce of zeros, which proves nothing', '00'.repeat(32)],
    ['a nonce that could stand for a token', `${'5a'.repeat(48)}${Buffer.from('attestd:rdata:v1').toString('hex')}`],
  ])('%s is refused before a quote is made', async (_, value) => {
    const kernel = await boot()
    kernel.faults.inject('mkdir', 'EACCES')
    expect((await collect('--nonce', value)).error).toMatchObject({ code: 'USAGE', exitCode: 78 })
  })

  it.each([
    ['a kind that the configuration turns off', 'use = "off"', ['--kind', 'tdx'], 'tdx.use = "off"'],
    ['the TPM that the configuration turns off', 'use = "auto"', ['--kind', 'tpm'], 'tpm.use = "off"'],
  ])('%s is refused', async (_, tdx, args, says) => {
    configure(tdx)
    const { error, out } = await collect('--nonce', nonce, ...args)
    expect(error).toMatchObject({ code: 'USAGE', exitCode: 78 })
    expect([error?.message.includes(says), out]).toEqual([true, ''])
  })

  it('nothing at all is refused', async () => {
    configure('use = "off"')
    const { error } = await collect('--nonce', nonce)
    expect(error).toMatchObject({ code: 'USAGE', exitCode: 78 })
    expect(error?.message).toContain('turns off both the TD and the TPM')
  })

  it('a TD that is not there is an error, and no other device stands in for it', async () => {
    await served?.close()
    served = undefined
    const { error, out } = await collect('--nonce', nonce, '--output', join(folder, 'none.json'))
    expect([error?.code, error?.exitCode, out]).toEqual(['tsm_absent', 75, ''])
    expect(() => statSync(join(folder, 'none.json'))).toThrow()
  })

  it('a TPM that is not there beside a TD is an error: the TD is not sent alone', async () => {
    configure(
      `simulator = true\nsimulator_socket = "${socket}"`,
      `use = "required"\ntcti = "swtpm:path=${join(folder, 'none')}"\nsimulator = true\ntransport = "swtpm"`,
    )
    const { error, out } = await collect('--nonce', nonce)
    expect([error?.code, out]).toEqual(['TPM_UNAVAILABLE', ''])
    expect((await collect('--nonce', nonce, '--kind', 'tdx')).error).toBeNull()
  })

  it('an unknown kind is not taken', async () => {
    await expect(collect('--kind', 'sgx')).rejects.toThrow(/Allowed choices are auto, tdx, tpm/)
  })
})
