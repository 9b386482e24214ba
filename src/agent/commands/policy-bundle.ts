import { regoInputs } from '../../policies/rego/rego-input.ts'
import { agentErrors } from '../errors.ts'
import type { BundleSettings } from '../policy-tools/bundle-source.ts'
import type { PresentedEvidence } from '../policy-tools/claims-of-evidence.ts'
import type { PolicySource } from '../policy-tools/policy-source.ts'
import { bundleVerdictDocument, renderBundleVerdict } from '../presentation/policy-bundle.ts'
import { exactJson } from '../presentation/policy-values.ts'
import { denialOf } from '../presentation/policy-verdict.ts'
import type { CommandIo } from '../presentation/terminal.ts'
import type { ExplainOptions } from './policy-explain.ts'
import type { BundleOptions } from './policy-options.ts'
import type { RunOptions } from './policy-run.ts'

const tools = () => import('../policy-tools/bundle-source.ts')

async function settingsOf({ regoRequire, regoReferences, profile }: BundleOptions & Pick<RunOptions, 'profile'>) {
  const references = await (await tools()).readReferencesFile(regoReferences)
  const settings: BundleSettings = {
    references,
    profile,
    ...(regoRequire === undefined ? {} : { require: regoRequire }),
  }
  return settings
}

/** Custom claims are claims of the policy language; nothing of the kind is in input documents (POL-962). */
function requireNoCustomClaims({ customClaims }: { readonly customClaims?: string }, { file }: PolicySource): void {
  if (customClaims === undefined) return
  throw agentErrors.error('USAGE', `--custom-claims is for texts: ${file} is a Rego bundle`)
}

/** `attestd policy run` of a bundle: as an agent would ask it about this evidence. */
export async function runBundle(
  source: PolicySource,
  { trees, at, kinds, appraisal }: PresentedEvidence,
  options: RunOptions,
  io: CommandIo,
): Promise<void> {
  requireNoCustomClaims(options, source)
  const { openBundleSource } = await tools()
  await using policy = await openBundleSource(source, await settingsOf(options))
  const evaluation = await policy.evaluate({ trees }, at)
  const [input] = regoInputs('cpu', { trees })
  const { hash: sha256, required } = policy
  const said = bundleVerdictDocument(evaluation, required)
  if (options.json) io.out(exactJson({ policy: source.file, engine: 'rego-wasm', sha256, kinds, ...said, input }))
  else {
    if (options.showClaims) io.out(exactJson(input))
    for (const note of appraisal.notes) io.out(`note: ${note}\n`)
    io.out(renderBundleVerdict(source.file, evaluation, required, io))
  }
  const denial = denialOf(evaluation)
  if (denial !== null) throw agentErrors.error('POLICY_DENIED', `${source.file}: ${denial}`)
}

/** The verdict of a bundle that is asked beside other policies. */
export async function askBundle(source: PolicySource, { trees, at }: PresentedEvidence, options: RunOptions) {
  await using policy = await (await tools()).openBundleSource(source, await settingsOf(options))
  // Awaited here: the thread ends with this function.
  return await policy.evaluate({ trees }, at)
}

/** What a bundle is asked about; `present` appraises evidence. */
async function inputOf(options: ExplainOptions, present: (evidence: string) => Promise<PresentedEvidence>) {
  const { claims, input, evidence, at } = options
  const given = [input, evidence].filter((one) => one !== undefined)
  if (claims !== undefined) {
    throw agentErrors.error(
      'USAGE',
      '--claims is for texts: a bundle is asked about --evidence or about an --input document',
    )
  }
  if (given.length !== 1) throw agentErrors.error('USAGE', 'a bundle is asked about either --evidence or --input')
  if (input !== undefined) return { document: await (await tools()).readInputDocument(input), now: at ?? Date.now() }
  const presented = await present(evidence ?? '')
  const [document = {}] = regoInputs('cpu', { trees: presented.trees })
  return { document, now: presented.at }
}

/** `attestd policy explain` of a bundle. Rego has no rules that could be followed here: the trust vector says why. */
export async function explainBundle(
  source: PolicySource,
  options: ExplainOptions,
  present: (evidence: string) => Promise<PresentedEvidence>,
  io: CommandIo,
): Promise<void> {
  requireNoCustomClaims(options, source)
  const { openBundleSource, evaluateDocument } = await tools()
  const { document, now } = await inputOf(options, present)
  await using policy = await openBundleSource(source, await settingsOf(options))
  const evaluation = await evaluateDocument(policy, document, now)
  const { required, entrypoints } = policy
  if (options.json) {
    io.out(exactJson({ ...bundleVerdictDocument(evaluation, required), entrypoints }))
    return
  }
  io.out(renderBundleVerdict(source.file, evaluation, required, io))
  io.out(`asked for ${entrypoints.join(', ')}; rules inside are explained by \`opa eval --explain\` on the source\n`)
}
