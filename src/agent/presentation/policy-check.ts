import type { PolicyDiagnostic, Severity } from '../../policies/index.ts'
import { maximumErrors } from '../../policies/language/findings.ts'
import { showDiagnostic } from '../../policies/language/show-diagnostic.ts'
import type { ExaminedPolicy } from '../policy-tools/examine-policy.ts'
import type { PolicySource } from '../policy-tools/policy-source.ts'
import { counted } from './counted.ts'
import { type CommandIo, escaped, painted } from './terminal.ts'

const colours = { error: 'red', warning: 'yellow', info: 'grey' } as const
const words: Readonly<Record<Severity, string>> = { error: 'error', warning: 'warning', info: 'remark' }

function paintedDiagnostic(diagnostic: PolicyDiagnostic, { bytes, file }: PolicySource, io: CommandIo): string {
  const [head = '', ...rest] = showDiagnostic(diagnostic, bytes, file).split('\n')
  return [painted(io, colours[diagnostic.severity], head), ...rest].join('\n')
}

function countsOf(diagnostics: readonly PolicyDiagnostic[]): string {
  const parts = (['error', 'warning', 'info'] as const).flatMap((severity) => {
    const count = diagnostics.filter((each) => each.severity === severity).length
    return count === 0 ? [] : [counted(count, words[severity])]
  })
  return parts.length === 0 ? 'nothing doubtful' : parts.join(', ')
}

/** What was looked for and not found is said as what it is: other lints were not asked. */
function foundOf(diagnostics: readonly PolicyDiagnostic[], only: readonly string[] | undefined): string {
  return diagnostics.length === 0 && only !== undefined ? `nothing of ${only.join(', ')}` : countsOf(diagnostics)
}

function summary({ file, policy, diagnostics, policyHash }: ExaminedPolicy, io: CommandIo, only?: readonly string[]) {
  const says = foundOf(diagnostics, only)
  const first = diagnostics.length >= maximumErrors ? 'the first ' : ''
  if (policy === null) return `${escaped(file)}: ${painted(io, 'red', 'does not load')}: ${first}${says}`
  const rules = policy.configuration.length + policy.authorization.length + policy.issuance.length
  return `${escaped(file)}: ${painted(io, 'green', 'loads')}: version ${policy.version}, ${counted(rules, 'rule')}, ${says}; policy hash ${policyHash}`
}

/** Every diagnostic as in POL-802. */
export function renderDiagnostics(
  diagnostics: readonly PolicyDiagnostic[],
  source: PolicySource,
  io: CommandIo,
): string {
  return diagnostics.map((each) => `${paintedDiagnostic(each, source, io)}\n`).join('')
}

/** Every diagnostic, then one line that sums up; `only`: the lints that were asked for. */
export function renderExamination(examined: ExaminedPolicy, io: CommandIo, only?: readonly string[]): string {
  return `${renderDiagnostics(examined.diagnostics, examined, io)}${summary(examined, io, only)}\n`
}

/** The same as JSON; diagnostics as in POL-801. */
export function examinationDocument(examined: ExaminedPolicy): Record<string, unknown> {
  const { file, policy, policyHash, sha256, diagnostics } = examined
  return { file, loads: policy !== null, policy_hash: policyHash, sha256, diagnostics }
}
