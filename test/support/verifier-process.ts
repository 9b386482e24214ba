import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { freePort } from '../../mocks/demo/free-port.ts'
import type { AgentMachine } from './agent-process.ts'
import { builtProgram } from './built-program.ts'
import { runAttestd } from './run-command.ts'

/** Lines of the configuration: of tables that always are there, and whole tables beside them. */
export interface VerifierLines {
  readonly service?: readonly string[]
  readonly policies?: readonly string[]
  readonly tables?: readonly string[]
  /** In place of those of the machine. */
  readonly verifier?: readonly string[]
  /** For appraisals; default 1. */
  readonly threads?: number
}

export interface VerifierHome {
  readonly folder: string
  readonly url: string
  readonly configurationFile: string
  readonly admin: string
  readonly state: string
  readonly machine: AgentMachine
}

const table = (name: string, lines: readonly string[]) => `[${name}]\n${lines.join('\n')}\n`

/** Writes the configuration of a verifier that trusts the maker of this machine, and listens at a free port. */
export async function verifierHome(
  folder: string,
  machine: AgentMachine,
  { service = [], policies = [], tables = [], verifier, threads = 1 }: VerifierLines = {},
): Promise<VerifierHome> {
  mkdirSync(folder, { recursive: true, mode: 0o755 })
  const [state, admin, configurationFile] = ['state', 'admin.sock', 'verifier.toml'].map((name) => join(folder, name))
  if (!state || !admin || !configurationFile) throw new TypeError('three names are three paths')
  const port = await freePort()
  const url = `http://127.0.0.1:${port}`
  const { configuration } = machine
  const own = [`listen = "127.0.0.1:${port}"`, `state_directory = "${state}"`, `admin = "${admin}"`]
  const text = [
    table('service', [...own, `threads = ${threads}`, ...service]),
    table('issuer', [`url = "${url}"`, 'allow_http_loopback = true']),
    table(
      'tdx',
      (configuration.tdx ?? []).filter((line) => line.startsWith('simulator =')),
    ),
    table('verifier', verifier ?? configuration.verifier),
    table('collateral', configuration.collateral ?? []),
    table('policies', policies),
    ...tables,
  ]
  writeFileSync(configurationFile, text.join('\n'), { mode: 0o600 })
  return { folder, url, configurationFile, admin, state, machine }
}

/** The built `attestd verifier` as a process of its own. */
export class VerifierProcess {
  readonly home: VerifierHome
  readonly child: ChildProcess
  readonly exited: Promise<number | null>
  /** Everything that it wrote to standard error. */
  log = ''

  private constructor(home: VerifierHome, child: ChildProcess) {
    this.home = home
    this.child = child
    child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      this.log += text
    })
    this.exited = once(child, 'close').then(([code]) => code)
  }

  /** Starts it and does not wait. */
  static async spawn(home: VerifierHome, nodeOptions: readonly string[] = []): Promise<VerifierProcess> {
    const root = process.getuid?.() === 0 ? ['--allow-root'] : []
    const args = [...nodeOptions, await builtProgram(), 'verifier', '--config', home.configurationFile, ...root]
    const child = spawn(process.execPath, args, {
      stdio: ['ignore', 'ignore', 'pipe'],
      env: { PATH: process.env['PATH'] },
    })
    home.machine.adopt(child)
    return new VerifierProcess(home, child)
  }

  /** Starts it and waits until all listeners answer. */
  static async start(home: VerifierHome, nodeOptions: readonly string[] = []): Promise<VerifierProcess> {
    const verifier = await VerifierProcess.spawn(home, nodeOptions)
    const end = performance.now() + 60_000
    while (!verifier.log.includes('"event":"ready"')) {
      if (!verifier.running || performance.now() > end) throw new Error(`the verifier does not serve:\n${verifier.log}`)
      await new Promise((wake) => setTimeout(wake, 20))
    }
    return verifier
  }

  get pid(): number {
    const { pid } = this.child
    if (pid === undefined) throw new Error('the verifier was not started')
    return pid
  }

  residentBytes(): number {
    return Number(/^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${this.pid}/status`, 'utf8'))?.[1]) * 1024
  }

  get running(): boolean {
    return this.child.exitCode === null && this.child.signalCode === null
  }

  /** An administrative command at its socket: `policies list`, and such. */
  async administer(...args: readonly string[]) {
    return runAttestd(['verifier', ...args, '--socket', this.home.admin])
  }

  /** SIGTERM; gives the exit code. */
  stop(): Promise<number | null> {
    if (this.running) this.child.kill('SIGTERM')
    return this.exited
  }

  async kill(): Promise<void> {
    this.child.kill('SIGKILL')
    await this.exited
  }
}
