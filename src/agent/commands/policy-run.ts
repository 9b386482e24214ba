import { Command } from 'commander'
import { defaultPolicyFor, type Evaluation, evaluatePolicy, policyDigest } from '../../policies/index.ts'
import type { PolicyProfile } from '../../policies/reserved-claims.ts'
import { agentErrors } from '../errors.ts'
import type { PresentedEvidence } from '../policy-tools/claims-of-evidence.ts'
import {
  type PolicyFile,
  type PolicySource,
  readPolicyFile,
  requireOneStandardInput,
  requirePolicy,
} from '../policy-tools/policy-source.ts'
import { exactJson } from '../presentation/policy-values.ts'
import { denialOf, renderClaims, renderPolicyVerdict } from '../presentation/policy-verdict.ts'
import type { CommandIo } from '../presentation/terminal.ts'
import { withQuestionOptions } from './appraise-options.ts'
import { runBundle } from './policy-bundle.ts'
import { type EvidenceOptions, presentedEvidence } from './policy-explain.ts'
import { type BundleOptions, profileOption, withBundleOptions } from './policy-options.ts'

export interface RunOptions extends EvidenceOptions, BundleOptions {
  readonly profile: PolicyProfile
  readonly showClaims?: boolean
}

/** Without a policy of one's own the shipped one for this evidence, as an agent does (POL-441). */
async function sourceOf(file: string | undefined, { kinds }: PresentedEvidence): Promise<PolicyFile> {
  if (file !== undefined) return readPolicyFile(file)
  const { name, text } = defaultPolicyFor(kinds)
  return { file: name, bytes: new TextEncoder().encode(text), compiled: false }
}

function documentOf(source: PolicySource, { kinds, claims }: PresentedEvidence, evaluation: Evaluation) {
  const { verdict, decidedBy, steps } = evaluation
  return {
    policy: source.file,
    sha256: policyDigest(source.bytes),
    kinds,
    verdict,
    ...(evaluation.verdict === 'deny' ? { reason: evaluation.reason } : {}),
    ...(evaluation.verdict === 'error' ? { reason: 'error', error: evaluation.error } : {}),
    decidedBy,
    ...(evaluation.verdict === 'permit' ? { token: evaluation.token, properties: evaluation.properties } : {}),
    steps,
    claims,
  }
}

function runText(source: PolicySource, presented: PresentedEvidence, options: RunOptions, io: CommandIo): void {
  const evaluation = evaluatePolicy(requirePolicy(source), presented.claims, { profile: options.profile })
  if (options.json) io.out(exactJson(documentOf(source, presented, evaluation)))
  else {
    if (options.showClaims) io.out(renderClaims(presented))
    for (const note of presented.appraisal.notes) io.out(`note: ${note}\n`)
    io.out(renderPolicyVerdict(source.file, evaluation, io))
  }
  const denial = denialOf(evaluation)
  if (denial !== null) throw agentErrors.error('POLICY_DENIED', `${source.file}: ${denial}`)
}

/** `attestd policy run [FILE] --evidence E`: what a verifier with this policy would put into its token. */
export function policyRunCommand(io: CommandIo): Command {
  const command = new Command('run')
    .description('appraise evidence as `attestd appraise` does, ask a policy, and show what it puts into the token')
    .argument(
      '[file]',
      'the policy, text or Rego bundle, - for standard input; without it the shipped one for this evidence',
    )
    .requiredOption('--evidence <file>', 'the evidence')
    .option('--custom-claims <file>', 'what the guest says of itself, a JSON array of {name, value}')
    .option('--show-claims', 'print the claims that the evidence gives; of a bundle the input document')
    .addOption(profileOption())
    .option('--json', 'print verdict, token and claims as a JSON object')
  return withQuestionOptions(withBundleOptions(command)).action(
    async (file: string | undefined, options: RunOptions) => {
      requireOneStandardInput([file, options.evidence, options.customClaims, options.regoReferences])
      const presented = await presentedEvidence(options)
      const source = await sourceOf(file, presented)
      if (source.compiled) return runBundle(source, presented, options, io)
      runText(source, presented, options, io)
    },
  )
}
