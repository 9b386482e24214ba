import { Command, InvalidArgumentError, Option } from 'commander'
import type { EvidenceKind } from '../../policies/index.ts'
import { lintRules } from '../../policies/lint/lint-finding.ts'
import type { PolicyProfile } from '../../policies/reserved-claims.ts'
import { agentErrors } from '../errors.ts'
import { type ExaminedPolicy, examinePolicy, isBad } from '../policy-tools/examine-policy.ts'
import { readPolicySource, requireOneStandardInput } from '../policy-tools/policy-source.ts'
import { type NamedExamination, sarifLog } from '../policy-tools/sarif.ts'
import { counted } from '../presentation/counted.ts'
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

/** Errors at load always stay: a text that does not load has no lints. */
function narrowed(examined: ExaminedPolicy, only: readonly string[] | undefined): ExaminedPolicy {
  if (only === undefined || examined.policy === null) return examined
  return { ...examined, diagnostics: examined.diagnostics.filter(({ id }) => only.includes(id)) }
}

function show(examinations: readonly NamedExamination[], { json, sarif }: CheckOptions, io: CommandIo): void {
  if (sarif) io.out(`${JSON.stringify(sarifLog(examinations, version), null, 2)}\n`)
  else if (json)
    io.out(`${JSON.stringify({ files: examinations.map((each) => examinationDocument(each.examined)) })}\n`)
  else for (const { examined } of examinations) io.out(renderExamination(examined, io))
}

/** POL-804. */
function requireGood(examinations: readonly NamedExamination[], { strict = false }: CheckOptions): void {
  const bad = examinations.flatMap(({ examined: { file, diagnostics } }) =>
    diagnostics.filter((each) => isBad(each, strict)).map((each) => ({ file, ...each })),
  )
  const [first] = bad
  if (first === undefined) return
  const more = bad.length === 1 ? '' : `, and ${counted(bad.length - 1, 'more finding')}`
  throw agentErrors.error('POLICY_INVALID', `${first.file}:${first.line}:${first.column}: ${first.id}${more}`)
}

async function check(files: readonly string[], options: CheckOptions, io: CommandIo): Promise<void> {
  if (options.json && options.sarif) throw agentErrors.error('USAGE', '--json and --sarif contradict each other')
  requireOneStandardInput(files)
  const examinations: NamedExamination[] = []
  for (const path of files) {
    const examined = examinePolicy(await readPolicySource(path), options)
    examinations.push({ path, examined: narrowed(examined, options.only) })
  }
  show(examinations, options, io)
  requireGood(examinations, options)
}

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
  throw new InvalidArgumentError('must be ids of lints, L01 to L21, joined by commas.')
}

/** `attestd policy check FILE…`: whether policies load, and what is doubtful in them (POL-801 to POL-804). */
export function policyCheckCommand(io: CommandIo): Command {
  const command = new Command('check').description(
    'say where policies are wrong, several errors at once, and what is doubtful in those that load',
  )
  return withCommonOptions(command).action((files: string[], options: CheckOptions) => check(files, options, io))
}

/** `attestd policy lint FILE…`: the same, for chosen lints (section 11 of the specification). */
export function policyLintCommand(io: CommandIo): Command {
  const command = new Command('lint').description('name what is doubtful in policies that load')
  return withCommonOptions(command)
    .addOption(new Option('--only <ids>', 'only these lints, joined by commas: L02,L13').argParser(lintIds))
    .action((files: string[], options: CheckOptions) => check(files, options, io))
}
