import type { TpmAttest } from '../../evidence/tpm/attest.ts'
import type { TpmCounters } from './inputs.ts'

export function countersOf({ resetCount, restartCount, clock, safe }: TpmAttest): TpmCounters {
  return { resetCount, restartCount, clock, safe: safe === 1 }
}

/**
 * What speaks for an older state of the TPM (section 5, TPM-26), or null. (resetCount, restartCount) must not decrease;
 * with an equal pair the clock must have gone on, unless a loss of power made it unsafe on one side.
 */
export function rollbackProblem(last: TpmCounters, now: TpmCounters): string | null {
  const fell = (what: string, before: number, after: number) => `${what} is ${after}, was ${before} when last accepted`
  if (now.resetCount < last.resetCount) return fell('resetCount', last.resetCount, now.resetCount)
  if (now.resetCount > last.resetCount) return null
  if (now.restartCount < last.restartCount) return fell('restartCount', last.restartCount, now.restartCount)
  if (now.restartCount > last.restartCount || !(last.safe && now.safe)) return null
  return now.clock > last.clock ? null : `clock is ${now.clock} ms, was ${last.clock} ms when last accepted`
}

/** TPM-27: what was known of the boot before is void. A key without history counts as newly booted. */
export function isNewBoot(last: TpmCounters | null, now: TpmCounters): boolean {
  return last === null || now.resetCount > last.resetCount
}

/** EVD-04: quotes of one evidence come from one boot, oldest first. */
export function oneBootProblem(quotes: readonly TpmAttest[]): string | null {
  for (const [index, quote] of quotes.entries()) {
    const before = quotes[index - 1]
    if (before === undefined) continue
    if (quote.resetCount !== before.resetCount || quote.restartCount !== before.restartCount) {
      return `quotes.${index} has other reset or restart counts than the one before`
    }
    if (quote.clock < before.clock) return `quotes.${index} is older than the one before`
  }
  return null
}
