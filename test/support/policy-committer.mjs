import { randomBytes } from 'node:crypto'
import { openHost } from '../../dist/src/agent/wiring/host.js'
import { openRegistryStore } from '../../dist/src/agent/wiring/registry-store.js'
import { PolicyBook } from '../../dist/src/registry/policies/policy-book.js'

/**
 * Says what it finds of a policy in the registry at the place that its argument names, and then sets policies as fast as
 * it can; says the digest of each once it is acknowledged, with that of the one before, as the audit log has it.
 */
const { name, ...place } = JSON.parse(process.argv[2] ?? '{}')
const say = (line) => process.stdout.write(`${JSON.stringify(line)}\n`)
const slot = 'id:contested'
const textAt = (number) =>
  `version=1.0;\nauthorizationrules { => permit(); };\nissuancerules { => issue(type="${name}", value=${number}); };\n`

const host = openHost()
const store = await openRegistryStore(place, host)
const report = ({ before, after }) => say({ before, after })
const policies = new PolicyBook({
  store: store.policies,
  clock: host.clock,
  random: randomBytes,
  signsTokens: () => false,
  report,
})
const found = await policies.active(slot)
const [last] = await policies.activations(slot)
const versions = await policies.versions(slot)
say({
  found: found === null ? null : found.version.digest,
  isWhole: found === null ? last === undefined : last?.number === found.version.number,
  versions: versions[0]?.number ?? 0,
  latest: versions[0]?.digest ?? null,
})
for (let number = (versions[0]?.number ?? 0) + 1; ; number++) {
  const outcome = await policies.set(slot, new TextEncoder().encode(textAt(number)), name)
  if (!outcome.loaded) throw new Error('the policy of the test does not load')
}
