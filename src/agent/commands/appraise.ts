import { Command, Option } from 'commander'
import { guestChecks } from '../../verifier/composite/guest-checks.ts'
import { enrolmentChecks } from '../../verifier/tpm/enrolment-checks.ts'
import { agentErrors } from '../errors.ts'
import { parseEvidenceDocument } from '../evidence-document.ts'
import { readInput } from '../input-file.ts'
import { appraiseOffline, type OfflineAppraisal, type OfflineKind } from '../offline/appraise-offline.ts'
import { renderFindings, renderVerdict } from '../presentation/findings.ts'
import { quoteVerdictDocument, renderQuoteVerdict } from '../presentation/quote-verdict.ts'
import type { CommandIo } from '../presentation/terminal.ts'
import {
  type AppraiseOptions,
  nameOption,
  pinOption,
  questionOf,
  tcbStatusOption,
  verifierOption,
} from './appraise-question.ts'
import { hexOption, timeOption } from './options.ts'

const kinds: Readonly<Record<OfflineKind, string>> = {
  tpm: 'a TPM',
  tdx: 'a TD',
  'tdx+tpm': 'a TD and its TPM',
  sgx: 'an SGX enclave',
}

function documentOf(appraisal: OfflineAppraisal): Record<string, unknown> {
  const { affirmed, kind, akTrust, quote, binding, findings, notes, claims } = appraisal
  return {
    affirmed,
    kind,
    ...(akTrust === null ? {} : { ak_trust: akTrust }),
    ...(quote === null ? {} : { quote: quoteVerdictDocument(quote) }),
    ...(binding.length === 0 ? {} : { binding }),
    findings,
    notes,
    claims,
  }
}

function show(appraisal: OfflineAppraisal, io: CommandIo, json: boolean): void {
  const { kind, akTrust, quote, findings, notes } = appraisal
  if (json) {
    io.out(`${JSON.stringify(documentOf(appraisal))}\n`)
    return
  }
  io.out(renderFindings(findings, { ...enrolmentChecks, ...guestChecks }, io))
  for (const note of notes) io.out(`note: ${note}\n`)
  io.out(`evidence of ${kinds[kind]}\n`)
  if (quote !== null) io.out(renderQuoteVerdict(quote))
  if (akTrust !== null) io.out(`trust in the attestation key: ${akTrust}\n`)
  io.out(renderVerdict(appraisal, io))
}

function requireAffirmed({ affirmed, findings, remedy }: OfflineAppraisal): void {
  if (affirmed) return
  const against = ['failed', 'unreached'].flatMap((wanted) => findings.filter(({ outcome }) => outcome === wanted))
  const [first] = against
  const says = `${first?.id}: ${first?.detail ?? 'could not be judged'}`
  throw agentErrors.error('NOT_AFFIRMED', says, remedy === null ? {} : { remedy })
}

const tpmOptions: readonly Option[] = [
  new Option('--intermediates <file...>', 'further certificates for the chain of the endorsement key'),
  new Option('--crl <file...>', 'revocation lists; then every issuer of that chain needs a current one'),
  new Option('--pinned-ek <sha256...>', 'an endorsement key trusted by itself, by its SubjectPublicKeyInfo').argParser(
    pinOption,
  ),
  new Option('--ak-name <hex>', 'Name of the attestation key that you enrolled elsewhere, by activation').argParser(
    nameOption,
  ),
  new Option(
    '--allow-unenrolled',
    'waive that the attestation key is enrolled: then nothing shows that it is in a TPM',
  ),
  new Option('--require-ima', 'refuse evidence without an IMA log that replays'),
]

const quoteOptions: readonly Option[] = [
  new Option(
    '--collateral <file>',
    'what Intel says of the platform of a TD, a bundle of `attestd collateral fetch`; without it no TD is affirmed',
  ),
  new Option(
    '--tcb-status <list>',
    'accepted TCB statuses, joined by commas; default: UpToDate,SWHardeningNeeded',
  ).argParser(tcbStatusOption),
  new Option('--allow-debug', 'let TDs in debug mode through, whose memory the host reads'),
  new Option('--any-report-data', 'waive the nonce of a TD: for recorded quotes whose nonce nobody knows'),
]

/** `attestd appraise FILE`: what a verifier would find, without a verifier's memory and without a network. */
export function appraiseCommand(io: CommandIo): Command {
  const command = new Command('appraise')
    .description(
      'appraise evidence offline, check by check; affirmed (exit 0) only if every check passed or was waived',
    )
    .argument('<file>', 'an evidence document, a bare container or a quote, - for standard input')
    .addOption(
      new Option('--nonce <hex>', 'what the machine was asked to sign, 8 to 64 bytes').argParser(hexOption(8, 64)),
    )
    .addOption(
      new Option(
        '--verifier <id>',
        'the verifier that the machine was told the evidence is for, with POST /v1/evidence; evidence for another one is refused',
      ).argParser(verifierOption),
    )
    .option(
      '--trust-anchors <file...>',
      'certificates, PEM or DER, of who vouches for the endorsement key of a TPM; with --simulator also for a TD',
    )
  for (const option of [...tpmOptions, ...quoteOptions]) command.addOption(option)
  return command
    .option(
      '--references <file...>',
      'what has to run: documents of `attestd reference` for a TPM; accepted measurements of a TD, by field a list of hexadecimal values',
    )
    .option('--simulator', 'let simulated TPMs and TDs through, for tests')
    .option('--require-event-log', 'refuse evidence without an event log that replays')
    .addOption(new Option('--at <time>', 'when certificates must be valid; now if absent').argParser(timeOption))
    .option('--json', 'print findings, notes and claims as a JSON object')
    .action(async (file: string, options: AppraiseOptions) => {
      const evidence = parseEvidenceDocument(await readInput(file))
      const question = await questionOf(options, evidence)
      const appraisal = appraiseOffline(evidence, question)
      show(appraisal, io, options.json === true)
      requireAffirmed(appraisal)
    })
}
