import { rmSync } from 'node:fs'
import { readFile } from 'node:fs/promises'

/** How late timers of a process were, in milliseconds. */
export interface LoopLag {
  readonly p99: number
  readonly longest: number
}

const resolutionMs = 2

/** Option of Node for a process that is to measure its own event loop: at SIGUSR2 it writes to `file`, and begins anew. */
export function measuringLag(file: string): string {
  const program = `
import { writeFileSync, renameSync } from 'node:fs'
import { monitorEventLoopDelay } from 'node:perf_hooks'
import { isMainThread } from 'node:worker_threads'
if (isMainThread) {
  const late = monitorEventLoopDelay({ resolution: ${resolutionMs} })
  late.enable()
  process.on('SIGUSR2', () => {
    const ms = (ns) => Math.max(0, ns / 1e6 - ${resolutionMs})
    writeFileSync(${JSON.stringify(`${file}.new`)}, JSON.stringify({ p99: ms(late.percentile(99)), longest: ms(late.max) }))
    renameSync(${JSON.stringify(`${file}.new`)}, ${JSON.stringify(file)})
    late.reset()
  })
}`
  return `--import=data:text/javascript,${encodeURIComponent(program)}`
}

/** What a process measured since the last time. */
export async function takeLag(pid: number, file: string): Promise<LoopLag> {
  rmSync(file, { force: true })
  process.kill(pid, 'SIGUSR2')
  for (;;) {
    const text = await readFile(file, 'utf8').catch(() => null)
    if (text !== null) return JSON.parse(text)
    await new Promise((wake) => setTimeout(wake, 5))
  }
}
