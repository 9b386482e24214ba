import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { measuringLag } from './loop-lag.ts'
import { TdMachine } from './td-machine.ts'
import { VerifierProcess, verifierHome } from './verifier-process.ts'

/**
 * The verifier as it is installed, as a process, with two threads and the embedded database, behind a proxy that it trusts:
 * each request is of another client, so that the limit for one client stays what it is.
 */

const permit = 'version= 1.2;\nauthorizationrules {\n  => permit();\n};\nissuancerules {};\n'

export interface Served {
  readonly port: number
  readonly pid: number
}

export interface Room {
  readonly machine: TdMachine
  readonly verifier: VerifierProcess
  readonly served: Served
  readonly folder: string
  readonly lagFile: string
}

export async function withVerifier(use: (room: Room) => Promise<void>): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'attestd-bench-'))
  const machine = await TdMachine.boot(join(folder, 'machine'))
  try {
    const home = await verifierHome(join(folder, 'verifier'), machine, {
      service: ['trusted_proxies = ["127.0.0.1"]'],
      threads: 2,
      policies: ['default = ["usual"]'],
      verifier: [`tdx_anchors = ["${machine.root}"]`],
    })
    const lagFile = join(folder, 'lag.json')
    const verifier = await VerifierProcess.start(home, ['--max-old-space-size=256', measuringLag(lagFile)])
    const policy = join(folder, 'usual.policy')
    writeFileSync(policy, permit)
    const { code, err } = await verifier.administer('policies', 'set', '--id', 'usual', policy)
    if (code !== 0) throw new Error(`the policy was not set: ${err}`)
    await use({
      machine,
      verifier,
      folder,
      lagFile,
      served: { port: Number(new URL(home.url).port), pid: verifier.pid },
    })
    await verifier.stop()
  } finally {
    await machine.end()
    rmSync(folder, { recursive: true, force: true })
  }
}

/** Milliseconds that a process has had of any processor. */
export function processorMs(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'latin1')
    .replace(/^.*\) /s, '')
    .split(' ')
  return (Number(fields[11]) + Number(fields[12])) * 10
}

export const megabytes = (bytes: number) => `${(bytes / 1e6).toFixed(0)} MB`
