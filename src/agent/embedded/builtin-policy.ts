import { createHash } from 'node:crypto'
import { canonicalJson } from '../../base/json.ts'
import type { TpmRequirements } from '../../verifier/index.ts'

/**
 * The requirements of the configuration as a policy with a name and a hash, so that a token says what was asked of
 * the evidence: `policy-hash` is the SHA-256 of their canonical JSON (RFC 8785), in hexadecimal.
 */
export function builtinPolicy(requirements: TpmRequirements): { readonly id: string; readonly hash: string } {
  const readable = (_name: string, value: unknown) => (typeof value === 'bigint' ? value.toString(16) : value)
  const text = canonicalJson(JSON.parse(JSON.stringify({ tpm: requirements }, readable)))
  return { id: 'builtin', hash: createHash('sha256').update(text).digest('hex') }
}
