import type { HashName } from '../../evidence/tpm/algorithms.ts'
import type { ImaLogPart } from '../../evidence/tpm/evidence.ts'
import type { TpmRequirements } from './inputs.ts'
import { judgeReplay, type LogChecks } from './log-checks.ts'
import type { LogReplays } from './log-replay.ts'
import type { PcrValues } from './pcr-values.ts'

/** The register that IMA extends, in every bank in which it is quoted. */
function imaRegister(quoted: PcrValues, pcr: number): ReadonlyMap<HashName, Uint8Array> {
  const values = [...quoted].map(([hash, bank]) => [hash, bank.get(pcr)] as const)
  return new Map(values.flatMap(([hash, value]) => (value === undefined ? [] : [[hash, value] as const])))
}

/** IMA-10: no running values are kept between appraisals, so no log can be continued. */
function judgeOffset(checks: LogChecks, { from }: ImaLogPart): boolean {
  checks.record('tpm.ima.offset', { ok: from === 0, detail: `begins at record ${from}` })
  return from === 0
}

/** True if the log leads to a quoted value only by padded SHA-1 values. */
export function judgeIma(
  checks: LogChecks,
  ima: ImaLogPart | null,
  quoted: PcrValues | null,
  { requirements, replays }: { readonly requirements: TpmRequirements; readonly replays: LogReplays },
): boolean {
  const ids = { wellFormed: 'tpm.ima.wellFormed', replay: 'tpm.ima.replay' } as const
  if (ima === null) {
    checks.record('tpm.ima.present', { ok: false, detail: 'there is no IMA log' })
    checks.skip('tpm.ima.offset', ids.wellFormed, ids.replay)
    return false
  }
  const whole = judgeOffset(checks, ima)
  if (quoted === null) return false
  const { imaPcr: pcr, acceptSha1Padded = false } = requirements
  const register = imaRegister(quoted, pcr)
  // IMA-00: SHA-1 alone does not carry a log any more than it carries a quote (TPM-24).
  const carried = [...register.keys()].some((hash) => hash !== 'sha1')
  const lack = `PCR ${pcr} is not quoted in a bank stronger than SHA-1`
  checks.record('tpm.ima.present', { ok: carried, detail: carried ? `${ima.data.length} bytes` : lack })
  if (!carried || !whole) {
    checks.skip(ids.wellFormed, ids.replay)
    return false
  }
  const outcome = replays.replayImaLog(ima, register, pcr, { acceptSha1Padded })
  judgeReplay(checks, outcome, ids)
  return outcome.sha1Padded ?? false
}
