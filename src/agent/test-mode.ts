import type { BrokerLimits } from '../passport/limits.ts'
import type { TestActions } from '../workload-api/test-routes.ts'
import { agentErrors } from './errors.ts'
import type { ScriptedFaults } from './scripted-faults.ts'
import type { ShiftedClock } from './shifted-clock.ts'
import type { GuestWiring } from './wiring/guest.ts'

/**
 * An agent that is tested from outside (BRK-170): it has clocks that can be moved and devices that can be made to fail, and takes
 * tokens of a few seconds.
 */
export interface TestMode {
  readonly clock: ShiftedClock
  readonly faults: ScriptedFaults
}

/** Bounds in test mode, in seconds: tokens that live shorter than anybody would want, and are served nearly to their end. */
export const testBounds = {
  leastLifetimeS: 2,
  broker: { minUsableLifeS: 2, servingFloorS: 1 } satisfies Partial<BrokerLimits>,
} as const

/**
 * Refuses test mode to a service: the packaged unit, or a drop-in of it, never runs an agent whose clocks others move. A
 * service manager sets these for everything that it starts.
 */
export function requireNoService(environment: Readonly<Record<string, string | undefined>>): void {
  const found = ['INVOCATION_ID', 'NOTIFY_SOCKET', 'LISTEN_PID'].find((name) => environment[name] !== undefined)
  if (found !== undefined) throw agentErrors.error('TEST_MODE_IN_SERVICE', `${found} is set`)
}

/** Evidence of a real device would be worth something: in test mode every token says that it is simulated (BRK-171). */
export function requireSimulated({ tpm, td }: Pick<GuestWiring, 'tpm' | 'td'>): void {
  const real = [tpm, td].find((device) => device !== null && !device.simulated)
  if (real) throw agentErrors.error('TEST_MODE_REAL_DEVICE', `${real.place} is a device of this machine`)
}

/** What tests can do by the administrators' socket. */
export function testActions({ clock, faults }: TestMode): TestActions {
  return { shiftClock: (shift) => clock.shift(shift), injectFault: (fault) => faults.inject(fault) }
}
