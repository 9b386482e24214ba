import { regoErrors } from './errors.ts'
import { type RegoEntrypoint, regoEntrypoints } from './rego-results.ts'

export interface DeclaredEntrypoints {
  /** As the compiled policy says. */
  readonly module: readonly string[]
  /** As the manifest of the bundle says; null if it does not. */
  readonly manifest: readonly string[] | null
}

const missing = (problem: string) => regoErrors.error('REGO_ENTRYPOINT_MISSING', problem)

function requireAll(wanted: readonly string[], { module }: DeclaredEntrypoints, says: string): void {
  const lacking = wanted.filter((name) => !module.includes(name))
  if (lacking.length > 0)
    throw missing(`${says} ${lacking.join(', ')}, and the policy has ${module.join(', ') || 'none'}`)
}

/**
 * Which entrypoints are asked at each evaluation (POL-960, POL-964): those that the configuration names, or else those of
 * ours that the policy has. `policy/trust_claims` must be among them, but for a policy with `policy/allow` alone. Throws
 * `REGO_ENTRYPOINT_MISSING`.
 */
export function requireEntrypoints(
  declared: DeclaredEntrypoints,
  named: readonly RegoEntrypoint[] | null,
): readonly RegoEntrypoint[] {
  requireAll(named ?? [], declared, 'the configuration names')
  requireAll(declared.manifest ?? [], declared, 'the manifest of the bundle names')
  const asked = regoEntrypoints.filter((name) => (named ?? declared.module).includes(name))
  const isAllowAlone = asked.join() === 'policy/allow' && (named !== null || declared.module.length === 1)
  if (asked.includes('policy/trust_claims') || isAllowAlone) return asked
  throw missing('the policy has no entrypoint policy/trust_claims, and policy/allow is not its only one')
}
