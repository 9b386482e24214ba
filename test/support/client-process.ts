import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface, type Interface } from 'node:readline'
import { EmptyNetwork, haveEmptyNetworks, type Reached } from './empty-network.ts'

const folder = new URL('../conformance/clients/', import.meta.url)

/** What a caller of the client library got. */
export type ClientAnswer =
  | { readonly ok: true; readonly value: Readonly<Record<string, unknown>> }
  | {
      readonly ok: false
      readonly name: string
      readonly message: string
      readonly code: string | null
      readonly status: number | null
    }

/** Ports of this host that the environment of a client names. */
function portsIn(environment: Readonly<Record<string, string>>): readonly number[] {
  const found = Object.values(environment).flatMap((value) => [
    ...value.matchAll(/\b(?:127\.0\.0\.1|localhost):(\d+)/g),
  ])
  return [...new Set(found.map(([, port]) => Number(port)))]
}

const onLoopback = (port: number): Reached => ({ address: '127.0.0.1', port, to: port })

export interface ClientOptions {
  /** Ports of this host that it must reach, besides those that its environment names. */
  readonly ports?: readonly number[]
  /** What it finds at other addresses; only where there are empty networks. */
  readonly elsewhere?: readonly Reached[]
}

/**
 * A published client library in a process of its own, with nothing in its environment but what it is given and an empty
 * home (RC-03). Where the system lets us, its network holds its double and nothing else; a connection to any other host
 * is refused and fails the test in any case (RC-05). It lives until `stop`, and makes one exchange for each `ask`.
 */
export class ClientProcess {
  readonly #child: ChildProcess
  readonly #lines: AsyncIterator<string>
  readonly #reader: Interface
  readonly #home: string
  readonly #network: EmptyNetwork | null
  /** Everything that it wrote to standard error. */
  said = ''

  private constructor(
    command: readonly string[],
    environment: Readonly<Record<string, string>>,
    home: string,
    network: EmptyNetwork | null,
  ) {
    this.#home = home
    this.#network = network
    const [program = '', ...args] = network?.commandLine(command) ?? command
    const child = spawn(program, args, { stdio: ['pipe', 'pipe', 'pipe'], env: { HOME: home, ...environment } })
    child.stdin.on('error', () => undefined)
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      this.said += text
    })
    this.#child = child
    this.#reader = createInterface({ input: child.stdout })
    this.#lines = this.#reader[Symbol.asyncIterator]()
  }

  /** `name`: of a program in `test/conformance/clients`. */
  static async start(
    name: string,
    environment: Readonly<Record<string, string>>,
    { ports = [], elsewhere = [] }: ClientOptions = {},
  ): Promise<ClientProcess> {
    const home = mkdtempSync(join(tmpdir(), 'attestd-client-'))
    const guard = new URL('loopback-only.mjs', folder)
    for (const { address } of elsewhere) guard.searchParams.append('also', address)
    const reached = [...new Set([...portsIn(environment), ...ports])].map(onLoopback)
    const network = haveEmptyNetworks ? await EmptyNetwork.open(home, [...reached, ...elsewhere]) : null
    const program = new URL(`${name}.mjs`, folder).pathname
    return new ClientProcess([process.execPath, '--import', guard.href, program], environment, home, network)
  }

  /** One exchange; what `line` means is the program's affair. */
  async ask(line = 'again'): Promise<ClientAnswer> {
    this.#child.stdin?.write(`${line}\n`)
    const { value, done } = await this.#lines.next()
    if (done) throw new Error(`the client ended:\n${this.said}`)
    return JSON.parse(value)
  }

  /** What it gave, or an error with what it said. */
  async obtain(line?: string): Promise<Readonly<Record<string, unknown>>> {
    const answer = await this.ask(line)
    if (!answer.ok) throw new Error(`the client was refused: ${answer.message}`)
    return answer.value
  }

  /** Ends it. Throws if it looked for another host than this one. */
  async stop(): Promise<void> {
    const ended = once(this.#child, 'close')
    this.#child.stdin?.end()
    if (this.#child.exitCode === null && this.#child.signalCode === null) await ended
    this.#reader.close()
    await this.#network?.[Symbol.asyncDispose]()
    rmSync(this.#home, { recursive: true, force: true })
    if (this.said.includes('asked for another host')) throw new Error(this.said)
  }
}

/** A client for one exchange, or for what `use` makes of it. */
export async function withClient<T>(
  name: string,
  environment: Readonly<Record<string, string>>,
  use: (client: ClientProcess) => Promise<T>,
  options?: ClientOptions,
): Promise<T> {
  const client = await ClientProcess.start(name, environment, options)
  try {
    return await use(client)
  } finally {
    await client.stop()
  }
}
