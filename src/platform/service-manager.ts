import { errnoOf, type Libc, layouts, socketConstants } from '../../native/libc.ts'
import type { Clock } from '../base/clock.ts'
import type { AttestdError } from '../base/errors.ts'
import { platformErrors } from './errors.ts'

export interface ServiceManagerOptions {
  /** `process.env`: the variables meant for this process alone are taken out, so that children do not see them. */
  readonly environment: Record<string, string | undefined>
  readonly clock: Clock
  /** Null without native code: then nothing can be told, and `warn` says so once. */
  readonly libc: Libc | null
  readonly pid: number
  /** Told once about each way in which messages are lost. */
  readonly warn: (error: AttestdError) => void
}

/** Longest name in a Unix socket address, terminating NUL of a path not counted. */
const longestName = 107
const retryMs = 1_000
const retryStepMs = 50
const longestLagMs = 5_000
/** A boot-time clock that runs this far ahead of the monotonic one: the machine slept in between (BRK-61). */
const suspendMs = 2_000

/**
 * The socket address for the text of NOTIFY_SOCKET: family, then a path with one NUL, or an abstract name with NUL
 * in place of `@` and none behind it. Null for any other form (NAT-67).
 */
export function notifyAddress(text: string): Buffer | null {
  const name = Buffer.from(text)
  if (name.length < 2 || name.length > longestName || name.includes(0)) return null
  const family = Buffer.alloc(layouts.sockaddrUn.path)
  family.writeUInt16LE(socketConstants.AF_UNIX)
  if (text.startsWith('/')) return Buffer.concat([family, name, Buffer.alloc(1)])
  return text.startsWith('@') ? Buffer.concat([family, Buffer.alloc(1), name.subarray(1)]) : null
}

function intervalOf(environment: ServiceManagerOptions['environment'], pid: number): number | null {
  const { WATCHDOG_USEC: microseconds = '', WATCHDOG_PID: target } = environment
  if (!/^[1-9][0-9]{0,15}$/.test(microseconds)) return null
  return target === undefined || target === String(pid) ? Number(microseconds) / 1000 : null
}

function oneLine(text: string): string {
  return text.replaceAll(/[\r\n]+/g, ' ')
}

/**
 * Tells the service manager how we are, in the protocol of sd_notify(3). Without a manager every call does nothing
 * (SYS-52). Nothing here throws because of the manager: a service works without it.
 */
export class ServiceManager {
  /** Milliseconds after which the manager takes us for hung; null without a watchdog. */
  readonly watchdogMs: number | null
  #options: ServiceManagerOptions
  #address: Buffer | null
  #warned = new Set<string>()

  constructor(options: ServiceManagerOptions) {
    const { environment, pid } = options
    this.#options = options
    this.watchdogMs = intervalOf(environment, pid)
    const { NOTIFY_SOCKET: socket } = environment
    this.#address = socket === undefined ? null : notifyAddress(socket)
    for (const name of ['NOTIFY_SOCKET', 'WATCHDOG_USEC', 'WATCHDOG_PID']) delete environment[name]
    if (socket !== undefined && this.#address === null) this.#warn('NOTIFY_SOCKET has a form that is not supported')
    if (this.#address !== null && options.libc === null) this.#warn('without native code it cannot be told')
  }

  /** To be called when all listeners answer, and again after a reload, done or refused (SYS-51, SYS-55). */
  ready(status: string): Promise<void> {
    return this.#insist(`READY=1\nSTATUS=${oneLine(status)}`)
  }

  /** At once on SIGHUP; `ready` must follow (SYS-55). */
  reloading(): Promise<void> {
    const microseconds = Math.floor(this.#options.clock.monotonic() * 1000)
    return this.#insist(`RELOADING=1\nMONOTONIC_USEC=${microseconds}`)
  }

  stopping(): Promise<void> {
    return this.#insist('STOPPING=1')
  }

  /** One line for `systemctl status`. */
  status(text: string): void {
    this.#send(`STATUS=${oneLine(text)}`)
  }

  /** Asks for more time to start or stop, from now on (SYS-56). */
  extendTimeout(ms: number): void {
    this.#send(`EXTEND_TIMEOUT_USEC=${Math.ceil(ms * 1000)}`)
  }

  /**
   * Pings the watchdog every third of its interval while `isHealthy` says so and the event loop is not late (SYS-53),
   * and at once after the machine slept (SYS-54). Runs until `signal` aborts; at once done without a watchdog.
   */
  async keepWatchdog(isHealthy: () => boolean | Promise<boolean>, signal: AbortSignal): Promise<void> {
    if (this.watchdogMs === null) return
    const { clock } = this.#options
    const step = this.watchdogMs / 3
    while (!signal.aborted) {
      const before = { monotonic: clock.monotonic(), boottime: clock.boottime() }
      await clock.sleep(step, signal).catch((reason: unknown) => {
        if (!signal.aborted) throw reason
      })
      const passed = clock.monotonic() - before.monotonic
      const slept = clock.boottime() - before.boottime - passed > suspendMs
      if (signal.aborted) return
      if (slept || (passed - step < longestLagMs && (await isHealthy()))) this.#send('WATCHDOG=1')
    }
  }

  /** READY, RELOADING and STOPPING must arrive: a full queue is tried again for a second (NAT-68). */
  async #insist(message: string): Promise<void> {
    const { clock } = this.#options
    const end = clock.monotonic() + retryMs
    while (this.#send(message) === errnoOf.EAGAIN) {
      if (clock.monotonic() >= end) return this.#warn('its queue stays full')
      await clock.sleep(retryStepMs)
    }
  }

  /** One datagram on a socket of its own (NAT-66). Gives errno; a full queue drops the message without a word. */
  #send(message: string): number {
    const { libc } = this.#options
    if (this.#address === null || libc === null) return 0
    const { AF_UNIX, SOCK_DGRAM, SOCK_CLOEXEC, MSG_DONTWAIT_NOSIGNAL } = socketConstants
    const { value: fd, errno: refused } = libc.socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0)
    if (refused === 0) {
      const bytes = Buffer.from(message)
      const address = this.#address
      const { errno } = libc.sendto(fd, bytes, bytes.length, MSG_DONTWAIT_NOSIGNAL, address, address.length)
      libc.close(fd)
      if (errno !== 0 && errno !== errnoOf.EAGAIN) this.#warn(`sendto failed with errno ${errno}`)
      return errno
    }
    this.#warn(`socket failed with errno ${refused}`)
    return refused
  }

  #warn(problem: string): void {
    if (this.#warned.has(problem)) return
    this.#warned.add(problem)
    this.#options.warn(platformErrors.error('SERVICE_MANAGER', `the service manager is not reached: ${problem}`))
  }
}
