import { Command } from 'commander'
import { acceptIncomingClaims, type Claim, evaluatePolicy, type GivenClaim } from '../../policies/index.ts'
import type { PolicyProfile } from '../../policies/reserved-claims.ts'
import { agentErrors } from '../errors.ts'
import { parseEvidenceDocument } from '../evidence-document.ts'
import { readInput } from '../input-file.ts'
import { readClaimsFile, readCustomClaims } from '../policy-tools/claims-file.ts'
import { type PresentedEvidence, presentEvidence } from '../policy-tools/claims-of-evidence.ts'
import {
  type PolicyFile,
  type PolicySource,
  readPolicyFile,
  requireOneStandardInput,
  requirePolicy,
} from '../policy-tools/policy-source.ts'
import { explanationDocument, renderExplanation } from '../presentation/policy-explanation.ts'
import { askedTogether, renderTogether, togetherDocument } from '../presentation/policy-together.ts'
import { exactJson } from '../presentation/policy-values.ts'
import type { CommandIo } from '../presentation/terminal.ts'
import { withQuestionOptions } from './appraise-options.ts'
import { type AppraiseOptions, questionOf } from './appraise-question.ts'
import { explainBundle } from './policy-bundle.ts'
import { type BundleOptions, profileOption, withBundleOptions } from './policy-options.ts'

export interface EvidenceOptions extends AppraiseOptions {
  readonly evidence: string
  readonly customClaims?: string
}

export interface ExplainOptions extends Omit<EvidenceOptions, 'evidence'>, BundleOptions {
  readonly evidence?: string
  readonly claims?: string
  readonly input?: string
  readonly profile: PolicyProfile
  readonly lenient?: boolean
}

/** Reads and appraises what the command line names. Throws `NOT_AFFIRMED`, and what reading throws. */
export async function presentedEvidence(options: EvidenceOptions): Promise<PresentedEvidence> {
  const evidence = parseEvidenceDocument(await readInput(options.evidence))
  const custom = await readCustomClaims(options.customClaims)
  return presentEvidence(evidence, await questionOf(options, evidence), custom)
}

async function claimsOf({ claims, evidence, input, ...options }: ExplainOptions): Promise<readonly GivenClaim[]> {
  if (input !== undefined) throw agentErrors.error('USAGE', '--input is for Rego bundles: a text is asked about claims')
  if (claims !== undefined && evidence !== undefined) {
    throw agentErrors.error('USAGE', '--claims and --evidence contradict each other: what is the policy asked about?')
  }
  if (claims !== undefined && options.customClaims !== undefined) {
    throw agentErrors.error(
      'USAGE',
      '--custom-claims goes with --evidence: in --claims they have the issuer CustomClaim',
    )
  }
  if (claims !== undefined) return readClaimsFile(claims)
  if (evidence !== undefined) return (await presentedEvidence({ ...options, evidence })).claims
  throw agentErrors.error('USAGE', '--claims or --evidence is missing: what is the policy asked about?')
}

/** As they are evaluated; none if one of them is refused, which the evaluation then says (POL-402). */
function acceptedClaims(given: readonly GivenClaim[]): readonly Claim[] {
  const accepted = acceptIncomingClaims(given)
  return 'claims' in accepted ? accepted.claims : []
}

async function explainText(source: PolicySource, options: ExplainOptions, io: CommandIo): Promise<void> {
  const policy = requirePolicy(source, options)
  const given = await claimsOf(options)
  const evaluation = evaluatePolicy(policy, given, { profile: options.profile, trace: true })
  if (options.json) io.out(exactJson(explanationDocument(evaluation)))
  else io.out(renderExplanation({ source, policy, evaluation, claims: acceptedClaims(given) }, io))
}

/** A page for each, and what they say together (POL-429). */
async function explainSeveral(sources: readonly PolicyFile[], options: ExplainOptions, io: CommandIo): Promise<void> {
  const bundle = sources.find(({ compiled }) => compiled)
  if (bundle !== undefined) {
    throw agentErrors.error('USAGE', `${bundle.file}: a bundle is explained by itself; attestd policy run asks several`)
  }
  const policies = sources.map((source) => ({ source, policy: requirePolicy(source, options) }))
  const given = await claimsOf(options)
  const claims = acceptedClaims(given)
  const asked = { profile: options.profile, trace: true }
  const explained = policies.map((each) => ({ ...each, claims, evaluation: evaluatePolicy(each.policy, given, asked) }))
  const together = askedTogether(explained.map(({ source, evaluation }) => ({ id: source.file, evaluation })))
  if (options.json) {
    const said = explained.map(({ source, evaluation }) => ({
      policy: source.file,
      ...explanationDocument(evaluation),
    }))
    io.out(exactJson({ ...togetherDocument(together), policies: said }))
  } else {
    for (const each of explained) io.out(`${renderExplanation(each, io)}\n`)
    io.out(renderTogether(together, io))
  }
}

/** `attestd policy explain FILE…`: which rule matched which claim, and what a denial would take (POL-820). */
export function policyExplainCommand(io: CommandIo): Command {
  const command = new Command('explain')
    .description('evaluate policies on claims or evidence, and say on a page for each why it answers as it does')
    .argument('<file...>', 'the policies, texts or one Rego bundle, - for standard input; several must all permit')
    .option('--claims <file>', 'JSON array of claims {type, value, issuer}, as in test files')
    .option('--evidence <file>', 'evidence to be appraised as by `attestd appraise`, with its options')
    .option('--input <file>', 'bundles: an input document, a JSON object, in place of evidence')
    .option('--custom-claims <file>', 'with --evidence: what the guest says of itself, a JSON array of {name, value}')
    .addOption(profileOption())
    .option('--lenient', 'accept words in the wrong case')
    .option('--json', 'print the trace as a JSON object')
  return withQuestionOptions(withBundleOptions(command)).action(
    async (files: readonly string[], options: ExplainOptions) => {
      const { claims, evidence, input, customClaims, regoReferences } = options
      requireOneStandardInput([...files, claims, evidence, input, customClaims, regoReferences])
      const sources = await Promise.all(files.map(readPolicyFile))
      const [source] = sources
      if (source === undefined || sources.length > 1) return explainSeveral(sources, options, io)
      const present = (path: string) => presentedEvidence({ ...options, evidence: path })
      await (source.compiled ? explainBundle(source, options, present, io) : explainText(source, options, io))
    },
  )
}
