import { resolve } from 'node:path'
import { Command, Option } from 'commander'
import { toHex } from '../../base/bytes.ts'
import { writeAtomically } from '../../platform/atomic-file.ts'
import { defaultConfigurationFile, readConfiguration } from '../configuration/read.ts'
import { encodeEvidenceDocument } from '../evidence-document.ts'
import { type CollectedEvidence, collectByNonce, type EvidenceKind } from '../offline/collect-by-nonce.ts'
import { type CommandIo, escaped } from '../presentation/terminal.ts'
import { type Host, openHost } from '../wiring/host.ts'
import { hexOption } from './options.ts'

interface EvidenceOptions {
  readonly config: string
  readonly kind: EvidenceKind
  readonly nonce?: Uint8Array
  readonly output?: string
  /** False with `--no-event-log` and `--no-ima`. */
  readonly eventLog: boolean
  readonly ima: boolean
  readonly json?: boolean
}

async function save(document: string, path: string, host: Host): Promise<void> {
  await writeAtomically(resolve(path), new TextEncoder().encode(`${document}\n`), { mode: 0o600, random: host.random })
}

interface Written {
  readonly output: string
  readonly bytes: number
  readonly nonce: Uint8Array
}

function summaryOf({ tpm, td, notes }: CollectedEvidence, { output, bytes, nonce }: Written): Record<string, unknown> {
  return {
    output,
    bytes,
    nonce: toHex(nonce),
    ...(tpm === null ? {} : { ak_name: toHex(tpm.akName) }),
    ...(td === null ? {} : { quote_path: td.quotePath, log_matches: td.logMatches }),
    simulated: tpm?.simulated === true || td?.simulated === true,
    notes,
  }
}

function sentenceOf({ tpm, td }: CollectedEvidence, output: string): string {
  const by = [
    ...(td === null ? [] : [`a quote of this TD by ${td.quotePath}`]),
    ...(tpm === null ? [] : [`evidence by the key ${toHex(tpm.akName)}`]),
  ]
  return `${escaped(output)}: ${by.join(', ')}\n`
}

async function runEvidence(options: EvidenceOptions, io: CommandIo): Promise<void> {
  const { output, kind, eventLog, ima } = options
  const host = openHost()
  const nonce = options.nonce ?? host.random(32)
  const { configuration } = await readConfiguration(options.config)
  const collected = await collectByNonce(configuration, host, { kind, nonce, eventLog, ima })
  const document = encodeEvidenceDocument(collected.evidence, collected.runtimeData)
  if (!options.nonce) io.err(`nonce: ${toHex(nonce)}\n`)
  for (const note of collected.notes) io.err(`note: ${escaped(note)}\n`)
  if (output === undefined) return io.out(`${document}\n`)
  await save(document, output, host)
  const written = { output, bytes: document.length + 1, nonce }
  io.out(options.json ? `${JSON.stringify(summaryOf(collected, written))}\n` : sentenceOf(collected, output))
}

/** `attestd evidence`: the evidence document on standard output, or whole and private in a file. */
export function evidenceCommand(io: CommandIo): Command {
  return new Command('evidence')
    .description('collect evidence of this machine over a nonce, for a verifier that appraises it')
    .option('--config <file>', 'configuration file', defaultConfigurationFile)
    .addOption(
      new Option('--kind <kind>', 'which devices: those of the configuration, the TD alone, or the TPM alone')
        .choices(['auto', 'tdx', 'tpm'])
        .default('auto'),
    )
    .addOption(
      new Option('--nonce <hex>', 'what the verifier wants signed: 8 to 64 bytes; random if absent').argParser(
        hexOption(8, 64),
      ),
    )
    .option('--output <file>', 'write the document there (mode 0600) instead of to standard output')
    .option('--no-event-log', 'leave the event logs of the firmware out')
    .option('--no-ima', 'leave the IMA log out')
    .option('--json', 'with --output, print what was written as a JSON object')
    .action((options: EvidenceOptions) => runEvidence(options, io))
}
