import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { constants } from 'node:os'
import { Command, InvalidArgumentError, Option } from 'commander'
import { CommandEnd } from '../presentation/command-end.ts'
import { type CommandIo, escaped } from '../presentation/terminal.ts'
import { fetchToken } from './fetch-token.ts'
import { integerOption, socketOption } from './options.ts'

interface ExecOptions {
  readonly audience: string
  readonly env: string
  readonly timeout: number
  readonly socket: string
}

/** As shells and other wrappers have it: a command that cannot be run, one that is not there, and one that a signal ended. */
const [notRunnable, notFound, endedBySignal] = [126, 127, 128]

/** What others send to a command; the rest means this process. */
const passedOn = ['SIGTERM', 'SIGHUP', 'SIGINT', 'SIGQUIT', 'SIGUSR1', 'SIGUSR2'] as const

/** A terminal sends these to the whole group: passed on they would come twice. */
const ofTerminals: readonly string[] = ['SIGINT', 'SIGQUIT']

function variableName(text: string): string {
  if (/^[A-Za-z_][A-Za-z0-9_]{0,127}$/.test(text)) return text
  throw new InvalidArgumentError('must be the name of a variable.')
}

/** Runs to its end with the same standard streams; gives the exit code as a shell would. */
async function runToEnd([name = '', ...args]: readonly string[], added: Record<string, string>): Promise<number> {
  // Before there is a child: whoever sees that it runs may send a signal at once.
  for (const signal of passedOn) {
    const sentToAll = ofTerminals.includes(signal) && process.stdin.isTTY
    process.on(signal, () => sentToAll || child.kill(signal))
  }
  const child = spawn(name, args, { stdio: 'inherit', env: { ...process.env, ...added } })
  const [code, signal] = (await once(child, 'exit')) as [number | null, NodeJS.Signals | null]
  return code ?? endedBySignal + (signal === null ? 0 : constants.signals[signal])
}

function errnoOf(error: unknown): string | null {
  return error instanceof Error && 'syscall' in error && 'code' in error ? String(error.code) : null
}

async function exitCodeOf(io: CommandIo, command: readonly string[], added: Record<string, string>): Promise<number> {
  try {
    return await runToEnd(command, added)
  } catch (error) {
    const errno = errnoOf(error)
    if (errno === null) throw error
    io.err(`attestd exec: ${escaped(command[0] ?? '')}: ${errno}\n`)
    return errno === 'ENOENT' ? notFound : notRunnable
  }
}

/**
 * `attestd exec -- command`: runs a command with a token in its environment (API-162, API-170). Without options it is what
 * Sigstore's tools expect. The token is not renewed while the command runs, and processes of the same user can read it.
 */
export function execCommand(io: CommandIo): Command {
  return new Command('exec')
    .description('run a command with a token of the local agent in its environment')
    .usage('[options] -- <command...>')
    .argument('<command...>', 'the command with its arguments, behind --')
    .option('--audience <audience>', 'for whom the token is', 'sigstore')
    .addOption(
      new Option('--env <name>', 'variable that the command finds the token in')
        .argParser(variableName)
        .default('SIGSTORE_ID_TOKEN'),
    )
    .addOption(new Option('--timeout <seconds>', 'longest wait').argParser(integerOption(1, 60)).default(15))
    .addOption(socketOption('api'))
    .action(async (command: string[], { audience, env, timeout, socket }: ExecOptions) => {
      const { token } = await fetchToken({ socket, audience, timeoutMs: timeout * 1000 })
      throw new CommandEnd(await exitCodeOf(io, command, { [env]: token }))
    })
}
