import { Command } from 'commander'
import {
  type Claim,
  defaultPolicyFor,
  type Evaluation,
  evaluatePolicy,
  forToken,
  policyDigest,
} from '../../policies/index.ts'
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
import { askedTogether, jointDenial, renderTogether, togetherDocument } from '../presentation/policy-together.ts'
import { exactJson } from '../presentation/policy-values.ts'
import { denialOf, renderClaims, renderPolicyVerdict } from '../presentation/policy-verdict.ts'
import type { CommandIo } from '../presentation/terminal.ts'
import { withQuestionOptions } from './appraise-options.ts'
import { askBundle, runBundle } from './policy-bundle.ts'
import { type EvidenceOptions, presentedEvidence } from './policy-explain.ts'
import { type BundleOptions, profileOption, withBundleOptions } from './policy-options.ts'

export interface RunOptions extends EvidenceOptions, BundleOptions {
  readonly profile: PolicyProfile
  readonly showClaims?: boolean
}

/** Without a policy of one's own the shipped one for this evidence, as an agent does (POL-441). */
async function sourcesOf(files: readonly string[], { kinds }: PresentedEvidence): Promise<readonly PolicyFile[]> {
  if (files.length > 0) return Promise.all(files.map(readPolicyFile))
  const { name, text } = defaultPolicyFor(kinds)
  return [{ file: name, bytes: new TextEncoder().encode(text), compiled: false }]
}

interface Said extends Pick<PresentedEvidence, 'kinds'> {
  readonly claims: readonly Claim[]
}

function documentOf(
  source: PolicySource & { compiled?: boolean },
  evaluation: Evaluation,
  { kinds, claims }: Partial<Said> = {},
) {
  const { verdict, decidedBy, steps } = evaluation
  return {
    policy: source.file,
    ...(source.compiled ? { engine: 'rego-wasm' } : {}),
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

function showPresented(presented: PresentedEvidence, { showClaims }: RunOptions, io: CommandIo): void {
  if (showClaims) io.out(renderClaims(presented))
  for (const note of presented.appraisal.notes) io.out(`note: ${note}\n`)
}

/** As an agent hands it over to its token. */
function evaluateFor(source: PolicySource, { claims }: PresentedEvidence, { profile }: RunOptions): Evaluation {
  return forToken(evaluatePolicy(requirePolicy(source), claims, { profile }))
}

function runText(source: PolicySource, presented: PresentedEvidence, options: RunOptions, io: CommandIo): void {
  const evaluation = evaluateFor(source, presented, options)
  if (options.json) io.out(exactJson(documentOf(source, evaluation, presented)))
  else {
    showPresented(presented, options, io)
    io.out(renderPolicyVerdict(source.file, evaluation, io))
  }
  const denial = denialOf(evaluation)
  if (denial !== null) throw agentErrors.error('POLICY_DENIED', `${source.file}: ${denial}`)
}

/** All must permit, each on claims of its own (POL-429). */
async function runSeveral(
  sources: readonly PolicyFile[],
  presented: PresentedEvidence,
  options: RunOptions,
  io: CommandIo,
): Promise<void> {
  const said: { readonly source: PolicyFile; readonly evaluation: Evaluation }[] = []
  for (const source of sources) {
    const evaluation = source.compiled
      ? await askBundle(source, presented, options)
      : evaluateFor(source, presented, options)
    said.push({ source, evaluation })
  }
  const together = askedTogether(said.map(({ source, evaluation }) => ({ id: source.file, evaluation })))
  if (options.json) {
    const policies = said.map(({ source, evaluation }) => documentOf(source, evaluation))
    const { kinds, claims } = presented
    io.out(exactJson({ ...togetherDocument(together), kinds, policies, claims }))
  } else {
    showPresented(presented, options, io)
    for (const { source, evaluation } of said) io.out(renderPolicyVerdict(source.file, evaluation, io))
    io.out(renderTogether(together, io))
  }
  const denial = jointDenial(together)
  if (denial !== null) throw agentErrors.error('POLICY_DENIED', denial)
}

/** `attestd policy run [FILE…] --evidence E`: what a verifier with these policies would put into its token. */
export function policyRunCommand(io: CommandIo): Command {
  const command = new Command('run')
    .description('appraise evidence as `attestd appraise` does, ask policies, and show what they put into the token')
    .argument(
      '[file...]',
      'the policies, texts or Rego bundles, - for standard input; all must permit; without any the shipped one for this evidence',
    )
    .requiredOption('--evidence <file>', 'the evidence')
    .option('--custom-claims <file>', 'what the guest says of itself, a JSON array of {name, value}')
    .option('--show-claims', 'print the claims that the evidence gives; of a bundle the input document')
    .addOption(profileOption())
    .option('--json', 'print verdict, token and claims as a JSON object')
  return withQuestionOptions(withBundleOptions(command)).action(
    async (files: readonly string[], options: RunOptions) => {
      requireOneStandardInput([...files, options.evidence, options.customClaims, options.regoReferences])
      const presented = await presentedEvidence(options)
      const sources = await sourcesOf(files, presented)
      const [source] = sources
      if (source === undefined || sources.length > 1) return runSeveral(sources, presented, options, io)
      if (source.compiled) return runBundle(source, presented, options, io)
      runText(source, presented, options, io)
    },
  )
}
