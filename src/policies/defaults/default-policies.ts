import type { EvidenceKind } from '../claims/claim-entry.ts'
import type { ShippedPolicy } from './shipped-policy.ts'
import { denyAll, sgxDefault, tdxDefault, tdxGpuDefault } from './tdx-defaults.ts'
import { tdxTpmDefault, tdxTpmImaDefault } from './tdx-tpm-defaults.ts'
import { tpmDefault, tpmImaDefault } from './tpm-defaults.ts'

const defaults: readonly (readonly [kinds: readonly EvidenceKind[], ShippedPolicy])[] = [
  [['tdx'], tdxDefault],
  [['tdx', 'gpu'], tdxGpuDefault],
  [['tpm'], tpmDefault],
  [['tpm', 'ima'], tpmImaDefault],
  [['tdx', 'tpm'], tdxTpmDefault],
  [['tdx', 'tpm', 'ima'], tdxTpmImaDefault],
  [['sgx'], sgxDefault],
]

/** All of them, the one that permits nothing last. */
export const defaultPolicies: readonly ShippedPolicy[] = [...defaults.map(([, policy]) => policy), denyAll]

/**
 * The policy for evidence of exactly these kinds, in any order, where none is configured (POL-441); for every other
 * combination the one that permits nothing. `ima` among the kinds asks for a log that was compared with reference values.
 * Kinds that belong to one guest have one policy together: two defaults at once would name themselves differently (POL-429).
 */
export function defaultPolicyFor(kinds: readonly EvidenceKind[]): ShippedPolicy {
  const asked = new Set(kinds)
  const found = defaults.find(([own]) => own.length === asked.size && own.every((kind) => asked.has(kind)))
  return found?.[1] ?? denyAll
}
