import { resolve } from 'node:path'
import { Command, Option } from 'commander'
import type { CollectOptions } from '../../attester/tpm/tpm-attester.ts'
import { toHex } from '../../base/bytes.ts'
import { AttestdError } from '../../base/errors.ts'
import type { TpmEvidence } from '../../evidence/tpm/evidence.ts'
import { nameOf, parseSizedPublic } from '../../evidence/tpm/public-area.ts'
import { writeAtomically } from '../../platform/atomic-file.ts'
import { defaultConfigurationFile, readConfiguration } from '../configuration/read.ts'
import { agentErrors } from '../errors.ts'
import { encodeEvidenceDocument } from '../evidence-document.ts'
import { type CommandIo, escaped } from '../presentation/terminal.ts'
import { type Host, openHost } from '../wiring/host.ts'
import { requireStateDirectory } from '../wiring/state-files.ts'
import { holdState, type StateHold } from '../wiring/state-hold.ts'
import { type TpmWiring, wireTpm } from '../wiring/tpm.ts'
import { hexOption } from './options.ts'

interface EvidenceOptions {
  readonly config: string
  readonly nonce?: Uint8Array
  readonly output?: string
  /** False with `--no-event-log` and `--no-ima`. */
  readonly eventLog: boolean
  readonly ima: boolean
  readonly json?: boolean
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

async function collect(
  tpm: TpmWiring,
  hold: StateHold,
  nonce: Uint8Array,
  options: CollectOptions,
): Promise<{ readonly evidence: TpmEvidence; readonly isNew: boolean }> {
  requireSharable(hold, tpm)
  try {
    const isNew = hold.by === 'ours' && (await tpm.attester.identity()).ak.isNew
    return { evidence: await tpm.attester.collect(nonce, options), isNew }
  } catch (error) {
    throw withoutKey(error, hold)
  }
}

function notesOn(hold: StateHold, isNew: boolean, { simulated }: TpmEvidence): string[] {
  return [
    ...(hold.by === 'agent' ? ['the agent runs: its attestation key was used, and nothing was written'] : []),
    ...(isNew ? ['a new attestation key was made: no verifier has enrolled it'] : []),
    ...(simulated ? ['the TPM is simulated: this evidence protects nothing'] : []),
  ]
}

async function collectEvidence(options: EvidenceOptions, nonce: Uint8Array, host: Host) {
  const { configuration } = await readConfiguration(options.config)
  const { state_directory: stateDirectory } = configuration.agent
  await requireOwnState(stateDirectory)
  const hold = await holdState(stateDirectory, host)
  try {
    await using tpm = wireTpm(configuration, host)
    const logs: CollectOptions = { eventLog: options.eventLog, imaFrom: options.ima ? 0 : null }
    const { evidence, isNew } = await collect(tpm, hold, nonce, logs)
    return { evidence, notes: notesOn(hold, isNew, evidence) }
  } finally {
    if (hold.by === 'ours') await hold.lock.release()
  }
}

function akNameOf({ ak }: TpmEvidence): string {
  return toHex(nameOf(parseSizedPublic(ak.publicArea)))
}

async function save(document: string, path: string, host: Host): Promise<void> {
  await writeAtomically(resolve(path), new TextEncoder().encode(`${document}\n`), { mode: 0o600, random: host.random })
}

/** `attestd evidence`: the evidence document on standard output, or whole and private in a file. */
export function evidenceCommand(io: CommandIo): Command {
  return new Command('evidence')
    .description('collect evidence of this machine over a nonce, for a verifier that appraises it')
    .option('--config <file>', 'configuration file', defaultConfigurationFile)
    .addOption(
      new Option('--nonce <hex>', 'what the verifier wants signed: 8 to 64 bytes; random if absent').argParser(
        hexOption(8, 64),
      ),
    )
    .option('--output <file>', 'write the document there (mode 0600) instead of to standard output')
    .option('--no-event-log', 'leave the event log of the firmware out')
    .option('--no-ima', 'leave the IMA log out')
    .option('--json', 'with --output, print what was written as a JSON object')
    .action(async (options: EvidenceOptions) => {
      const host = openHost()
      const nonce = options.nonce ?? host.random(32)
      const { evidence, notes } = await collectEvidence(options, nonce, host)
      const document = encodeEvidenceDocument(evidence, nonce)
      if (!options.nonce) io.err(`nonce: ${toHex(nonce)}\n`)
      for (const note of notes) io.err(`note: ${note}\n`)
      const { output } = options
      if (output === undefined) return io.out(`${document}\n`)
      await save(document, output, host)
      const akName = akNameOf(evidence)
      const { simulated } = evidence
      const written = { output, bytes: document.length + 1, nonce: toHex(nonce), ak_name: akName, simulated, notes }
      io.out(options.json ? `${JSON.stringify(written)}\n` : `${escaped(output)}: evidence by the key ${akName}\n`)
    })
}
