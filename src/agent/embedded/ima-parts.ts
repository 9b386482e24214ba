import { toHex } from '../../base/bytes.ts'
import type { Clock } from '../../base/clock.ts'
import { MalformedError } from '../../base/errors.ts'
import { parseImaCheckpoint } from '../../verifier/ima/checkpoint.ts'
import type { TpmEnrolment } from '../../verifier/index.ts'

/** Where the IMA log that goes with a quote begins, and what is known of the records before it. */
export interface ImaStart {
  /** Records since boot. */
  readonly from: number
  /** What the parts before `from` led to, where no quote covers them yet (IMA-24). */
  readonly stage: Uint8Array | null
}

/** The whole log, and nothing known before it. */
export const wholeLog: ImaStart = { from: 0, stage: null }

/**
 * Bytes of the log that go with a quote, and of every part before it: some ten thousand records. The memory that a log
 * takes is a few times as much, however long it is.
 */
export const imaPartBytes = 2 << 20

interface KeptStage {
  readonly start: ImaStart
  /** Boot time in ms. */
  readonly endsAt: number
}

const stageLifetimeMs = 600_000
const mostStages = 16

/**
 * What the parts of long logs led to that no quote covers yet (IMA-24): running values, for ten minutes, one for each
 * attestation key. A caller who hangs up while a log of hundred megabytes is read leaves them to the next one.
 */
export class ImaStages {
  #clock: Pick<Clock, 'boottime'>
  #kept = new Map<string, KeptStage>()

  constructor(clock: Pick<Clock, 'boottime'>) {
    this.#clock = clock
  }

  find(akName: Uint8Array): ImaStart | null {
    const kept = this.#kept.get(toHex(akName))
    return kept !== undefined && this.#clock.boottime() < kept.endsAt ? kept.start : null
  }

  /** Takes the place of the one that is kept for this key; the oldest makes room. */
  keep(akName: Uint8Array, start: ImaStart): void {
    this.drop(akName)
    const [oldest] = this.#kept.keys()
    if (oldest !== undefined && this.#kept.size >= mostStages) this.#kept.delete(oldest)
    this.#kept.set(toHex(akName), { start, endsAt: this.#clock.boottime() + stageLifetimeMs })
  }

  drop(akName: Uint8Array): void {
    this.#kept.delete(toHex(akName))
  }
}

/** A checkpoint that cannot be read, of another version or damaged, costs a whole log and no verdict. */
function recordsOf(checkpoint: Uint8Array | null): number {
  if (checkpoint === null) return 0
  try {
    return parseImaCheckpoint(checkpoint).records
  } catch (error) {
    if (error instanceof MalformedError) return 0
    throw error
  }
}

/** Where the log is to begin for a verifier that knows this of the key: only what is new is sent (IMA-10). */
export function imaStartFor({ akName, imaCheckpoint }: TpmEnrolment, stages: ImaStages): ImaStart {
  return stages.find(akName) ?? { from: recordsOf(imaCheckpoint), stage: null }
}
