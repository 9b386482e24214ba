import type { HostFacts } from '../../platform/host-facts.ts'
import { planGuest } from '../wiring/guest-plan.ts'
import type { Host } from '../wiring/host.ts'
import { lookAtEndorsement } from './endorsement-items.ts'
import type { Item } from './item.ts'
import { lookAtLogs } from './log-items.ts'
import { type CallerFacts, machineItems, nodeItem } from './machine-items.ts'
import { type KnownSettings, lookAtAgent, lookAtSettings } from './settings-items.ts'
import { lookAtTd } from './tdx-items.ts'
import { lookAtRegisters, lookForTpm, type RegisterLook, surveyOf, type TpmWay } from './tpm-items.ts'

export interface ExaminedHost {
  readonly file: string
  /** The configuration file was named, so that it has to exist. */
  readonly explicit: boolean
  readonly host: Host
  /** Of this process. */
  readonly uid: number
  readonly nodeVersion: string
  readonly callers: CallerFacts
  readonly collectFacts: () => Promise<HostFacts>
}

async function* tpmItems(
  { plan }: TpmWay,
  settings: KnownSettings,
  host: Host,
): AsyncGenerator<Item, RegisterLook['registers']> {
  if (plan === null) return null
  await using survey = surveyOf(plan, settings, host)
  const { items, registers } = await lookAtRegisters(survey, settings)
  yield* items
  if (items.some(({ id, state }) => id === 'tpm.answers' && state === 'problem')) return null
  yield* await lookAtEndorsement(survey, settings, host.clock.now())
  return registers
}

/**
 * Looks at everything that attesting this machine depends on, one item after another. Needs no privileges and no
 * configuration; makes no key, no connection to an agent, and no file but a report entry that is gone at once. Devices that
 * are no part of the evidence here, and what cannot be asked because of an earlier problem, are left out.
 */
export async function* examineHost(examined: ExaminedHost): AsyncGenerator<Item> {
  const { file, explicit, host, uid, nodeVersion, callers, collectFacts } = examined
  yield nodeItem(nodeVersion)
  yield* machineItems(await collectFacts(), callers)
  const { items, known } = await lookAtSettings(file, explicit)
  yield* items
  const agent = await lookAtAgent(known, uid)
  yield* agent.items
  const plan = planGuest(known)
  if (plan.td) yield* lookAtTd(known, host)
  if (!plan.tpm) return
  const way = await lookForTpm(known, agent.holder)
  yield* way.items
  const registers = yield* tpmItems(way, known, host)
  yield* await lookAtLogs(known, registers)
}
