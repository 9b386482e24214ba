import { defaultPolicies } from '../../src/policies/defaults/default-policies.ts'
import type { ShippedPolicy } from '../../src/policies/defaults/shipped-policy.ts'
import { examplePolicies } from '../../src/policies/examples/example-policies.ts'
import { policyTestFile } from '../../src/policies/shipped-tests/policy-test-spec.ts'
import { tdxPolicyTests } from '../../src/policies/shipped-tests/tdx-tests.ts'
import { tpmPolicyTests } from '../../src/policies/shipped-tests/tpm-tests.ts'
import { generated } from './table.ts'

const shown = ({ name, permits, text }: ShippedPolicy) => `### ${name}\n\n${permits}\n\n\`\`\`text\n${text}\`\`\`\n`

const intro = `[Claims of policies](policy-claims.md) lists what rules can match.\nEvery text lies in [policies](policies), beside tests that show what it permits and each way in which it refuses: \`attestd policy test FILE\`.`

const defaults = `## Defaults

With the section \`[policies]\` of the [configuration](appraisal-policies.md) they apply where it names no policy for the guest, and the
token names them. Their texts never change: a new release brings a new name. None of them says *which* image runs: pin measurements for that.`

const examples = `## Examples

Texts to start from. \`first-policy\` is the one to edit first.`

/** docs/shipped-policies.md: every text in full (POL-440). */
export function shippedPoliciesPage(): string {
  const parts = [
    defaults,
    defaultPolicies.map(shown).join('\n'),
    examples,
    examplePolicies.map((policy) => `${shown(policy)}`).join('\n'),
  ]
  return `# Shipped policies\n\n${generated} ${intro}\n\n${parts.join('\n\n')}`
}

const folder = 'docs/policies'

/** The texts as files, and their tests (POL-830). */
export function shippedPolicyFiles(): Readonly<Record<string, string>> {
  const texts = [...defaultPolicies, ...examplePolicies].map(({ name, text }) => [`${folder}/${name}.policy`, text])
  const tests = [...tdxPolicyTests, ...tpmPolicyTests].map((spec) => [
    `${folder}/${spec.policy.name}.policytest.json`,
    policyTestFile(spec),
  ])
  return Object.fromEntries([...texts, ...tests])
}
