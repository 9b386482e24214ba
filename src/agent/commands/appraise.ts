import { Command, InvalidArgumentError, Option } from 'commander'
import { AttestdError, MalformedError } from '../../base/errors.ts'
import { tpmChecks } from '../../verifier/index.ts'
import { enrolmentChecks } from '../../verifier/tpm/enrolment-checks.ts'
import { agentErrors } from '../errors.ts'
import { parseEvidenceDocument } from '../evidence-document.ts'
import { readInput } from '../input-file.ts'
import { appraiseOffline, type OfflineAppraisal, type OfflineQuestion } from '../offline/appraise-offline.ts'
import { renderFindings, renderVerdict } from '../presentation/findings.ts'
import type { CommandIo } from '../presentation/terminal.ts'
import { readEkTrust } from '../wiring/trust-files.ts'
import { hexOption, timeOption } from './options.ts'

interface AppraiseOptions {
  readonly nonce?: Uint8Array
  readonly trustAnchors?: string[]
  readonly intermediates?: string[]
  readonly crl?: string[]
  readonly pinnedEk?: string[]
  readonly akName?: Uint8Array
  readonly allowUnenrolled?: boolean
  readonly simulator?: boolean
  readonly requireEventLog?: boolean
  readonly requireIma?: boolean
  readonly at?: number
  readonly json?: boolean
}

const whyNonce =
  '--nonce is missing: only who asked for the evidence knows what was to be signed; with a nonce taken from the evidence itself any old recording would pass'

function pinOption(text: string, before: string[] = []): string[] {
  if (!/^[0-9a-f]{64}$/.test(text))
    throw new InvalidArgumentError('must be a SHA-256 value: 64 lower-case hexadecimal digits.')
  return [...before, text]
}

/** A Name (TPM2 Part 1, section 16): u16 hash algorithm, digest of 32, 48 or 64 bytes. */
function nameOption(text: string): Uint8Array {
  const name = hexOption(34, 66)(text)
  const sizes: Readonly<Record<string, number>> = { '000b': 34, '000c': 50, '000d': 66 }
  if (sizes[text.slice(0, 4)] === name.length) return name
  throw new InvalidArgumentError('must be a Name: 000b, 000c or 000d, and a digest of SHA-256, SHA-384 or SHA-512.')
}

/** Files that do not parse are input here, not configuration. */
async function ekTrustOf({ trustAnchors = [], intermediates = [], crl = [], pinnedEk = [] }: AppraiseOptions) {
  if (trustAnchors.length === 0 && intermediates.length + crl.length > 0) {
    throw agentErrors.error('USAGE', '--intermediates and --crl say nothing without --trust-anchors')
  }
  if (trustAnchors.length + pinnedEk.length === 0) return null
  const files = { ek_vendors: [], ek_anchors: trustAnchors, ek_intermediates: intermediates, crls: crl }
  try {
    return { ...(await readEkTrust(files)), pinned: pinnedEk }
  } catch (error) {
    if (!(error instanceof AttestdError) || !(error.cause instanceof MalformedError)) throw error
    throw new MalformedError({ path: String(error.facts['file']) }, error.cause.message, { cause: error })
  }
}

async function questionOf(options: AppraiseOptions): Promise<OfflineQuestion> {
  const { nonce, akName = null, allowUnenrolled = false } = options
  if (!nonce) throw agentErrors.error('USAGE', whyNonce)
  if (akName && allowUnenrolled) {
    throw agentErrors.error(
      'USAGE',
      '--ak-name and --allow-unenrolled contradict each other: is the key enrolled or not?',
    )
  }
  return {
    now: options.at ?? Date.now(),
    nonce,
    ekTrust: await ekTrustOf(options),
    akName,
    allowUnenrolled,
    simulator: options.simulator === true,
    requireEventLog: options.requireEventLog === true,
    requireIma: options.requireIma === true,
  }
}

function show(appraisal: OfflineAppraisal, io: CommandIo, json: boolean): void {
  const { affirmed, akTrust, findings, notes, claims } = appraisal
  if (json) {
    io.out(`${JSON.stringify({ affirmed, ak_trust: akTrust, findings, notes, claims })}\n`)
    return
  }
  io.out(renderFindings(findings, { ...enrolmentChecks, ...tpmChecks }, io))
  for (const note of notes) io.out(`note: ${note}\n`)
  io.out(`trust in the attestation key: ${akTrust}\n`)
  io.out(renderVerdict(appraisal, io))
}

function requireAffirmed({ affirmed, findings }: OfflineAppraisal): void {
  if (affirmed) return
  const against = ['failed', 'unreached'].flatMap((wanted) => findings.filter(({ outcome }) => outcome === wanted))
  const [first] = against
  throw agentErrors.error('NOT_AFFIRMED', `${first?.id}: ${first?.detail ?? 'could not be judged'}`)
}

/** `attestd appraise FILE`: what a verifier would find, without a verifier's memory and without a network. */
export function appraiseCommand(io: CommandIo): Command {
  return new Command('appraise')
    .description(
      'appraise evidence offline, check by check; affirmed (exit 0) only if every check passed or was waived',
    )
    .argument('<file>', 'an evidence document or a bare container, - for standard input')
    .addOption(
      new Option('--nonce <hex>', 'what the machine was asked to sign, 8 to 64 bytes').argParser(hexOption(8, 64)),
    )
    .option('--trust-anchors <file...>', 'judge the endorsement key: certificates of who vouches for it, PEM or DER')
    .option('--intermediates <file...>', 'further certificates for its chain')
    .option('--crl <file...>', 'revocation lists; then every issuer of the chain needs a current one')
    .addOption(
      new Option(
        '--pinned-ek <sha256...>',
        'an endorsement key trusted by itself, by its SubjectPublicKeyInfo',
      ).argParser(pinOption),
    )
    .addOption(
      new Option('--ak-name <hex>', 'Name of the attestation key that you enrolled elsewhere, by activation').argParser(
        nameOption,
      ),
    )
    .option('--allow-unenrolled', 'waive that the attestation key is enrolled: then nothing shows that it is in a TPM')
    .option('--simulator', 'let simulated TPMs through, for tests')
    .option('--require-event-log', 'refuse evidence without an event log that replays')
    .option('--require-ima', 'refuse evidence without an IMA log that replays')
    .addOption(new Option('--at <time>', 'when certificates must be valid; now if absent').argParser(timeOption))
    .option('--json', 'print findings, notes and claims as a JSON object')
    .action(async (file: string, options: AppraiseOptions) => {
      const question = await questionOf(options)
      const appraisal = appraiseOffline(parseEvidenceDocument(await readInput(file)), question)
      show(appraisal, io, options.json === true)
      requireAffirmed(appraisal)
    })
}
