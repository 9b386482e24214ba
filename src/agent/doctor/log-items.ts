import type { PcrValues } from '../../attester/tpm/pcrs.ts'
import { ImaLogFile } from '../../platform/ima-log-file.ts'
import { readEventLog } from '../../platform/log-files.ts'
import { type TpmCheckId, tpmChecks } from '../../verifier/index.ts'
import type { TpmEventLogCheckId } from '../../verifier/tpm/event-log-checks.ts'
import { judgeEventLogBytes } from '../../verifier/tpm/event-log-verdicts.ts'
import { imaLogOutcome, type LogOutcome } from '../../verifier/tpm/log-replay.ts'
import { attempted, type Item, ok, problem, warning } from './item.ts'
import type { KnownSettings } from './settings-items.ts'

const imaPcr = 10

interface Kind {
  readonly id: 'log.event' | 'log.ima'
  readonly what: string
  readonly required: boolean
  readonly remedies: { readonly absent: string; readonly malformed: string; readonly replay: string }
}

/** What a verifier requires is a problem; what it can do without is worth a warning. */
const worse = ({ required }: Kind) => (required ? problem : warning)

function absentItem(kind: Kind, path: string): Item {
  return worse(kind)(kind.id, `there is no ${kind.what} at ${path}`, kind.remedies.absent)
}

function outcomeItem(kind: Kind, { wellFormed, replay }: LogOutcome): Item {
  const { id, what, remedies } = kind
  if (!wellFormed.ok) return worse(kind)(id, `the ${what} does not parse: ${wellFormed.detail}`, remedies.malformed)
  if (replay?.ok) return ok(id, `the ${what} (${wellFormed.detail}) leads to the present PCRs: ${replay.detail}`)
  return worse(kind)(id, `the ${what} does not lead to the present PCRs: ${replay?.detail ?? ''}`, remedies.replay)
}

/** What is wrong with an event log, for each of its checks. */
const faults: Readonly<Record<TpmEventLogCheckId, string>> = {
  'tpm.eventlog.present': 'is not there',
  'tpm.eventlog.wellFormed': 'does not parse',
  'tpm.eventlog.banks': 'lacks a bank',
  'tpm.eventlog.locality': 'chooses its own start of PCR 0',
  'tpm.eventlog.replay': 'does not lead to the present PCRs',
  'tpm.eventlog.payloads': 'has data that were not measured',
  'tpm.eventlog.separators': 'has separators that no firmware writes',
  'tpm.eventlog.types': 'has types that contradict its digests',
  'tpm.eventlog.secureBoot': 'contradicts itself about secure boot',
}

const unread = (kind: Kind, size: number) =>
  ok(kind.id, `the ${kind.what} can be read (${size} bytes); there are no PCRs to compare it with`)

/** The first check that does not hold, with its own remedy: what an appraisal would refuse. */
function eventLogVerdictItem(kind: Kind, log: Uint8Array, registers: PcrValues): Item {
  const { verdicts } = judgeEventLogBytes(log, registers, { imaPcr })
  const detailOf = (wanted: TpmCheckId) => verdicts.find(([id]) => id === wanted)?.[1].detail ?? ''
  const failed = verdicts.find(([, { ok: holds }]) => !holds)
  if (failed === undefined) {
    const parsed = `the ${kind.what} (${detailOf('tpm.eventlog.wellFormed')})`
    return ok(kind.id, `${parsed} leads to the present PCRs: ${detailOf('tpm.eventlog.replay')}`)
  }
  const [id, { detail }] = failed
  return worse(kind)(kind.id, `the ${kind.what} ${faults[id]}: ${detail}`, tpmChecks[id].remedy)
}

async function eventLogItem({ tpm, verifier }: KnownSettings, registers: PcrValues | null): Promise<Item> {
  const kind: Kind = {
    id: 'log.event',
    what: 'event log of the firmware',
    required: verifier.event_log === 'required',
    remedies: {
      absent: 'attach the TPM before the boot, and mount securityfs; some firmware keeps no log',
      malformed: tpmChecks['tpm.eventlog.wellFormed'].remedy,
      replay: tpmChecks['tpm.eventlog.replay'].remedy,
    },
  }
  const { found: log, item } = await attempted(kind.id, () => readEventLog(tpm.event_log))
  if (item !== null) return item
  if (log === null) return absentItem(kind, tpm.event_log)
  return registers === null ? unread(kind, log.length) : eventLogVerdictItem(kind, log, registers)
}

async function imaLogItem({ tpm, verifier }: KnownSettings, registers: PcrValues | null): Promise<Item> {
  const kind: Kind = {
    id: 'log.ima',
    what: 'IMA log',
    required: verifier.ima === 'required',
    remedies: {
      absent: 'boot with an IMA policy, such as ima_policy=tcb, if files are to be attested',
      malformed: tpmChecks['tpm.ima.wellFormed'].remedy,
      replay: tpmChecks['tpm.ima.replay'].remedy,
    },
  }
  await using file = new ImaLogFile({ path: tpm.ima_log })
  const { found: log, item } = await attempted(kind.id, () => file.readFrom(0))
  if (item !== null) return item
  if (log === null || log.data.length === 0) return absentItem(kind, tpm.ima_log)
  const present = [...(registers ?? [])].flatMap(([bank, values]) => {
    const value = values.get(imaPcr)
    return value === undefined ? [] : [[bank, value] as const]
  })
  if (present.length === 0) return unread(kind, log.data.length)
  return outcomeItem(kind, imaLogOutcome(log, new Map(present), imaPcr))
}

/** Both logs against the registers; those are read first, so that the IMA log may be ahead and never behind (TPM-09). */
export async function lookAtLogs(settings: KnownSettings, registers: PcrValues | null): Promise<Item[]> {
  return [await eventLogItem(settings, registers), await imaLogItem(settings, registers)]
}
