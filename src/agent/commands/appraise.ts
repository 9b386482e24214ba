import { Command } from 'commander'
import { guestChecks } from '../../verifier/composite/guest-checks.ts'
import { enrolmentChecks } from '../../verifier/tpm/enrolment-checks.ts'
import { agentErrors } from '../errors.ts'
import { parseEvidenceDocument } from '../evidence-document.ts'
import { readInput } from '../input-file.ts'
import { appraiseOffline, type OfflineAppraisal, type OfflineKind } from '../offline/appraise-offline.ts'
import { renderFindings, renderVerdict } from '../presentation/findings.ts'
import { quoteVerdictDocument, renderQuoteVerdict } from '../presentation/quote-verdict.ts'
import type { CommandIo } from '../presentation/terminal.ts'
import { withQuestionOptions } from './appraise-options.ts'
import { type AppraiseOptions, questionOf } from './appraise-question.ts'

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

/** `attestd appraise FILE`: what a verifier would find, without a verifier's memory and without a network. */
export function appraiseCommand(io: CommandIo): Command {
  const command = new Command('appraise')
    .description(
      'appraise evidence offline, check by check; affirmed (exit 0) only if every check passed or was waived',
    )
    .argument('<file>', 'an evidence document, a bare container or a quote, - for standard input')
  return withQuestionOptions(command)
    .option('--json', 'print findings, notes and claims as a JSON object')
    .action(async (file: string, options: AppraiseOptions) => {
      const evidence = parseEvidenceDocument(await readInput(file))
      const question = await questionOf(options, evidence)
      const appraisal = appraiseOffline(evidence, question)
      show(appraisal, io, options.json === true)
      requireAffirmed(appraisal)
    })
}
