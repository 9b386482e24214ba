import { type Command, Option } from 'commander'
import { nameOption, pinOption, tcbStatusOption, verifierOption } from './appraise-question.ts'
import { hexOption, timeOption } from './options.ts'

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

/** What commands ask that judge evidence offline: `questionOf` reads it. */
export function withQuestionOptions(command: Command): Command {
  command
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
}
