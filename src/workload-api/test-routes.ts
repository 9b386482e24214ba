import { invalidRequest } from './errors.ts'
import type { Exchange } from './exchange.ts'
import { MemberReader } from './members.ts'
import type { Route } from './route.ts'

export interface ClockShiftRequest {
  readonly wallMs: number
  readonly monoMs: number
  readonly bootMs: number
}

/** Operations on the simulated devices: of an entry in the report folder of a TD, on its registers, and any command to a TPM. */
export const faultSteps = ['mkdir', 'provider', 'inblob', 'generation', 'outblob', 'rmdir', 'extend', 'tpm'] as const

export type FaultStep = (typeof faultSteps)[number]

/** What a kernel may refuse an operation with. */
const errnos = [
  'EACCES',
  'EAGAIN',
  'EBUSY',
  'EEXIST',
  'EINTR',
  'EINVAL',
  'EIO',
  'ENODEV',
  'ENOENT',
  'ENOSPC',
  'ENXIO',
  'ETIMEDOUT',
] as const

const faultKinds = ['none', 'slow', 'empty', 'other_report_data', ...errnos] as const

export type FaultKind = (typeof faultKinds)[number]

/** Kinds that only one step can have. */
const onlyAt: Readonly<Partial<Record<FaultKind, FaultStep>>> = { empty: 'outblob', other_report_data: 'inblob' }

/** What the next operations at a step meet (BRK-170). */
export interface DeviceFault {
  readonly step: FaultStep
  /** `none`: what was due there is taken back. `slow`: the operation succeeds, later. An errno: it is refused. */
  readonly kind: FaultKind
  /** The operation is held back for this long first. */
  readonly latencyMs: number
  /** How many operations meet it. */
  readonly times: number
}

/** What tests of an agent in test mode can do; given by the agent. */
export interface TestActions {
  shiftClock(shift: ClockShiftRequest): void
  /** Replaces what was due at the step. */
  injectFault(fault: DeviceFault): void
}

/** A century: further away no test has to look. */
const longestShiftMs = 3_155_760_000_000
const longestLatencyMs = 600_000
const mostTimes = 1_000_000

async function shiftClock({ shiftClock: shift }: TestActions, exchange: Exchange): Promise<void> {
  const reader = new MemberReader(exchange.jsonBody(), ['wall_ms', 'mono_ms', 'boot_ms'])
  const by = (name: string) => reader.integer(name, -longestShiftMs, longestShiftMs) ?? 0
  shift({ wallMs: by('wall_ms'), monoMs: by('mono_ms'), bootMs: by('boot_ms') })
  await exchange.answer({ status: 200, type: 'application/json', body: JSON.stringify({ shifted: true }) })
}

function requireOneOf<T extends string>(reader: MemberReader, name: string, known: readonly T[]): T {
  const text = reader.text(name)
  const found = known.find((one) => one === text)
  if (found === undefined) throw invalidRequest(name, `is not one of ${known.join(', ')}`)
  return found
}

function readFault(reader: MemberReader): DeviceFault {
  const step = requireOneOf(reader, 'step', faultSteps)
  const kind = requireOneOf(reader, 'kind', faultKinds)
  const only = onlyAt[kind]
  if (only !== undefined && step !== only) throw invalidRequest('kind', `is a fault of the step ${only} alone`)
  const latencyMs = reader.integer('latency_ms', 0, longestLatencyMs) ?? 0
  if (kind === 'slow' && latencyMs === 0) throw invalidRequest('latency_ms', 'says how slow, in milliseconds')
  return { step, kind, latencyMs, times: reader.integer('times', 1, mostTimes) ?? 1 }
}

async function injectFault({ injectFault: inject }: TestActions, exchange: Exchange): Promise<void> {
  inject(readFault(new MemberReader(exchange.jsonBody(), ['step', 'kind', 'latency_ms', 'times'])))
  await exchange.answer({ status: 200, type: 'application/json', body: JSON.stringify({ injected: true }) })
}

/** Routes of the admin listener that only an agent in test mode has (BRK-170). */
export function testRoutes(actions: TestActions): Route[] {
  const post = (name: string, handle: (actions: TestActions, exchange: Exchange) => Promise<void>): Route => ({
    method: 'POST',
    path: `/v1/admin/test/${name}`,
    caller: false,
    handle: (exchange) => handle(actions, exchange),
  })
  return [post('clock', shiftClock), post('fault', injectFault)]
}
