import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { chownSync, existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { freePort } from '../../mocks/demo/free-port.ts'

const installed = '/usr/lib/postgresql'

/** Of the newest PostgreSQL of Debian's packages; null where there is none. */
function programs(): string | null {
  const versions = existsSync(installed) ? readdirSync(installed) : []
  const folders = versions
    .sort((left, right) => Number(right) - Number(left))
    .map((name) => join(installed, name, 'bin'))
  return folders.find((folder) => existsSync(join(folder, 'initdb')) && existsSync(join(folder, 'postgres'))) ?? null
}

const bin = programs()

/** Tests against a real server are skipped, and counted as skipped, where PostgreSQL is not installed. */
export const havePostgres = bin !== null

/** PostgreSQL refuses to run as root. */
function serverUser(): { readonly uid?: number; readonly gid?: number } {
  if (process.getuid?.() !== 0) return {}
  const idOf = (flag: string) => Number(spawnSync('id', [flag, 'postgres'], { encoding: 'utf8' }).stdout)
  return { uid: idOf('-u') || 65_534, gid: idOf('-g') || 65_534 }
}

export interface PostgresServerOptions {
  /** Lines of postgresql.conf. */
  readonly settings?: readonly string[]
  readonly password?: string
  /** PEM; with it the server takes encrypted connections. */
  readonly tls?: { readonly key: string; readonly cert: string }
}

/** One PostgreSQL server for tests, on a Unix socket and a port of this machine, that nobody else uses. */
export class PostgresServer implements AsyncDisposable {
  readonly folder: string
  readonly port: number
  readonly #user = serverUser()
  #process: ChildProcess | null = null

  private constructor(folder: string, port: number) {
    this.folder = folder
    this.port = port
  }

  static async start(options: PostgresServerOptions = {}): Promise<PostgresServer> {
    const server = new PostgresServer(mkdtempSync(join(tmpdir(), 'attestd-pg-')), await freePort())
    server.#initialize(options)
    await server.run()
    return server
  }

  /** A URL for the Unix socket; any user may come in there. */
  get url(): string {
    return `postgresql://attestd@/postgres?host=${encodeURIComponent(this.folder)}`.replace('@/', `@:${this.port}/`)
  }

  get data(): string {
    return join(this.folder, 'data')
  }

  /** Starts it, again if it was stopped, and waits until it takes connections. */
  async run(): Promise<void> {
    const child = spawn(join(bin ?? '', 'postgres'), ['-D', this.data], { ...this.#user, cwd: this.folder })
    this.#process = child
    await new Promise<void>((resolve, reject) => {
      let heard = ''
      child.once('exit', (code) => reject(new Error(`postgres ended with ${code}: ${heard}`)))
      child.stderr.setEncoding('utf8').on('data', (text: string) => {
        heard += text
        if (heard.includes('ready to accept connections')) resolve()
      })
    })
  }

  /** `SIGINT`: at once, in order; `SIGQUIT`: at once, as after a crash. */
  async stop(signal: NodeJS.Signals = 'SIGINT'): Promise<void> {
    const child = this.#process
    this.#process = null
    if (child === null || child.exitCode !== null) return
    const ended = once(child, 'exit')
    child.kill(signal)
    await ended
  }

  /** Runs statements as superuser, in a session of their own. */
  command(sql: string): string {
    const args = ['-h', this.folder, '-p', String(this.port), '-U', 'attestd', '-d', 'postgres', '-XAtqc', sql]
    const { status, stdout, stderr } = spawnSync(join(bin ?? '', 'psql'), args, { encoding: 'utf8' })
    if (status !== 0) throw new Error(stderr)
    return stdout.trim()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop('SIGQUIT')
    rmSync(this.folder, { recursive: true, force: true })
  }

  #initialize({ settings = [], password = 'secret', tls }: PostgresServerOptions): void {
    mkdirSync(this.data, { mode: 0o700 })
    const { uid = -1, gid = -1 } = this.#user
    for (const path of [this.folder, this.data]) chownSync(path, uid, gid)
    const passwordFile = this.#write('password', `${password}\n`)
    const access = ['--auth-local=trust', '--auth-host=scram-sha-256', `--pwfile=${passwordFile}`]
    const args = ['-D', this.data, '-U', 'attestd', '--no-sync', '--locale=C.UTF-8', '--encoding=UTF8', ...access]
    const made = spawnSync(join(bin ?? '', 'initdb'), args, { ...this.#user, cwd: this.folder, encoding: 'utf8' })
    if (made.status !== 0) throw new Error(`initdb: ${made.stderr}`)
    const places = [
      `unix_socket_directories = '${this.folder}'`,
      "listen_addresses = '127.0.0.1'",
      `port = ${this.port}`,
    ]
    const files = tls ? [this.#write('key.pem', tls.key), this.#write('cert.pem', tls.cert)] : []
    const secured = tls ? ['ssl = on', `ssl_key_file = '${files[0]}'`, `ssl_cert_file = '${files[1]}'`] : []
    const lines = [...places, ...secured, 'shared_buffers = 16MB', 'max_connections = 30', ...settings]
    writeFileSync(join(this.data, 'postgresql.conf'), `${lines.join('\n')}\n`)
  }

  /** A file that the server alone can read. */
  #write(name: string, content: string): string {
    const path = join(this.folder, name)
    writeFileSync(path, content, { mode: 0o600 })
    chownSync(path, this.#user.uid ?? -1, this.#user.gid ?? -1)
    return path
  }
}
