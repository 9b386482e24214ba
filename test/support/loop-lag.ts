import { rmSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { createRequire } from 'node:module'

/** How the event loop of a process did, in milliseconds. */
export interface LoopLag {
  /** How late timers were, also because others had the processors. */
  readonly p99: number
  readonly longest: number
  /** The most that the loop's thread worked from one timer to the next: what the program itself can hold up, on any machine. */
  readonly longestWork: number
}

const resolutionMs = 2
const koffi = createRequire(import.meta.url).resolve('koffi')

/** Option of Node for a process that is to measure its own event loop: at SIGUSR2 it writes to `file`, and begins anew. */
export function measuringLag(file: string): string {
  const program = `
import { writeFileSync, renameSync } from 'node:fs'
import { createRequire } from 'node:module'
import { monitorEventLoopDelay } from 'node:perf_hooks'
import { isMainThread } from 'node:worker_threads'
if (isMainThread) {
  const koffi = createRequire(${JSON.stringify(koffi)})(${JSON.stringify(koffi)})
  const time = koffi.struct({ s: 'int64', ns: 'int64' })
  const clock = koffi.load('libc.so.6').func('clock_gettime', 'int', ['int', koffi.out(koffi.pointer(time))])
  const CLOCK_THREAD_CPUTIME_ID = 3
  const read = {}
  const worked = () => {
    clock(CLOCK_THREAD_CPUTIME_ID, read)
    return Number(read.s) * 1000 + Number(read.ns) / 1e6
  }
  let [before, longestWork] = [worked(), 0]
  setInterval(() => {
    const now = worked()
    longestWork = Math.max(longestWork, now - before)
    before = now
  }, ${resolutionMs}).unref()
  const late = monitorEventLoopDelay({ resolution: ${resolutionMs} })
  late.enable()
  process.on('SIGUSR2', () => {
    const ms = (ns) => Math.max(0, ns / 1e6 - ${resolutionMs})
    const lag = { p99: ms(late.percentile(99)), longest: ms(late.max), longestWork }
    writeFileSync(${JSON.stringify(`${file}.new`)}, JSON.stringify(lag))
    renameSync(${JSON.stringify(`${file}.new`)}, ${JSON.stringify(file)})
    late.reset()
    longestWork = 0
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
