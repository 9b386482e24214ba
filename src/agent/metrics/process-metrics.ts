import { readdir } from 'node:fs/promises'
import { monitorEventLoopDelay } from 'node:perf_hooks'
import { Gauge, type OpenMetricsContentType, type Registry } from 'prom-client'
import type { Clock } from '../../base/clock.ts'

/** Between two looks of the event loop monitor: each wakes the process, and an idle agent must stay idle (BRK-165). */
const resolutionMs = 100
const windowMs = 10_000

/** How late the event loop ran: the 99th percentile of the last window that is over, or of the present one if that is worse. */
class LoopLag {
  readonly #clock: Pick<Clock, 'monotonic'>
  readonly #monitor = monitorEventLoopDelay({ resolution: resolutionMs })
  #since: number
  #before = 0

  constructor(clock: Pick<Clock, 'monotonic'>) {
    this.#clock = clock
    this.#since = clock.monotonic()
    this.#monitor.enable()
  }

  seconds(): number {
    // The monitor counts its own interval; before its first look it knows nothing.
    const present = this.#monitor.count === 0 ? 0 : this.#monitor.percentile(99) / 1e9 - resolutionMs / 1000
    const lag = Math.max(this.#before, present, 0)
    if (this.#clock.monotonic() - this.#since >= windowMs) {
      this.#before = Math.max(present, 0)
      this.#since = this.#clock.monotonic()
      this.#monitor.reset()
    }
    return lag
  }
}

/** Descriptors of this process; the one that lists them is not counted. Null where the kernel does not say. */
async function countOpenFiles(): Promise<number | null> {
  try {
    return (await readdir('/proc/self/fd')).length - 1
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === undefined) throw error
    return null
  }
}

/** The process itself. */
export function measureProcess(
  registry: Registry<OpenMetricsContentType>,
  clock: Pick<Clock, 'monotonic'>,
  version: string,
): void {
  const registers = [registry]
  const lag = new LoopLag(clock)
  new Gauge({
    name: 'attestd_event_loop_lag_seconds',
    help: 'how late the event loop runs, 99th percentile of ten seconds or more',
    registers,
    collect() {
      this.set(lag.seconds())
    },
  })
  new Gauge({
    name: 'attestd_open_fds',
    help: 'open file descriptors',
    registers,
    async collect() {
      const count = await countOpenFiles()
      if (count === null) this.reset()
      else this.set(count)
    },
  })
  const build = new Gauge({ name: 'attestd_build_info', help: 'always 1', labelNames: ['version'], registers })
  build.set({ version }, 1)
}
