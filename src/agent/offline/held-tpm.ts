import type { CollectOptions, TpmCollection } from '../../attester/tpm/tpm-attester.ts'
import { AttestdError } from '../../base/errors.ts'
import type { TpmEvidence } from '../../evidence/tpm/evidence.ts'
import { tpmEvidenceLimits } from '../../evidence/tpm/evidence-json.ts'
import type { Configuration } from '../configuration/schema.ts'
import { agentErrors } from '../errors.ts'
import type { Host } from '../wiring/host.ts'
import { requireStateDirectory } from '../wiring/state-files.ts'
import { holdState, type StateHold } from '../wiring/state-hold.ts'
import { type TpmWiring, wireTpm } from '../wiring/tpm.ts'

export interface CollectedTpm {
  readonly evidence: TpmEvidence
  /** What of it is worth a word to who asked. */
  readonly notes: readonly string[]
}

const runAsOwner =
  'run this as the user of the agent, such as: runuser -u attestd -- attestd evidence; its keys are in the state directory'

/** The keys of the agent belong to its user: made by anybody else, even by root, they would lock it out. */
async function requireOwnState(path: string): Promise<void> {
  try {
    await requireStateDirectory(path)
  } catch (error) {
    if (!(error instanceof AttestdError) || error.code !== 'STATE_DIRECTORY') throw error
    throw agentErrors.error('STATE_DIRECTORY', error.message, { facts: error.facts, cause: error, remedy: runAsOwner })
  }
}

/** A simulated TPM serves one client at a time, and its objects would be flushed under the agent's hands. */
function requireSharable(hold: StateHold, { simulated, place }: TpmWiring): void {
  if (hold.by !== 'agent' || !simulated) return
  throw agentErrors.error('AGENT_HOLDS_STATE', `the agent runs, and the simulated TPM at ${place} serves one client`)
}

/** The running agent makes the key, and only it: two processes that make one would leave one of them with a lost key. */
function withoutKey(error: unknown, hold: StateHold): unknown {
  if (hold.by === 'ours' || !(error instanceof AttestdError) || error.code !== 'AK_LOST') return error
  const remedy =
    hold.by === 'agent'
      ? 'wait until the agent has enrolled (`attestd status`), or stop it: this command then makes the key'
      : 'install koffi: without native code the state directory cannot be locked, and no key is made in it'
  return agentErrors.error('AGENT_HOLDS_STATE', `no attestation key may be made here now: ${error.message}`, {
    remedy,
    cause: error,
  })
}

/** Who appraises a document knows nothing of parts that were sent before it (IMA-24). */
function requireWholeLog({ imaContinues }: TpmCollection): void {
  if (!imaContinues) return
  const { ima: limit } = tpmEvidenceLimits
  throw agentErrors.error('EVIDENCE_TOO_LARGE', `the IMA log has more than ${limit} bytes, which is what it may have`)
}

function notesOn(hold: StateHold, isNew: boolean, { simulated }: TpmEvidence): string[] {
  return [
    ...(hold.by === 'agent' ? ['the agent runs: its attestation key was used, and nothing was written'] : []),
    ...(isNew ? ['a new attestation key was made: no verifier has enrolled it'] : []),
    ...(simulated ? ['the TPM is simulated: this evidence protects nothing'] : []),
  ]
}

async function collect(
  tpm: TpmWiring,
  hold: StateHold,
  qualifyingData: Uint8Array,
  options: CollectOptions,
): Promise<CollectedTpm> {
  requireSharable(hold, tpm)
  try {
    const isNew = hold.by === 'ours' && (await tpm.attester.identity()).ak.isNew
    const evidence = await tpm.attester.collect(qualifyingData, { ...options, imaMost: tpmEvidenceLimits.ima })
    requireWholeLog(evidence)
    return { evidence, notes: notesOn(hold, isNew, evidence) }
  } catch (error) {
    throw withoutKey(error, hold)
  }
}

/**
 * Quotes by the TPM of this machine, with the attestation key of the agent; makes the key where none is kept and no agent
 * runs. Throws `STATE_DIRECTORY`, `AGENT_HOLDS_STATE`, and the errors of the TPM.
 */
export async function collectHeldTpm(
  configuration: Configuration,
  host: Host,
  qualifyingData: Uint8Array,
  options: CollectOptions,
): Promise<CollectedTpm> {
  const { state_directory: stateDirectory } = configuration.agent
  await requireOwnState(stateDirectory)
  const hold = await holdState(stateDirectory, host)
  try {
    await using tpm = wireTpm(configuration, host)
    return await collect(tpm, hold, qualifyingData, options)
  } finally {
    if (hold.by === 'ours') await hold.lock.release()
  }
}
