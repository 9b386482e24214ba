import { Command } from 'commander'
import { nearWords } from '../../base/near-words.ts'
import { defaultPolicies, examplePolicies, policyDigest, policyHash } from '../../policies/index.ts'
import { agentErrors } from '../errors.ts'
import { renderTable } from '../presentation/table.ts'
import { type CommandIo, escaped } from '../presentation/terminal.ts'

/** A policy of the package, by what it is for and by which tokens name it. */
interface ShippedPolicyFacts {
  readonly name: string
  /** Decides where nobody set another one; its text never changes (POL-440). Else one to begin with. */
  readonly default: boolean
  readonly permits: string
  readonly policy_hash: string
  readonly sha256: string
  readonly text: string
}

const utf8 = new TextEncoder()

function shippedPolicies(): readonly ShippedPolicyFacts[] {
  const factsOf = (isDefault: boolean) =>
    function facts({ name, permits, text }: (typeof defaultPolicies)[number]): ShippedPolicyFacts {
      const bytes = utf8.encode(text)
      const hashes = { policy_hash: policyHash(bytes), sha256: policyDigest(bytes) }
      return { name, default: isDefault, permits, ...hashes, text }
    }
  return [...defaultPolicies.map(factsOf(true)), ...examplePolicies.map(factsOf(false))]
}

function shippedNamed(name: string): ShippedPolicyFacts {
  const all = shippedPolicies()
  const found = all.find((policy) => policy.name === name)
  if (found !== undefined) return found
  const names = all.map((policy) => policy.name)
  const [near] = nearWords(name.slice(0, 128), names)
  const hint = near === undefined ? '' : `; did you mean ${near}?`
  throw agentErrors.error('USAGE', `no shipped policy is called ${escaped(name)}${hint}`, {
    remedy: '`attestd policy shipped` lists them; with -- in front of what begins with a hyphen',
  })
}

function renderList(policies: readonly ShippedPolicyFacts[]): string {
  const rows = policies.map(({ name, default: isDefault, permits }) => [
    name,
    isDefault ? 'default' : 'to edit',
    permits,
  ])
  return `${renderTable(['POLICY', 'USE', 'PERMITS'], rows)}\n\`attestd policy shipped NAME > FILE\` writes one: check it, test it, set it.\n`
}

/** `attestd policy shipped [NAME]`: the policies of this package, in full and byte for byte (POL-440). */
export function policyShippedCommand(io: CommandIo): Command {
  return new Command('shipped')
    .description(
      'list the policies that come with this program, or print one: what decides by default, and what to edit',
    )
    .argument('[name]', 'one of them: its text, and nothing else')
    .option('--json', 'print name, what it permits, hashes and text as JSON')
    .action((name: string | undefined, { json }: { json?: boolean }) => {
      if (name === undefined) {
        const policies = shippedPolicies()
        io.out(json ? `${JSON.stringify(policies)}\n` : renderList(policies))
        return
      }
      const policy = shippedNamed(name)
      io.out(json ? `${JSON.stringify(policy)}\n` : policy.text)
    })
}
