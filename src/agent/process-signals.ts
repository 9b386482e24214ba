import type { Libc } from '../platform/c-library.ts'

/** BRK-143: less than 10 s, whatever hangs. */
export const longestStopMs = 9_000

/**
 * When Node ends it waits for the threads of its pool, and a TPM that does not answer holds one as long as it likes: so
 * the process ends without them.
 */
export function endWithoutThreads(libc: Libc | null): void {
  process.on('exit', (code) => libc?.exitNow(Number(process.exitCode ?? code)))
}

/** Calls that hang keep the process; whatever is to be said has been said when the timer fires. */
export function endSoon(ms: number): void {
  setTimeout(() => process.exit(), ms).unref()
}

/** SIGTERM and SIGINT stop, a second one at once; SIGHUP reloads; SIGUSR1 toggles the log (BRK-143, BRK-144, SYS-46). */
export function handleSignals(actions: { stop(): void; reload(): void; toggleLog(): void }): void {
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
