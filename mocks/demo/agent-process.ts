import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, writeFile } from 'node:fs/promises'
import { request } from 'node:http'
import { join } from 'node:path'
import { freePort } from './free-port.ts'
import type { DemoMachine } from './machine.ts'

/** The agent of the demonstration: the real program with a configuration of its own. */
export interface DemoAgent {
  readonly socket: string
  readonly adminSocket: string
  readonly issuer: string
  readonly startedInMs: number
  readonly exited: Promise<number | null>
  stop(): Promise<void>
}

export const demoAudience = 'https://rp.example'

/** A remote verifier that the agent is to know besides its own. */
export interface DemoRemote {
  readonly name: string
  readonly url: string
}

const remoteText = ({ name, url }: DemoRemote) => `[[remotes]]
name = "${name}"
dialect = "alibaba"
issuer = "${url}"
allow_http_loopback = true
`

function configurationText(folder: string, machine: DemoMachine, port: number, remotes: readonly DemoRemote[]): string {
  const issuers = ['local', ...remotes.map(({ name }) => name)]
  const audiences = [demoAudience, ...remotes.map(({ url }) => url)]
  return `# Made by the demonstration; the commented example of a real one is systemd/attestd.toml.
[agent]
state_directory = "${join(folder, 'state')}"
log_level = "warn"

[listen]
api = "${join(folder, 'api.sock')}"
admin = "${join(folder, 'admin.sock')}"

[tpm]
${machine.tpm.join('\n')}

[tdx]
${machine.tdx.join('\n')}

[collateral]
${machine.collateral.join('\n')}

[verifier]
${machine.verifier.join('\n')}

[issuer]
url = "http://127.0.0.1:${port}"
listen = "127.0.0.1:${port}"
allow_http_loopback = true

${remotes.map(remoteText).join('\n')}
[callers]
default_audiences = ["${demoAudience}"]

[[callers.rules]]
id = "demonstration"
match = { uid = ${process.getuid?.() ?? 0} }
allow = { methods = ["token", "jwks", "explain"], issuers = ${JSON.stringify(issuers)}, audiences = ${JSON.stringify(audiences)}, nonce = "allow", fresh = true }
`
}

/** Asks over a Unix socket; undefined if nobody answers yet. */
export function ask(socketPath: string, path: string): Promise<{ status: number; body: string } | undefined> {
  return new Promise((resolve) => {
    const asking = request({ socketPath, path }, (answer) => {
      let body = ''
      answer.setEncoding('utf8').on('data', (chunk: string) => {
        body += chunk
      })
      answer.on('end', () => resolve({ status: answer.statusCode ?? 0, body }))
    })
    asking.on('error', () => resolve(undefined))
    asking.end()
  })
}

async function untilAlive(socket: string, child: ChildProcess): Promise<void> {
  for (const end = Date.now() + 15_000; Date.now() < end && child.exitCode === null; ) {
    if ((await ask(socket, '/livez'))?.status === 200) return
    await new Promise((resolve) => setTimeout(resolve, 25))
  }
  throw new Error('the agent did not start; its reason stands above')
}

export async function startAgent(
  folder: string,
  machine: DemoMachine,
  remotes: readonly DemoRemote[],
): Promise<DemoAgent> {
  await mkdir(folder, { recursive: true, mode: 0o700 })
  const port = await freePort()
  const file = join(folder, 'attestd.toml')
  await writeFile(file, configurationText(folder, machine, port, remotes), { mode: 0o600 })
  const program = new URL('../../src/agent/main.js', import.meta.url).pathname
  const startedAt = Date.now()
  const { NODE_OPTIONS: _dropped, ...environment } = process.env
  const child = spawn(process.execPath, [program, 'run', '--config', file, '--allow-root'], {
    stdio: ['ignore', 'ignore', 'inherit'],
    env: environment,
  })
  const exited = once(child, 'exit').then(([code]) => code as number | null)
  const socket = join(folder, 'api.sock')
  await untilAlive(socket, child)
  return {
    socket,
    adminSocket: join(folder, 'admin.sock'),
    issuer: `http://127.0.0.1:${port}`,
    startedInMs: Date.now() - startedAt,
    exited,
    stop: async () => {
      child.kill('SIGTERM')
      await exited
    },
  }
}
