import { isJsonObject, type JsonObject, type JsonValue } from '../base/json.ts'
import type { Tee } from './acr.ts'
import { resultsErrors } from './errors.ts'
import { encodeTcbStatus } from './tcb-status.ts'

/** The value of `eat_profile` in tokens of profile `alibaba` (TOK-21). */
export const alibabaProfile = 'https://www.alibabacloud.com/help/en/ecs/user-guide/eat-profile'

/** Everything that the claims of profile `alibaba` are made from. Times are whole seconds since the epoch. */
export interface AlibabaClaimsInput {
  /** Also the audience. */
  readonly issuer: string
  readonly issuedAt: number
  readonly expiresAt: number
  readonly jti: string
  readonly tee: Tee
  /** Claims of an affirmed appraisal: of them only the tree `tdx` goes in, and what is derived from it. */
  readonly claims: Readonly<Record<string, unknown>>
  readonly simulated: boolean
  /** Evaluated policies in order of evaluation; the hash of the built-in one is null (TOK-26). */
  readonly policies: readonly { readonly id: string; readonly hash: string | null }[]
  /** Verified structured runtime data; null or absent for raw bytes and for none (TOK-25). */
  readonly runtimeData?: JsonObject | null
  /** Verified init data; null or absent where only their digest was given. */
  readonly initData?: JsonObject | null
}

function tdxTree(claims: AlibabaClaimsInput['claims']): JsonObject {
  const tdx = claims['tdx'] as JsonValue | undefined
  if (isJsonObject(tdx)) return tdx
  throw resultsErrors.error('CLAIM_MISSING', 'the appraisal has no verified claim tdx', { facts: { claim: 'tdx' } })
}

function requireTimes({ issuedAt, expiresAt }: AlibabaClaimsInput): void {
  if (Number.isSafeInteger(issuedAt) && Number.isSafeInteger(expiresAt) && expiresAt > issuedAt) return
  throw new TypeError('the times of a token are whole seconds, and it expires after it was issued (TOK-12)')
}

/**
 * The claims of profile `alibaba` (tables of token.md sections 1 and 3): no subject, the issuer as audience, the TD as a
 * string of flattened names, no key, no nonce and no verdict about the platform. The canonical form of the result
 * (RFC 8785) is the payload, byte for byte as the service issues it (TOK-32). `attestd.simulated` is the only member
 * that it has not (TOK-04). Throws `CLAIM_MISSING` for an appraisal without a TD.
 */
export function composeAlibabaClaims(input: AlibabaClaimsInput): JsonObject {
  requireTimes(input)
  return {
    iss: input.issuer,
    aud: input.issuer,
    exp: input.expiresAt,
    iat: input.issuedAt,
    nbf: input.issuedAt,
    jti: input.jti,
    eat_profile: alibabaProfile,
    tee: input.tee,
    'tcb-status': encodeTcbStatus(tdxTree(input.claims)),
    // `null` for raw runtime data too: what binds is the report data in `tcb-status` (TOK-25).
    customized_claims: { init_data: input.initData ?? null, runtime_data: input.runtimeData ?? null },
    'evaluation-reports': input.policies.map(({ id, hash }) => ({ 'policy-id': id, 'policy-hash': hash })),
    ...(input.simulated ? { attestd: { simulated: true } } : {}),
  }
}
