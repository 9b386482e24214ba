import { randomBytes } from 'node:crypto'
import type { Clock } from '../../base/clock.ts'
import { AttestdError } from '../../base/errors.ts'
import type { RandomSource } from '../../base/random.ts'
import { type Libc, loadLibc } from '../../platform/c-library.ts'
import { SystemClock } from '../../platform/system-clock.ts'
import { ScriptedFaults } from '../scripted-faults.ts'
import { seededRandom } from '../seeded-random.ts'
import { ShiftedClock } from '../shifted-clock.ts'
import type { TestMode } from '../test-mode.ts'

/** What every wire needs of the machine. */
export interface Host {
  readonly clock: Clock
  readonly random: RandomSource
  /** Null without native code (NAT-01); then callers are known by the socket only, and `doctor` says so. */
  readonly libc: Libc | null
  /** Null but for an agent that is tested from outside (BRK-170). */
  readonly testMode: TestMode | null
}

function libcOrNull(): Host['libc'] {
  try {
    return loadLibc()
  } catch (error) {
    if (error instanceof AttestdError) return null
    throw error
  }
}

const random: RandomSource = (size) => new Uint8Array(randomBytes(size))

export function openHost(): Host {
  const libc = libcOrNull()
  return { libc, clock: new SystemClock(libc), random, testMode: null }
}

/** The machine with clocks that can be moved, devices that can be made to fail, and chance that a seed decides (BRK-170). */
export function openTestHost(seed: number | null): Host {
  const libc = libcOrNull()
  const clock = new ShiftedClock(new SystemClock(libc))
  const chance = seed === null ? random : seededRandom(seed)
  return { libc, clock, random: chance, testMode: { clock, faults: new ScriptedFaults(clock) } }
}

/** Resolves when the event loop has been round: what others wait for goes before. */
export const nextRound = (): Promise<void> => new Promise((wake) => setImmediate(wake))
