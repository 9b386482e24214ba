import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { afterEach, beforeAll, describe, expect, it } from 'vitest'
import { teeTcbSvn } from '../../mocks/tdx/platform.ts'
import { parseQuote, reportDataOf } from '../../src/evidence/tdx/quote.ts'
import { TsmSimulator } from '../../src/platform/tsm-simulator.ts'
import { builtProgram } from '../support/built-program.ts'

let program = ''
const folder = mkdtempSync(join(tmpdir(), 'attestd-simulated-'))
const children: ChildProcess[] = []

beforeAll(async () => {
  program = join(await builtProgram(), '../../../mocks/tdx/main.js')
})
afterEach(async () => {
  for (const child of children.splice(0)) {
    if (child.exitCode !== null || child.signalCode !== null) continue
    child.kill('SIGKILL')
    await once(child, 'exit')
  }
  rmSync(folder, { recursive: true, force: true })
})

interface Machine {
  readonly child: ChildProcess
  readonly kernel: string
  readonly pccs: string
  readonly root: string
  readonly printed: () => string
}

async function started(...more: string[]): Promise<Machine> {
  const child = spawn(process.execPath, [program, '--state', folder, ...more], { stdio: ['ignore', 'pipe', 'pipe'] })
  children.push(child)
  let printed = ''
  child.stderr.on('data', (chunk: Buffer) => {
    printed += String(chunk)
  })
  const lines = createInterface(child.stdout)
  const [line] = await Promise.race([once(lines, 'line'), once(child, 'exit').then(() => [''])])
  if (line === '') throw new Error(`the simulated machine ended: ${printed}`)
  return { child, printed: () => printed, ...JSON.parse(String(line)) }
}

async function quoteOf({ kernel }: Machine, reportData: Uint8Array): Promise<Uint8Array> {
  await using client = new TsmSimulator(kernel)
  await client.files.mkdir('a')
  await client.files.writeOnce('a', 'inblob', reportData)
  const quote = await client.files.readAll('a', 'outblob', 65_536)
  await client.files.rmdir('a')
  return quote
}

describe('the simulated machine as a process', () => {
  it('says that nothing is protected, serves kernel and collateral, and ends on SIGTERM', async () => {
    const machine = await started()
    expect(machine.printed()).toContain('Nothing here protects anything')
    const reportData = new Uint8Array(64).fill(3)
    const quote = parseQuote(await quoteOf(machine, reportData))
    expect(reportDataOf(quote)).toEqual(reportData)
    const answer = await fetch(`${machine.pccs}/tdx/certification/v4/qe/identity`)
    expect(answer.status).toBe(200)
    machine.child.kill('SIGTERM')
    expect(await once(machine.child, 'exit')).toEqual([0, null])
  })

  it('keeps its keys over a crash, and finds its socket again', async () => {
    const first = await started()
    const root = readFileSync(first.root, 'latin1')
    first.child.kill('SIGKILL')
    await once(first.child, 'exit')
    const second = await started()
    expect(second.root).toBe(first.root)
    expect(readFileSync(second.root, 'latin1')).toBe(root)
    expect(second.kernel).toBe(first.kernel)
    expect((await quoteOf(second, new Uint8Array(64))).length).toBeGreaterThan(4000)
  })

  it('makes quotes of a platform with the faults that it is told', async () => {
    const machine = await started('--platform', 'Revoked', '--module', 'OutOfDate', '--debug')
    const { body } = parseQuote(await quoteOf(machine, new Uint8Array(64)))
    const report = body.kind === 'sgx' ? undefined : body.report
    expect(report?.teeTcbSvn).toEqual(teeTcbSvn({ platform: 'Revoked', module: 'OutOfDate' }))
    expect(report?.tdAttributes[0]).toBe(1)
  })

  it.each([
    ['a port that is none', ['--state', folder, '--port', 'x']],
    ['a delay that is none', ['--state', folder, '--quote-delay', '1s']],
    ['a status that there is not', ['--state', folder, '--platform', 'Fine']],
    ['no place for its keys', []],
  ])('refuses %s', async (_what, options) => {
    const child = spawn(process.execPath, [program, ...options], { stdio: 'ignore' })
    children.push(child)
    expect(await once(child, 'exit')).toEqual([64, null])
  })
})
