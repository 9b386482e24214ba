import { Command, InvalidArgumentError } from 'commander'
import type { Logger } from 'pino'
import { forbidCoreDumps } from '../../platform/core-dumps.ts'
import type { FileLock } from '../../platform/lock-file.ts'
import { Agent } from '../agent.ts'
import { defaultConfigurationFile, readConfiguration } from '../configuration/read.ts'
import { agentErrors } from '../errors.ts'
import { createLog, type LogLevel } from '../log.ts'
import { endSoon, endWithoutThreads, handleSignals, longestStopMs } from '../process-signals.ts'
import { requireNoService } from '../test-mode.ts'
import { openHost, openTestHost } from '../wiring/host.ts'
import { requireSafeProcess } from '../wiring/process-safety.ts'
import { takeState } from '../wiring/state-hold.ts'

interface RunOptions {
  readonly config: string
  readonly allowRoot?: boolean
  readonly testMode?: boolean
  readonly testSeed?: number
}

function seedOf(text: string): number {
  if (/^(?:0|[1-9][0-9]{0,15})$/.test(text) && Number.isSafeInteger(Number(text))) return Number(text)
  throw new InvalidArgumentError('must be a whole number from 0 to 9007199254740991.')
}

interface OpenedAgent {
  readonly agent: Agent
  readonly log: Logger
  readonly level: LogLevel
  readonly lock: FileLock | null
}

async function openAgent({ config, testMode = false, testSeed }: Omit<RunOptions, 'allowRoot'>): Promise<OpenedAgent> {
  const loaded = await readConfiguration(config)
  const { log_level: level, state_directory: directory } = loaded.configuration.agent
  const host = testMode ? openTestHost(testSeed ?? null) : openHost()
  const log = createLog(level, { journal: process.env['JOURNAL_STREAM'] !== undefined })
  if (host.libc) forbidCoreDumps(host.libc)
  endWithoutThreads(host.libc)
  const lock = await takeState(directory, host)
  return { agent: await Agent.open({ loaded, host, log }), log, level, lock }
}

/** Signals are heard from the first moment on: unheard, SIGHUP would end the process and SIGUSR1 open the inspector. */
async function runAgent({ allowRoot = false, ...choices }: RunOptions): Promise<void> {
  requireSafeProcess({ environment: process.env, execArgv: process.execArgv, euid: process.geteuid?.() }, allowRoot)
  if (choices.testSeed !== undefined && !choices.testMode)
    throw agentErrors.error('USAGE', '--test-seed needs --test-mode')
  if (choices.testMode) requireNoService(process.env)
  const stop = new AbortController()
  const opening = openAgent(choices)
  // What an action rejects with is a bug: nobody hears it, and it ends the process.
  const onceOpen = (act: (opened: OpenedAgent) => unknown) => void opening.then(act, () => undefined)
  handleSignals({
    stop: () => {
      stop.abort()
      endSoon(longestStopMs)
    },
    reload: () => onceOpen(({ agent }) => agent.reload()),
    toggleLog: () =>
      onceOpen(({ log, level }) => {
        log.level = log.level === 'debug' ? level : 'debug'
      }),
  })
  try {
    const { agent, lock } = await opening
    await using _held = lock
    if (!stop.signal.aborted) await agent.run(stop.signal)
  } finally {
    endSoon(100)
  }
}

/** `attestd run`: the agent, until it is told to stop. */
export function runCommand(): Command {
  return new Command('run')
    .description('run the agent')
    .option('--config <file>', 'configuration file', defaultConfigurationFile)
    .option('--allow-root', 'run although the user is root')
    .option(
      '--test-mode',
      'let administrators move clocks and make devices fail, and take tokens of a few seconds; simulated devices only',
    )
    .option('--test-seed <number>', 'in test mode: what nonces, identifiers and pauses are made of', seedOf)
    .action(async (options: RunOptions, command: Command) => {
      if (command.args.length > 0) throw agentErrors.error('USAGE', `unexpected argument ${command.args[0]}`)
      await runAgent(options)
    })
}
