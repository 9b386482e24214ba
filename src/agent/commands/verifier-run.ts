import { forbidCoreDumps } from '../../platform/core-dumps.ts'
import { createLog } from '../log.ts'
import { endSoon, endWithoutThreads, handleSignals, longestStopMs } from '../process-signals.ts'
import { readServiceConfiguration } from '../verifier-service/service-settings.ts'
import { VerifierService } from '../verifier-service/verifier-service.ts'
import { openHost } from '../wiring/host.ts'
import { requireSafeProcess } from '../wiring/process-safety.ts'
import { takeState } from '../wiring/state-hold.ts'

export interface VerifierRunOptions {
  readonly config: string
  readonly allowRoot?: boolean
}

async function openService({ config }: VerifierRunOptions) {
  const loaded = await readServiceConfiguration(config)
  const { log_level: level, state_directory: directory } = loaded.configuration.service
  const host = openHost()
  const log = createLog(level, { journal: process.env['JOURNAL_STREAM'] !== undefined })
  if (host.libc) forbidCoreDumps(host.libc)
  endWithoutThreads(host.libc)
  const lock = await takeState(directory, host)
  return { service: await VerifierService.open({ loaded, host, log }), log, level, lock }
}

/** Runs the verifier service until it is told to stop. Its configuration is read once: SIGHUP says so, and changes nothing. */
export async function runVerifier(options: VerifierRunOptions): Promise<void> {
  const { allowRoot = false } = options
  requireSafeProcess({ environment: process.env, execArgv: process.execArgv, euid: process.geteuid?.() }, allowRoot)
  const stop = new AbortController()
  const opening = openService(options)
  const onceOpen = (act: (opened: Awaited<typeof opening>) => void) => void opening.then(act, () => undefined)
  handleSignals({
    stop: () => {
      stop.abort()
      endSoon(longestStopMs)
    },
    reload: () =>
      onceOpen(({ log }) => log.warn({ event: 'reload_ignored' }, 'restart the service for another configuration')),
    toggleLog: () =>
      onceOpen(({ log, level }) => {
        log.level = log.level === 'debug' ? level : 'debug'
      }),
  })
  try {
    const { service, lock } = await opening
    await using _held = lock
    await service.run(stop.signal)
  } finally {
    endSoon(100)
  }
}
