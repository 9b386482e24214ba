import { createHash } from 'node:crypto'
import { toHex } from '../../base/bytes.ts'
import { canonicalJson, type JsonObject } from '../../base/json.ts'
import type { TokenRequest } from '../../results/token-request.ts'
import { type AppraisalPolicies, type AppraisalPolicy, isBundled, policiesOf } from './appraisal-policies.ts'
import type { GuestTd, GuestTpm } from './guest.ts'

/** What a guest asks of its evidence. */
export interface GuestRequirements {
  readonly tpm: Pick<GuestTpm, 'requirements' | 'references'> | null
  readonly td: Pick<GuestTd, 'requirements'> | null
}

/** Values that JSON has no form for, in one that always reads the same. */
function readable(_name: string, value: unknown): unknown {
  if (typeof value === 'bigint') return value.toString(16)
  return value instanceof Uint8Array ? toHex(value) : value
}

/** What is asked of a TD: its trust anchors by their fingerprints. */
function tdxPolicy({ td }: GuestRequirements): object | undefined {
  if (td === null) return undefined
  const { trustAnchors = [], ...requirements } = td.requirements
  return { ...requirements, anchors: trustAnchors.flatMap(({ fingerprints }) => fingerprints) }
}

/** What is asked of a TPM: its reference values by the hash of what they say. */
function tpmPolicy({ tpm }: GuestRequirements): object | undefined {
  if (tpm === null) return undefined
  const { requirements, references } = tpm
  return references === null ? requirements : { ...requirements, references: references.id }
}

/** What tokens call the requirements of the configuration; no other policy can have this id. */
export const builtinPolicyId = 'builtin'

/** What decides beside bundles, by their ids; undefined where no bundle is asked. */
function bundleSettings(policies: readonly AppraisalPolicy[]): JsonObject | undefined {
  const bundled = policies.filter(isBundled)
  return bundled.length === 0 ? undefined : Object.fromEntries(bundled.map(({ id, settings }) => [id, settings]))
}

/** A policy as tokens name it. */
export interface ReportedPolicy {
  readonly id: string
  readonly hash: string
}

/**
 * The requirements of the configuration as a policy with a name and a hash, so that a token says what was asked of
 * the evidence: `policy-hash` is the SHA-256 of their canonical JSON (RFC 8785), in hexadecimal. Of the `policies` of a
 * request it covers what their own hashes do not.
 */
export function builtinPolicy(guest: GuestRequirements, policies: readonly AppraisalPolicy[] = []): ReportedPolicy {
  const requirements = { tpm: tpmPolicy(guest), tdx: tdxPolicy(guest), bundles: bundleSettings(policies) }
  const text = canonicalJson(JSON.parse(JSON.stringify(requirements, readable)))
  return { id: builtinPolicyId, hash: createHash('sha256').update(text).digest('hex') }
}

/** What a token for this request names as evaluated, in order: the requirements, then its policies (TOK-26, POL-711). */
export function reportedPolicies(
  guest: GuestRequirements,
  policies: AppraisalPolicies | null,
  request: Pick<TokenRequest, 'policyIds'>,
): readonly ReportedPolicy[] {
  const asked = policiesOf(policies, request)
  return [builtinPolicy(guest, asked), ...asked.map(({ id, hash }) => ({ id, hash }))]
}
