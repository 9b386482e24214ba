import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import type { Misbehaviour } from './misbehaviour.ts'

export interface StartOptions {
  /** PEM of the root that the double trusts. */
  readonly trustAnchorFile: string
  /** Collateral as one JSON object (TDX-220); read at every request. */
  readonly collateralFile: string
  /** The root is a simulator's: its quotes are taken, and the tokens say so (TOK-04). */
  readonly simulator: boolean
  /** Default: the built one beside this module. */
  readonly program?: string
}

export interface AttestationServiceProcess {
  /** Base URL, issuer and audience of its tokens. */
  readonly url: string
  readonly pid: number
  /** Everything that it wrote to standard error so far. */
  readonly said: () => string
  misbehave(kind: Misbehaviour | null, times?: number): Promise<void>
  stop(): Promise<void>
}

/** Starts the double as a process of its own and waits until it listens. Throws, with what it wrote, if it ends before. */
export async function startAttestationService(options: StartOptions): Promise<AttestationServiceProcess> {
  const { trustAnchorFile, collateralFile, simulator } = options
  const program = options.program ?? new URL('./main.js', import.meta.url).pathname
  const files = ['--trust-anchor', trustAnchorFile, '--collateral', collateralFile]
  const { NODE_OPTIONS: _dropped, ...env } = process.env
  const child = spawn(process.execPath, [program, ...files, ...(simulator ? ['--simulator'] : [])], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env,
  })
  let said = ''
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    said += text
  })
  const killAtExit = () => child.kill('SIGKILL')
  process.once('exit', killAtExit)
  const exited = once(child, 'exit').then(() => process.off('exit', killAtExit))
  const lines = createInterface({ input: child.stdout })
  const line = await Promise.race([once(lines, 'line'), exited.then(() => undefined)])
  if (line === undefined) throw new Error(`the attestation service double did not start: ${said}`)
  const { url, pid } = JSON.parse(String(line[0])) as { readonly url: string; readonly pid: number }
  return {
    url,
    pid,
    said: () => said,
    misbehave: async (kind, times) => {
      const answer = await fetch(`${url}/double/misbehave`, { method: 'POST', body: JSON.stringify({ kind, times }) })
      if (answer.status !== 204) throw new Error(`the attestation service double answered ${answer.status}`)
    },
    stop: async () => {
      child.kill('SIGTERM')
      await exited
    },
  }
}
