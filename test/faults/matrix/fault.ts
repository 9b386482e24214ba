/** What is counted and expected while one fault is injected (broker.md section 16). */
export class Probe {
  /** Tokens that callers or files held at a moment at which they were over, or nearer to it than may be. */
  expired = 0
  /** Tokens for another audience than the one asked for, or that never verified, or from before an invalidation. */
  wrong = 0
  /** Readers who waited although a token was there that satisfied them (BRK-166). */
  blocked = 0
  /** Answers and files that were judged: a row without any would hold by saying nothing. */
  answers = 0
  /** Longest time from the end of the fault to the next token; null: the fault leaves nothing to recover from. */
  recoveryMs: number | null = null
  readonly failures: string[] = []

  expect(holds: boolean, says: string): void {
    if (!holds) this.failures.push(says)
  }

  recovered(ms: number): void {
    this.recoveryMs = Math.max(this.recoveryMs ?? 0, ms)
  }

  /** Everything that must not be: empty where the fault was held. */
  get broken(): readonly string[] {
    const { expired, wrong, blocked } = this
    return [
      ...(expired > 0 ? [`${expired} expired tokens served`] : []),
      ...(wrong > 0 ? [`${wrong} wrong tokens served`] : []),
      ...(blocked > 0 ? [`${blocked} readers blocked`] : []),
      ...this.failures,
    ]
  }
}

export interface FaultAbout {
  readonly id: string
  /** The fault, in the words of the specification. */
  readonly fault: string
  /** What is done here, and must hold. */
  readonly done: string
  /** Bound of the recovery, in seconds. */
  readonly recoveryS?: number
  /** Parts of the fault that this version is not put to, and why; of the whole fault where nothing is run. */
  readonly notRun?: string
}

/** A fault that needs nothing but this process: clocks, issuers and devices are simulated in it. It is in the package (BRK-173). */
export interface SimulatedFault extends FaultAbout {
  readonly run: (probe: Probe) => Promise<void>
}

/** Everything that must not be after a run, too slow a recovery included: empty where the fault was held. */
export function brokenBy({ recoveryS = 0 }: FaultAbout, probe: Probe): readonly string[] {
  const { recoveryMs, broken } = probe
  const late = recoveryMs !== null && recoveryMs > recoveryS * 1000
  return late ? [...broken, `recovered after ${Math.round(recoveryMs)} ms`] : broken
}
