import { readFileSync } from 'node:fs'
import { CLOCK_BOOTTIME, type Libc, layouts } from '../../native/libc.ts'
import type { Clock } from '../base/clock.ts'

/** Longest single timer. A longer delay is slept in slices, because a timer above 2^31 - 1 ms fires at once (BRK-23). */
const longestSliceMs = 30_000

function boottimeOf(libc: Libc): number {
  const cell = Buffer.alloc(layouts.timespec.size)
  const { errno } = libc.clockGettime(CLOCK_BOOTTIME, cell)
  if (errno !== 0) throw new TypeError(`clock_gettime failed with errno ${errno}`)
  return (
    Number(cell.readBigInt64LE(layouts.timespec.seconds)) * 1e3 +
    Number(cell.readBigInt64LE(layouts.timespec.nanoseconds)) / 1e6
  )
}

/** First number of /proc/uptime: seconds with a resolution of 10 ms. */
function uptimeOfProc(): number {
  const text = readFileSync('/proc/uptime', 'latin1')
  const match = /^(\d{1,15})\.(\d{2}) /.exec(text)
  if (!match) throw new TypeError('/proc/uptime has another form')
  return Number(match[1]) * 1000 + Number(match[2]) * 10
}

/**
 * The clocks of the machine. Boot time comes from CLOCK_BOOTTIME with the native layer, else from /proc/uptime
 * (`null`): both run through suspend.
 */
export class SystemClock implements Clock {
  #libc: Libc | null

  constructor(libc: Libc | null) {
    this.#libc = libc
  }

  now(): number {
    return Date.now()
  }

  monotonic(): number {
    return Number(process.hrtime.bigint()) / 1e6
  }

  boottime(): number {
    return this.#libc === null ? uptimeOfProc() : boottimeOf(this.#libc)
  }

  async sleep(ms: number, signal?: AbortSignal): Promise<void> {
    if (Number.isNaN(ms)) throw new TypeError('slept for NaN milliseconds')
    const end = this.monotonic() + ms
    do {
      await slice(Math.min(longestSliceMs, end - this.monotonic()), signal)
    } while (this.monotonic() < end)
  }
}

function slice(ms: number, signal: AbortSignal | undefined): Promise<void> {
  if (signal?.aborted) return Promise.reject(signal.reason)
  return new Promise((resolve, reject) => {
    const abort = () => {
      clearTimeout(timer)
      reject(signal?.reason)
    }
    const wake = () => {
      signal?.removeEventListener('abort', abort)
      resolve()
    }
    const timer = setTimeout(wake, Math.max(0, Math.ceil(ms)))
    signal?.addEventListener('abort', abort, { once: true })
  })
}
