import { Command, InvalidArgumentError, Option } from 'commander'
import { writeAtomically } from '../../platform/atomic-file.ts'
import { type EvidenceKind, evaluatePolicy, parsePolicy } from '../../policies/index.ts'
import { agentErrors } from '../errors.ts'
import type { PresentedEvidence } from '../policy-tools/claims-of-evidence.ts'
import { requireOneStandardInput } from '../policy-tools/policy-source.ts'
import { type SiteKind, siteKinds } from '../policy-tools/site-parts.ts'
import { writeSitePolicy } from '../policy-tools/site-policy.ts'
import { denialOf } from '../presentation/policy-verdict.ts'
import { type CommandIo, escaped } from '../presentation/terminal.ts'
import { openHost } from '../wiring/host.ts'
import { withQuestionOptions } from './appraise-options.ts'
import type { AppraiseOptions } from './appraise-question.ts'
import { presentedEvidence } from './policy-explain.ts'
import { kindsOptionNamed } from './policy-options.ts'

interface NewOptions extends AppraiseOptions {
  readonly kind?: readonly EvidenceKind[]
  readonly evidence?: string
  readonly name: string
  readonly output: string
}

/** POL-442. */
function policyId(text: string): string {
  if (/^[A-Za-z0-9._-]{1,128}$/.test(text)) return text
  throw new InvalidArgumentError('must have 1 to 128 letters, digits, dots, underscores and hyphens.')
}

function requireSiteKinds(kinds: readonly EvidenceKind[]): readonly SiteKind[] {
  return kinds.map((kind) => {
    const known = siteKinds.find((each) => each === kind)
    if (known !== undefined) return known
    throw agentErrors.error('USAGE', `--kind ${kind}: begin with one that \`attestd policy shipped\` lists`)
  })
}

/** What is asked of evidence that is not there would be filled in with nothing. */
function requireShown(kinds: readonly SiteKind[], presented: PresentedEvidence | null): void {
  if (presented === null) return
  const shown = new Set(presented.claims.map(({ type }) => type.split('.')[0]))
  const missing = kinds.find((kind) => !shown.has(kind))
  if (missing !== undefined) throw agentErrors.error('USAGE', `--kind ${missing}: the evidence has no such part`)
}

function kindsOf({ kind }: NewOptions, presented: PresentedEvidence | null): readonly SiteKind[] {
  const kinds = kind ?? presented?.kinds
  if (kinds === undefined)
    throw agentErrors.error('USAGE', '--kind or --evidence is missing: what is the policy about?')
  const known = requireSiteKinds(kinds)
  if (known.includes('ima') && !known.includes('tpm'))
    throw agentErrors.error('USAGE', '--kind ima needs tpm beside it')
  requireShown(known, presented)
  return known
}

/** Values of evidence that the policy itself denies are right all the same: something else about it is not. */
function adviseOn(text: string, { claims }: PresentedEvidence, io: CommandIo): void {
  const { policy } = parsePolicy(text)
  const denial = policy === undefined ? null : denialOf(evaluatePolicy(policy, claims, { profile: 'attestd' }))
  if (denial === null) return
  io.err(`note: the policy denies this very evidence (${escaped(denial)}); attestd policy explain says why\n`)
}

/** `attestd policy new --kind K [--evidence E]`: a site policy to begin with (POL-441). */
export function policyNewCommand(io: CommandIo): Command {
  const command = new Command('new')
    .description('write a policy for your machines: only images with the measured values of this evidence get a token')
    .addOption(kindsOptionNamed('--kind <list>', `what machines show: ${siteKinds.join(', ')}, joined by commas`))
    .option(
      '--evidence <file>',
      'evidence of a good machine, to be appraised as by `attestd appraise`, with its options',
    )
    .addOption(
      new Option('--name <id>', 'name of the policy, which the token says').argParser(policyId).default('site'),
    )
    .option('-o, --output <file>', 'where the policy goes, - for standard output', '-')
  return withQuestionOptions(command).action(async (options: NewOptions) => {
    const { evidence, name, output } = options
    requireOneStandardInput([evidence])
    const presented = evidence === undefined ? null : await presentedEvidence({ ...options, evidence })
    const kinds = kindsOf(options, presented)
    const text = writeSitePolicy({ name, kinds, claims: presented?.claims ?? null })
    if (output === '-') io.out(text)
    else await writeAtomically(output, new TextEncoder().encode(text), { mode: 0o644, random: openHost().random })
    if (presented !== null) adviseOn(text, presented, io)
  })
}
