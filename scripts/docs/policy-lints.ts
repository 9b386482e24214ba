import { lintRules } from '../../src/policies/lint/lint-finding.ts'
import { generated, row } from './table.ts'

const intro = `What \`attestd policy lint\` and \`attestd policy check\` tell of a policy that loads. An *error* is a rule that
fails when it fires, so that nothing is permitted; a *warning* does hardly what was meant. No finding says that a policy is good.`

/** docs/policy-lints.md (section 11). */
export function policyLintsPage(): string {
  const rows = Object.entries(lintRules).map(([id, { severity, title }]) => row(`\`${id}\``, severity, title))
  return `# Lints of policies\n\n${generated} ${intro}\n\n| id | severity | told where |\n|---|---|---|\n${rows.join('\n')}\n`
}
