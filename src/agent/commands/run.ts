import { join } from 'node:path'
import { Command } from 'commander'
import { forbidCoreDumps } from '../../platform/core-dumps.ts'
import { takeLock } from '../../platform/lock-file.ts'
import { Agent } from '../agent.ts'
import { defaultConfigurationFile, readConfiguration } from '../configuration/read.ts'
import { agentErrors } from '../errors.ts'
import { createLog } from '../log.ts'
import { openHost } from '../wiring/host.ts'
import { requireSafeProcess } from '../wiring/process-safety.ts'
import { requireStateDirectory } from '../wiring/state-files.ts'

interface RunOptions {
  readonly config: string
  readonly allowRoot?: boolean
}

/** SIGTERM and SIGINT stop, a second one at once; SIGHUP reloads; SIGUSR1 toggles the log (BRK-143, BRK-144, SYS-46). */
function handleSignals(actions: { stop(): void; reload(): void; toggleLog(): void }): void {
  let stopping = false
  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    process.on(signal, () => {
      if (stopping) process.exit(1)
      stopping = true
      actions.stop()
    })
  }
  process.on('SIGHUP', () => actions.reload())
  process.on('SIGUSR1', () => actions.toggleLog())
}

async function runAgent({ config, allowRoot = false }: RunOptions): Promise<void> {
  requireSafeProcess({ environment: process.env, execArgv: process.execArgv, euid: process.geteuid?.() }, allowRoot)
  const loaded = await readConfiguration(config)
  const { agent } = loaded.configuration
  const host = openHost()
  const log = createLog(agent.log_level, { journal: process.env['JOURNAL_STREAM'] !== undefined })
  if (host.libc) forbidCoreDumps(host.libc)
  await requireStateDirectory(agent.state_directory)
  const lock = host.libc ? await takeLock(join(agent.state_directory, 'lock'), host.libc) : null
  const stop = new AbortController()
  try {
    const running = await Agent.open({ loaded, host, log })
    handleSignals({
      stop: () => stop.abort(),
      reload: () => void running.reload(),
      toggleLog: () => {
        log.level = log.level === 'debug' ? agent.log_level : 'debug'
      },
    })
    await running.run(stop.signal)
  } finally {
    await lock?.release()
  }
}

/** `attestd run`: the agent, until it is told to stop. */
export function runCommand(): Command {
  return new Command('run')
    .description('run the agent')
    .option('--config <file>', 'configuration file', defaultConfigurationFile)
    .option('--allow-root', 'run although the user is root')
    .action(async (options: RunOptions, command: Command) => {
      if (command.args.length > 0) throw agentErrors.error('USAGE', `unexpected argument ${command.args[0]}`)
      await runAgent(options)
    })
}
