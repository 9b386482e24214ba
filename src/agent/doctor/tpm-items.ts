import { constants } from 'node:fs'
import { access } from 'node:fs/promises'
import type { PcrValues } from '../../attester/tpm/pcrs.ts'
import { openTpmSurvey, type TpmSurvey } from '../../attester/tpm/tpm-survey.ts'
import type { HashName } from '../../evidence/tpm/algorithms.ts'
import { platformErrors } from '../../platform/errors.ts'
import { TpmConnection } from '../../platform/tpm-connection.ts'
import { planTpm, type TpmPlan } from '../../platform/tpm-plan.ts'
import { tpmChecks } from '../../verifier/index.ts'
import { unmeasuredProblem } from '../../verifier/tpm/pcr-values.ts'
import { requireDuration } from '../configuration/schema.ts'
import type { Host } from '../wiring/host.ts'
import { attempted, type Item, ok, problem, warning } from './item.ts'
import type { KnownSettings } from './settings-items.ts'

/** Null for TPMs that are not reached through a device of this machine. */
function devicePath(tcti: string): string | null {
  const [name, path = ''] = tcti.split(/:(.*)/s)
  if (name !== 'device') return null
  return path === '' ? '/dev/tpmrm0' : path
}

const { declared } = platformErrors

async function deviceItem(path: string): Promise<Item> {
  const id = 'tpm.device'
  const may = (mode: number) =>
    access(path, mode).then(
      () => true,
      () => false,
    )
  if (!(await may(constants.F_OK))) return problem(id, `${path} does not exist`, declared.TPM_UNAVAILABLE.remedy)
  if (!(await may(constants.R_OK | constants.W_OK))) {
    return problem(id, `${path} may not be opened by this user`, declared.TPM_PERMISSION.remedy)
  }
  if (/^\/dev\/tpm\d+$/.test(path)) {
    const remedy = 'set tpm.tcti = "device:/dev/tpmrm0": without resource manager one program at a time gets the TPM'
    return warning(id, `${path} may be opened, and has no resource manager`, remedy)
  }
  return ok(id, `${path} may be opened`)
}

function wayItem({ kind, place, simulated }: TpmPlan): Item {
  if (!simulated) return ok('tpm.way', `${kind}: ${place}`)
  const remedy = 'use the TPM of the machine; simulated ones are for trying things out'
  return warning('tpm.way', `${kind}: ${place}; it is simulated and protects nothing`, remedy)
}

/** A way to the TPM that may be tried; null where an item says why not. */
export interface TpmWay {
  readonly items: readonly Item[]
  readonly plan: TpmPlan | null
}

/** Decides how the TPM would be reached, and whether that can be tried now (NAT-20). `holder` is the running agent. */
export async function lookForTpm({ tpm }: KnownSettings, holder: number | null): Promise<TpmWay> {
  const { tcti, transport, simulator, allow_tcti: allowTcti } = tpm
  const { found: plan, item } = await attempted('tpm.way', () => planTpm({ tcti, transport, simulator, allowTcti }))
  if (plan === null) return { items: [item], plan: null }
  const way = wayItem(plan)
  const path = devicePath(tcti)
  if (path !== null) {
    const device = await deviceItem(path)
    return { items: [way, device], plan: device.state === 'problem' ? null : plan }
  }
  if (!plan.simulated || holder === null) return { items: [way], plan }
  const busy = `not asked: process ${holder} uses the simulated TPM, which serves one client`
  return { items: [way, warning('tpm.answers', busy, 'stop the agent to have its TPM looked at')], plan: null }
}

export function surveyOf(plan: TpmPlan, { tpm }: KnownSettings, host: Host): TpmSurvey {
  const { clock, random } = host
  const timeoutMs = requireDuration(tpm.timeout)
  return openTpmSurvey({ connect: async () => new TpmConnection({ plan, clock, random, timeoutMs }), clock })
}

export interface RegisterLook {
  readonly items: readonly Item[]
  /** What would be quoted now; null if it cannot be read. */
  readonly registers: PcrValues | null
}

function measuredItem(registers: PcrValues): Item {
  const bare = unmeasuredProblem(registers)
  if (bare === null) return ok('tpm.measured', 'PCR 0 to 7 were extended by the firmware')
  return problem('tpm.measured', bare, tpmChecks['tpm.pcrs.measured'].remedy)
}

/** Asks the TPM who it is, which banks it has, and for the registers that a quote would cover. */
export async function lookAtRegisters(survey: TpmSurvey, { tpm }: KnownSettings): Promise<RegisterLook> {
  const described = await attempted('tpm.answers', () => survey.describe())
  if (described.found === null) return { items: [described.item], registers: null }
  const { manufacturer, banks } = described.found
  const answers = ok('tpm.answers', `it answers; manufacturer ${manufacturer}`)
  const wanted = { banks: tpm.banks as readonly HashName[], banksIfActive: ['sha384'] as const, pcrs: tpm.pcrs }
  const read = await attempted('tpm.banks', () => survey.registers(wanted))
  if (read.found === null) {
    const active = ok('tpm.active', `active banks: ${banks.join(', ')}`)
    return { items: [answers, active, read.item], registers: null }
  }
  const quoted = [...read.found.keys()].join(', ')
  const held = ok('tpm.banks', `active banks: ${banks.join(', ')}; quotes cover ${quoted}`)
  return { items: [answers, held, measuredItem(read.found)], registers: read.found }
}
