import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface, type Interface } from 'node:readline'

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

/**
 * A published client library in a process of its own, with nothing in its environment but what it is given and an empty
 * home (RC-03), and without a way to any other host (RC-05). It lives until `stop`, and makes one exchange for each `ask`.
 */
export class ClientProcess {
  readonly #child: ChildProcess
  readonly #lines: AsyncIterator<string>
  readonly #reader: Interface
  readonly #home: string
  /** Everything that it wrote to standard error. */
  said = ''

  /** `name`: of a program in `test/conformance/clients`. */
  constructor(name: string, environment: Readonly<Record<string, string>>) {
    this.#home = mkdtempSync(join(tmpdir(), 'attestd-client-'))
    const guard = new URL('loopback-only.mjs', folder).href
    const program = new URL(`${name}.mjs`, folder).pathname
    const child = spawn(process.execPath, ['--import', guard, program], {
      stdio: ['pipe', 'pipe', 'pipe'],
      env: { HOME: this.#home, ...environment },
    })
    child.stdin.on('error', () => undefined)
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      this.said += text
    })
    this.#child = child
    this.#reader = createInterface({ input: child.stdout })
    this.#lines = this.#reader[Symbol.asyncIterator]()
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
    rmSync(this.#home, { recursive: true, force: true })
    if (this.said.includes('asked for another host')) throw new Error(this.said)
  }
}

/** A client for one exchange, or for what `use` makes of it. */
export async function withClient<T>(
  name: string,
  environment: Readonly<Record<string, string>>,
  use: (client: ClientProcess) => Promise<T>,
): Promise<T> {
  const client = new ClientProcess(name, environment)
  try {
    return await use(client)
  } finally {
    await client.stop()
  }
}
