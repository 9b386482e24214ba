import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { builtProgram } from './built-program.ts'

export interface CommandResult {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
  readonly out: string
  readonly err: string
}

export interface CommandOptions {
  readonly input?: string
  readonly environment?: Readonly<Record<string, string>>
}

/** Runs a command to its end, with nothing of this process's environment but PATH. */
export async function runCommand(
  command: string,
  args: readonly string[],
  { input = '', environment = {} }: CommandOptions = {},
): Promise<CommandResult> {
  const child = spawn(command, args, { env: { PATH: process.env['PATH'], ...environment } })
  const read = { out: '', err: '' }
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    read.out += text
  })
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    read.err += text
  })
  child.stdin.on('error', () => undefined).end(input)
  const [code, signal] = await once(child, 'close')
  return { code, signal, ...read }
}

/** Runs the built `attestd`. */
export async function runAttestd(args: readonly string[], options: CommandOptions = {}): Promise<CommandResult> {
  return runCommand(process.execPath, [await builtProgram(), ...args], options)
}
