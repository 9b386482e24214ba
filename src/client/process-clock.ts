import { setTimeout as sleep } from 'node:timers/promises'
import type { Clock } from '../base/clock.ts'

/** The readings of time that a client needs. */
export type ClientClock = Pick<Clock, 'now' | 'monotonic' | 'sleep'>

/** The clocks of this process. */
export const processClock: ClientClock = {
  now: () => Date.now(),
  monotonic: () => performance.now(),
  sleep: (ms, signal) => sleep(ms, undefined, signal === undefined ? {} : { signal }),
}
