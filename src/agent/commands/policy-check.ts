import { Command, InvalidArgumentError, Option } from 'commander'
import type { EvidenceKind } from '../../policies/index.ts'
import { lintRules } from '../../policies/lint/lint-finding.ts'
import type { PolicyProfile } from '../../policies/reserved-claims.ts'
import { agentErrors } from '../errors.ts'
import type { ExaminedBundle } from '../policy-tools/examine-bundle.ts'
import { type ExaminedPolicy, examinePolicy, isBad } from '../policy-tools/examine-policy.ts'
import {
  type PolicyFile,
  readPolicyFile,
  readPolicySource,
  requireOneStandardInput,
} from '../policy-tools/policy-source.ts'
import { type NamedExamination, sarifLog } from '../policy-tools/sarif.ts'
import { counted } from '../presentation/counted.ts'
import { bundleDocument, renderBundleCheck } from '../presentation/policy-bundle.ts'
import { examinationDocument, renderExamination } from '../presentation/policy-check.ts'
import type { CommandIo } from '../presentation/terminal.ts'
import { version } from '../version.ts'
import { kindsOptionNamed, profileOption } from './policy-options.ts'

interface CheckOptions {
  readonly strict?: boolean
  readonly lenient?: boolean
  readonly kinds?: readonly EvidenceKind[]
  readonly profile: PolicyProfile
  readonly only?: readonly string[]
  readonly json?: boolean
  readonly sarif?: boolean
}

/**
 * Errors at load always stay: a text that does not load has no lints. L25 stays too: who fills a policy with what is not asked
 * for would hide behind the limit what is.
 */
function narrowed(examined: ExaminedPolicy, only: readonly string[] | undefined): ExaminedPolicy {
  if (only === undefined || examined.policy === null) return examined
  return { ...examined, diagnostics: examined.diagnostics.filter(({ id }) => id === 'L25' || only.includes(id)) }
}

type Checked = NamedExamination | { readonly path: string; readonly bundle: ExaminedBundle }

const isText = (checked: Checked): checked is NamedExamination => 'examined' in checked

function show(checked: readonly Checked[], { json, sarif, only }: CheckOptions, io: CommandIo): void {
  const documents = () =>
    checked.map((each) => (isText(each) ? examinationDocument(each.examined) : bundleDocument(each.bundle)))
  if (sarif) io.out(`${JSON.stringify(sarifLog(checked.filter(isText), version), null, 2)}\n`)
  else if (json) io.out(`${JSON.stringify({ files: documents() })}\n`)
  else
    for (const each of checked)
      io.out(isText(each) ? renderExamination(each.examined, io, only) : renderBundleCheck(each.bundle, io))
}

/** Places of what is bad: a bundle has no lines. */
function badPlaces(checked: Checked, strict: boolean): string[] {
  if (isText(checked)) {
    const { file, diagnostics } = checked.examined
    const bad = diagnostics.filter((each) => isBad(each, strict))
    return bad.map(({ line, column, id }) => `${file}:${line}:${column}: ${id}`)
  }
  const { file, problem } = checked.bundle
  return problem === null ? [] : [`${file}: ${problem.code}`]
}

/** POL-804. */
function requireGood(checked: readonly Checked[], { strict = false }: CheckOptions): void {
  const bad = checked.flatMap((each) => badPlaces(each, strict))
  const [first] = bad
  if (first === undefined) return
  const more = bad.length === 1 ? '' : `, and ${counted(bad.length - 1, 'more finding')}`
  throw agentErrors.error('POLICY_INVALID', `${first}${more}`)
}

async function examine(path: string, source: PolicyFile, options: CheckOptions): Promise<Checked> {
  if (!source.compiled) return { path, examined: narrowed(examinePolicy(source, options), options.only) }
  if (options.sarif) throw agentErrors.error('USAGE', `--sarif is for texts: ${source.file} is a Rego bundle`)
  const { examineBundle } = await import('../policy-tools/examine-bundle.ts')
  return { path, bundle: await examineBundle(source) }
}

async function check(
  files: readonly string[],
  options: CheckOptions,
  io: CommandIo,
  read: (path: string) => Promise<PolicyFile> = readPolicyFile,
): Promise<void> {
  if (options.json && options.sarif) throw agentErrors.error('USAGE', '--json and --sarif contradict each other')
  requireOneStandardInput(files)
  const checked: Checked[] = []
  for (const path of files) checked.push(await examine(path, await read(path), options))
  show(checked, options, io)
  requireGood(checked, options)
}

/** Bundles have no text in which anything could be doubtful. */
const readText = async (path: string): Promise<PolicyFile> => ({ ...(await readPolicySource(path)), compiled: false })

function withCommonOptions(command: Command): Command {
  return command
    .argument('<file...>', 'the policies, - for standard input')
    .option('--strict', 'warnings are errors')
    .option('--lenient', 'accept words in the wrong case, with a warning')
    .addOption(kindsOptionNamed('--kinds <list>', 'the evidence that the policies are about, such as tdx or tpm,ima'))
    .addOption(profileOption())
    .option('--json', 'print the findings as a JSON object')
    .option('--sarif', 'print the findings as a SARIF 2.1.0 log')
}

function lintIds(text: string): readonly string[] {
  const ids = text.split(',')
  const unknown = ids.find((id) => !Object.hasOwn(lintRules, id))
  if (unknown === undefined) return ids
  throw new InvalidArgumentError('must be ids of lints, L01 to L25, joined by commas.')
}

/** `attestd policy check FILE…`: whether policies load, and what is doubtful in them (POL-801 to POL-804). */
export function policyCheckCommand(io: CommandIo): Command {
  const command = new Command('check').description(
    'say where policies are wrong, several errors at once, and what is doubtful in those that load; open Rego bundles',
  )
  return withCommonOptions(command).action((files: string[], options: CheckOptions) => check(files, options, io))
}

/** `attestd policy lint FILE…`: the same, for chosen lints (section 11 of the specification). */
export function policyLintCommand(io: CommandIo): Command {
  const command = new Command('lint').description('name what is doubtful in policies that load')
  return withCommonOptions(command)
    .addOption(new Option('--only <ids>', 'only these lints, joined by commas: L02,L13').argParser(lintIds))
    .action((files: string[], options: CheckOptions) => check(files, options, io, readText))
}
