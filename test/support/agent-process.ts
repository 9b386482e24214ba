import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { type Agent as HttpAgent, request } from 'node:http'
import { join } from 'node:path'
import { builtProgram } from './built-program.ts'

export { freePort } from '../../mocks/demo/free-port.ts'

export interface AgentAnswer {
  readonly status: number
  readonly headers: Readonly<Record<string, string | string[] | undefined>>
  readonly body: string
}

export interface AskOptions {
  readonly socket?: 'api' | 'admin'
  readonly method?: 'GET' | 'POST' | 'HEAD'
  readonly body?: object
  readonly headers?: Readonly<Record<string, string>>
  readonly keepAlive?: HttpAgent
}

/** The guest that an agent runs in: how its devices are configured, and whose processes end with it. */
export interface AgentMachine {
  readonly configuration: {
    readonly tpm: readonly string[]
    readonly tdx?: readonly string[]
    readonly verifier: readonly string[]
    readonly collateral?: readonly string[]
  }
  adopt(process: ChildProcess): void
}

/** Lines of the tables of a configuration; those about devices come from the machine where none are given for the same keys. */
export interface ConfigurationLines {
  readonly agent?: readonly string[]
  readonly tpm?: readonly string[]
  readonly tdx?: readonly string[]
  readonly verifier?: readonly string[]
  readonly collateral?: readonly string[]
  /** Without them there is no such table, and the registry is in memory. */
  readonly registry?: readonly string[]
  readonly issuer?: readonly string[]
  /** Sockets beside `api` and `admin`. */
  readonly listen?: readonly string[]
  /** `[[remotes]]`, each with all of its lines. */
  readonly remotes?: readonly string[]
  readonly callers?: readonly string[]
  readonly broker?: readonly string[]
  /** Without them there is no such table. */
  readonly tokenFiles?: readonly string[]
  /** `[[sinks]]`, each with all of its lines. */
  readonly sinks?: readonly string[]
  /** Further tables, each with all of its lines. */
  readonly tables?: readonly string[]
  /** `[[callers.rules]]`; by default the user of the tests may have everything of `https://rp.example`. */
  readonly rules?: readonly string[]
}

export const audience = 'https://rp.example'
const ownUid = process.getuid?.() ?? 0

/** A rule in the form of the configuration. */
export function callerRule(id: string, match: string, audiences: readonly string[], more = ''): string {
  const listed = audiences.map((name) => (name.endsWith('/') ? `{ prefix = "${name}" }` : `"${name}"`)).join(', ')
  return `[[callers.rules]]
id = "${id}"
match = { ${match} }
allow = { methods = ["token", "jwks", "explain"], audiences = [${listed}], nonce = "allow", fresh = true${more} }
`
}

export const ownRule = callerRule('tests', `uid = ${ownUid}`, [audience, `${audience}/`])

/** Where one agent lives: its configuration, its state and its sockets. Several runs may follow one another. */
export class AgentHome {
  readonly folder: string
  readonly machine: AgentMachine
  #lines: ConfigurationLines

  constructor(folder: string, machine: AgentMachine, lines: ConfigurationLines = {}) {
    this.folder = folder
    this.machine = machine
    this.#lines = lines
    mkdirSync(folder, { recursive: true, mode: 0o755 })
    this.configure(lines)
  }

  readonly path = (name: string): string => join(this.folder, name)

  get configurationFile(): string {
    return this.path('attestd.toml')
  }

  /** The configuration as it is written now. */
  get text(): string {
    return this.#text(this.#lines)
  }

  get stateDirectory(): string {
    return this.path('state')
  }

  /** Writes the configuration anew, with these lines in place of those of the same tables. */
  configure(change: ConfigurationLines): void {
    this.#lines = { ...this.#lines, ...change }
    writeFileSync(this.configurationFile, this.#text(this.#lines), { mode: 0o600 })
  }

  #text(lines: ConfigurationLines): string {
    const { agent = [], registry, issuer = [], remotes = [], callers = [], broker = [], rules = [ownRule] } = lines
    const { tokenFiles, sinks = [], tables: others = [] } = lines
    const own = this.machine.configuration
    const tables = {
      agent: [`state_directory = "${this.stateDirectory}"`, ...agent],
      listen: [`api = "${this.path('api.sock')}"`, `admin = "${this.path('admin.sock')}"`, ...(lines.listen ?? [])],
      tpm: merged(own.tpm, lines.tpm),
      tdx: merged(own.tdx, lines.tdx),
      verifier: merged(own.verifier, lines.verifier),
      collateral: merged(own.collateral, lines.collateral),
      ...(registry === undefined ? {} : { registry }),
      issuer: issuer.length > 0 ? issuer : ['url = "https://issuer.example"'],
      broker,
      callers,
      ...(tokenFiles === undefined ? {} : { token_files: tokenFiles }),
    }
    const text = Object.entries(tables).map(([name, of]) => `[${name}]\n${of.join('\n')}\n`)
    return [...text, ...remotes, ...rules, ...sinks, ...others].join('\n')
  }
}

const keyOf = (line: string) => line.split('=')[0]?.trim()

function merged(own: readonly string[] = [], given: readonly string[] = []): readonly string[] {
  return [...own.filter((line) => !given.some((other) => keyOf(other) === keyOf(line))), ...given]
}

export interface StartOptions {
  readonly environment?: Readonly<Record<string, string>>
  /** Further options of `attestd run`. */
  readonly options?: readonly string[]
  /** In place of `node`: must end up as the process itself. */
  readonly wrapper?: readonly string[]
  /** Descriptors from 3 on. */
  readonly descriptors?: readonly number[]
  readonly nodeOptions?: readonly string[]
}

export interface AgentExit {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
}

/** The built `attestd run` as a process of its own. */
export class AgentProcess {
  readonly home: AgentHome
  readonly child: ChildProcess
  readonly exited: Promise<AgentExit>
  /** Everything that it wrote to standard error. */
  log = ''

  private constructor(home: AgentHome, child: ChildProcess) {
    this.home = home
    this.child = child
    child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      this.log += text
    })
    this.exited = once(child, 'close').then(([code, signal]) => ({ code, signal }))
  }

  /** Starts it and does not wait. */
  static async spawn(home: AgentHome, options: StartOptions = {}): Promise<AgentProcess> {
    const program = await builtProgram()
    const { wrapper = [], descriptors = [], environment = {}, nodeOptions = [], options: more = [] } = options
    const root = ownUid === 0 ? ['--allow-root'] : []
    const line = [
      process.execPath,
      ...nodeOptions,
      program,
      'run',
      '--config',
      home.configurationFile,
      ...root,
      ...more,
    ]
    const [command = '', ...args] = [...wrapper, ...line]
    const child = spawn(command, args, {
      stdio: ['ignore', 'ignore', 'pipe', ...descriptors],
      env: { PATH: process.env['PATH'], ...environment },
    })
    home.machine.adopt(child)
    return new AgentProcess(home, child)
  }

  /** Starts it and waits until both sockets answer. */
  static async start(home: AgentHome, options: StartOptions = {}): Promise<AgentProcess> {
    const agent = await AgentProcess.spawn(home, options)
    await agent.untilReady()
    return agent
  }

  get pid(): number {
    return this.child.pid ?? 0
  }

  get running(): boolean {
    return this.child.exitCode === null && this.child.signalCode === null
  }

  /** Both sockets answer, the administrator's last. A database that is made first takes long on a busy machine. */
  async untilReady(): Promise<void> {
    await this.until(() => this.log.includes('"event":"ready"'), 'ready', 55_000)
  }

  /** Looks every few milliseconds whether something holds; an agent that ended, or 30 s, are an error with its log. */
  async until(holds: () => boolean | Promise<boolean>, what: string, ms = 30_000): Promise<void> {
    const end = performance.now() + ms
    while (this.running && performance.now() < end) {
      if (await holds()) return
      await new Promise((wake) => setTimeout(wake, 10))
    }
    throw new Error(`not ${what}, ${this.running ? `after ${ms} ms` : 'it ended'}:\n${this.log}`)
  }

  ask(path: string, options: AskOptions = {}): Promise<AgentAnswer> {
    const { socket = 'api', body, method = body ? 'POST' : 'GET', headers = {}, keepAlive } = options
    const json = body ? { 'content-type': 'application/json' } : {}
    return new Promise((resolve, reject) => {
      const asking = request(
        {
          socketPath: this.home.path(`${socket}.sock`),
          path,
          method,
          headers: { ...json, ...headers },
          agent: keepAlive ?? false,
        },
        (answer) => {
          const chunks: Buffer[] = []
          answer.on('data', (chunk: Buffer) => chunks.push(chunk))
          answer.on('error', reject)
          answer.on('end', () => {
            const { statusCode = 0, headers: given } = answer
            resolve({ status: statusCode, headers: given, body: Buffer.concat(chunks).toString() })
          })
        },
      )
      asking.on('error', reject)
      asking.end(body === undefined ? undefined : JSON.stringify(body))
    })
  }

  /** `POST /v1/token`. */
  askToken(request: object = {}, options: AskOptions = {}): Promise<AgentAnswer> {
    return this.ask('/v1/token', { ...options, body: { audience, ...request } })
  }

  /** The token itself; any other answer is an error. */
  async token(request: object = {}, options: AskOptions = {}): Promise<string> {
    const { status, body } = await this.askToken(request, options)
    if (status !== 200) throw new Error(`no token but ${status}: ${body}\n${this.log}`)
    return body
  }

  // biome-ignore lint/suspicious/noExplicitAny: a test reads what it expects, and fails where that is not there
  async status(): Promise<any> {
    return JSON.parse((await this.ask('/v1/admin/status', { socket: 'admin' })).body)
  }

  signal(signal: NodeJS.Signals): void {
    this.child.kill(signal)
  }

  /** SIGTERM; gives how it ended. */
  stop(): Promise<AgentExit> {
    if (this.running) this.signal('SIGTERM')
    return this.exited
  }

  async kill(): Promise<void> {
    this.signal('SIGKILL')
    await this.exited
  }

  /** Resident memory in bytes. */
  residentBytes(): number {
    return Number(/^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${this.pid}/status`, 'utf8'))?.[1]) * 1024
  }
}

/** Members of the header or the claims of a token, unverified. */
export function partOf(token: string, part: 'header' | 'payload'): Record<string, unknown> {
  return JSON.parse(Buffer.from(token.split('.')[part === 'header' ? 0 : 1] ?? '', 'base64url').toString())
}

/** The problem document of an answer. */
export function problemOf({ body }: AgentAnswer): Record<string, unknown> {
  return JSON.parse(body)
}
