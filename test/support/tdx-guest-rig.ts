import { type KernelOptions, SimulatedKernel } from '../../mocks/tdx/kernel.ts'
import { createPki } from '../../mocks/tdx/pki.ts'
import { createSimulator } from '../../mocks/tdx/simulator.ts'
import type { ProcessMark } from '../../src/attester/tdx/entry-name.ts'
import { type CompareLog, createTdxAttester, type TdxAttesterOptions } from '../../src/attester/tdx/tdx-attester.ts'
import { createTsmQuotePath } from '../../src/attester/tdx/tsm-quote.ts'
import { parseCcEventLog } from '../../src/evidence/tdx/cc-event-log.ts'
import { matchRtmrs, replayCcEventLog } from '../../src/verifier/tdx/replay-cc-event-log.ts'
import { FakeClock } from './fake-clock.ts'
import { seededRandom } from './seeded-random.ts'

const madeAt = Date.UTC(2026, 5, 1)
const sim = createSimulator({ clock: new FakeClock(madeAt), pki: createPki(madeAt) })

/** The comparison that the verifier makes, as the attester asks for it. */
export const compareLog: CompareLog = (eventLog, rtmrs) => ({
  differing: matchRtmrs(replayCcEventLog(parseCcEventLog(eventLog)), rtmrs)
    .filter(({ outcome }) => outcome !== 'matched')
    .map(({ rtmr }) => rtmr),
})

/** This process, and those that a test makes up. */
export function knownProcesses(others: readonly ProcessMark[] = [], hidden: readonly number[] = []) {
  const self: ProcessMark = { pid: 4711, namespace: 'pid:[4026531836]', startTime: '1000' }
  return {
    self: () => self,
    find: (pid: number) => {
      if (hidden.includes(pid)) return 'hidden' as const
      return [self, ...others].find((mark) => mark.pid === pid) ?? null
    },
  }
}

/** A simulated guest with its configfs path and its attester, all on one clock that stands still. */
export function tdxGuestRig(
  options: Partial<KernelOptions> & { readonly attester?: Partial<TdxAttesterOptions> } = {},
) {
  const { attester: more, ...kernelOptions } = options
  const clock = new FakeClock(madeAt)
  const kernel = new SimulatedKernel({ sim, clock, ...kernelOptions })
  const warnings: string[] = []
  const warn = (message: string) => {
    warnings.push(message)
  }
  const random = seededRandom(7)
  const path = createTsmQuotePath({ files: kernel.files, processes: knownProcesses(), clock, random, warn })
  const { registers, bootLog, runtimeLog } = kernel
  const attester = createTdxAttester({
    paths: [path],
    registers,
    bootLog,
    runtimeLog,
    compareLog,
    clock,
    warn,
    ...more,
  })
  return { clock, kernel, path, attester, warnings, random }
}

/** Lets the clock run, in steps of `stepMs`, until `work` has ended; gives its value or its error, and the time taken. */
export async function runToEnd<T>(
  clock: FakeClock,
  work: Promise<T>,
  stepMs = 50,
): Promise<{ readonly value: T | undefined; readonly error: unknown; readonly tookMs: number }> {
  const since = clock.monotonic()
  let ended: { readonly value: T | undefined; readonly error: unknown } | undefined
  work.then(
    (value) => {
      ended = { value, error: undefined }
    },
    (error: unknown) => {
      ended = { value: undefined, error }
    },
  )
  await clock.advance(0)
  for (let step = 0; ended === undefined; step++) {
    if (step > 4000) throw new Error('it does not end')
    await clock.advance(stepMs)
  }
  return { ...ended, tookMs: clock.monotonic() - since }
}

export const codeOf = (error: unknown): unknown => (error as { code?: unknown } | undefined)?.code
