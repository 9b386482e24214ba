import { createHash } from 'node:crypto'
import { toHex } from '../../base/bytes.ts'
import { canonicalJson } from '../../base/json.ts'
import type { GuestTd, GuestTpm } from './guest.ts'

/** What a guest asks of its evidence. */
interface GuestRequirements {
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

/**
 * The requirements of the configuration as a policy with a name and a hash, so that a token says what was asked of
 * the evidence: `policy-hash` is the SHA-256 of their canonical JSON (RFC 8785), in hexadecimal.
 */
export function builtinPolicy(guest: GuestRequirements): { readonly id: string; readonly hash: string } {
  const requirements = { tpm: tpmPolicy(guest), tdx: tdxPolicy(guest) }
  const text = canonicalJson(JSON.parse(JSON.stringify(requirements, readable)))
  return { id: builtinPolicyId, hash: createHash('sha256').update(text).digest('hex') }
}
