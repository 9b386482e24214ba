import type { TdxCollection } from '../../attester/tdx/tdx-attester.ts'
import { type GuestEvidence, type TpmPart, tpmPartOf } from '../../evidence/composite.ts'
import { nameOf, parseSizedPublic } from '../../evidence/tpm/public-area.ts'
import type { Configuration } from '../configuration/schema.ts'
import { agentErrors } from '../errors.ts'
import { qualifyingDataFor, reportDataFor } from '../evidence-binding.ts'
import { type GuestPlan, planGuest } from '../wiring/guest-plan.ts'
import type { Host } from '../wiring/host.ts'
import { wireTd } from '../wiring/td.ts'
import { collectHeldTpm } from './held-tpm.ts'

/** `auto`: what the configuration makes part of the evidence. */
export type EvidenceKind = 'auto' | 'tdx' | 'tpm'

export interface EvidenceRequest {
  readonly kind: EvidenceKind
  /** 8 to 64 bytes. */
  readonly nonce: Uint8Array
  /** False: the event logs of the firmware stay out. */
  readonly eventLog: boolean
  readonly ima: boolean
}

export interface CollectedEvidence {
  readonly evidence: GuestEvidence
  /** What a service that compares raw runtime data is to be told (SVC-25). */
  readonly runtimeData: Uint8Array
  readonly td: Pick<TdxCollection, 'quotePath' | 'logMatches' | 'simulated'> | null
  readonly tpm: { readonly akName: Uint8Array; readonly simulated: boolean } | null
  /** What of it is worth a word to who asked. */
  readonly notes: readonly string[]
}

function planOf(configuration: Configuration, kind: EvidenceKind): GuestPlan {
  if (kind !== 'auto') {
    const section = kind === 'tdx' ? configuration.tdx : configuration.tpm
    if (section.use !== 'off') return { td: kind === 'tdx', tpm: kind === 'tpm' }
    throw agentErrors.error('USAGE', `--kind ${kind}: the configuration says ${kind}.use = "off"`)
  }
  const plan = planGuest(configuration)
  if (plan.td || plan.tpm) return plan
  throw agentErrors.error('USAGE', 'the configuration turns off both the TD and the TPM (tdx.use, tpm.use)')
}

function logNotes({ logMatches, logProblem, differingRegisters, rtmr3Unaccounted }: TdxCollection): string[] {
  if (logMatches === null) return ['there is no event log of the TD']
  if (logMatches) return []
  if (logProblem !== null) return [`the event log of the TD cannot be compared: ${logProblem}`]
  if (rtmr3Unaccounted) return ['RTMR3 was extended without a record: the event log does not account for it']
  const registers = differingRegisters.map((index) => `RTMR${index}`).join(', ')
  return [`the event log of the TD does not lead to the quoted registers: ${registers}`]
}

interface CollectedTd {
  readonly collection: TdxCollection
  readonly notes: readonly string[]
}

async function collectTd(configuration: Configuration, host: Host, reportData: Uint8Array): Promise<CollectedTd> {
  const warnings: string[] = []
  await using td = await wireTd(configuration, host, (_, message) => void warnings.push(message))
  const collection = await td.attester.collect(reportData)
  const simulated = collection.simulated ? ['the TD is simulated: this evidence protects nothing'] : []
  const notes = [`the quote came by ${collection.quotePath}`, ...simulated, ...logNotes(collection), ...warnings]
  return { collection, notes }
}

interface CollectedTpmPart {
  readonly part: TpmPart
  readonly notes: readonly string[]
}

async function collectTpm(
  configuration: Configuration,
  host: Host,
  { nonce, eventLog, ima }: EvidenceRequest,
  withTd: boolean,
): Promise<CollectedTpmPart> {
  const options = { eventLog, imaFrom: ima ? 0 : null }
  const qualifyingData = qualifyingDataFor(nonce, { withTd })
  const { evidence, notes } = await collectHeldTpm(configuration, host, qualifyingData, options)
  return { part: withTd ? tpmPartOf(evidence) : { evidence, container: null }, notes }
}

function tpmFacts({ evidence }: TpmPart): NonNullable<CollectedEvidence['tpm']> {
  return { akName: nameOf(parseSizedPublic(evidence.ak.publicArea)), simulated: evidence.simulated }
}

/**
 * Collects what this machine says over a nonce: devices first, so that the TD quote covers what they said (BRK-92). What
 * the nonce means to each of them, `evidence-binding.ts` says. Throws `USAGE` for what cannot be asked, and what the
 * devices throw; never leaves a device out that was asked for.
 */
export async function collectByNonce(
  configuration: Configuration,
  host: Host,
  request: EvidenceRequest,
): Promise<CollectedEvidence> {
  const plan = planOf(configuration, request.kind)
  const { nonce, eventLog } = request
  const tpm = plan.tpm ? await collectTpm(configuration, host, request, plan.td) : null
  const part = tpm?.part ?? null
  const facts = part === null ? null : tpmFacts(part)
  if (!plan.td) {
    return { evidence: { tdx: null, tpm: part }, runtimeData: nonce, td: null, tpm: facts, notes: tpm?.notes ?? [] }
  }
  const reportData = reportDataFor(nonce, part)
  const { collection, notes } = await collectTd(configuration, host, reportData)
  const { quote, ccEventLog, simulated } = collection
  const tdx = { quote, ccEventLog: eventLog ? ccEventLog : null, simulated }
  const runtimeData = part === null ? nonce : reportData
  return {
    evidence: { tdx, tpm: part },
    runtimeData,
    td: collection,
    tpm: facts,
    notes: [...(tpm?.notes ?? []), ...notes],
  }
}
