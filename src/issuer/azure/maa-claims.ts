import type { JsonObject, JsonValue } from '../../base/json.ts'
import type { Claim, ClaimValue, TokenValue } from '../../policies/index.ts'
import { azureErrors } from './errors.ts'

/** Claims of the verifier that a TDX token has under the same names (section 15.2). */
const verified = [
  ...['tdx_mrtd', 'tdx_rtmr0', 'tdx_rtmr1', 'tdx_rtmr2', 'tdx_rtmr3', 'tdx_mrseam', 'tdx_mrsignerseam'],
  ...['tdx_mrconfigid', 'tdx_mrowner', 'tdx_mrownerconfig', 'tdx_report_data', 'tdx_seam_attributes'],
  ...['tdx_td_attributes', 'tdx_xfam', 'tdx_tee_tcb_svn', 'tdx_td_attributes_debug', 'tdx_td_attributes_key_locker'],
  ...['tdx_td_attributes_perfmon', 'tdx_td_attributes_protection_keys', 'tdx_td_attributes_septve_disable'],
  ...['attester_tcb_status', 'dbgstat'],
] as const

/**
 * What a policy never says at the top of a token: there it would pass for a statement of the verifier, or for one of
 * Azure. Under `x-ms-policy` it is known to be the policy's.
 */
const notAtTop = (name: string): boolean =>
  /^(?:tdx_|x-ms-)/.test(name) || ['attester_tcb_status', 'dbgstat', 'intuse', 'attestd'].includes(name)
const never = 'x-ms-compliance-status'

export interface MaaInputs {
  readonly issuer: string
  readonly jti: string
  /** Seconds since the epoch. */
  readonly issuedAt: number
  readonly expiresAt: number
  /** As `presentClaims` gave them to the policy. */
  readonly claims: readonly Claim[]
  readonly simulated: boolean
  readonly policyHash: string
  /** The JWK of who signed the policy. */
  readonly policySigner: JsonObject | null
  /** What the policy issued. */
  readonly issued: Readonly<Record<string, TokenValue>>
  /** Of runtime data that the quote binds. */
  readonly runtime: JsonObject | null
  readonly nonce: string | null
}

/** Claims of a token in the style of Azure Attestation for a TD (section 15.2). */
export function composeMaaClaims(inputs: MaaInputs): JsonObject {
  const { issuer, issuedAt, expiresAt, jti, policySigner, runtime, nonce } = inputs
  const issued = issuedMembers(inputs.issued)
  const top = Object.fromEntries(Object.entries(issued).filter(([name]) => !notAtTop(name)))
  return {
    ...top,
    ...verifiedMembers(inputs.claims),
    ...{ iss: issuer, iat: issuedAt, nbf: issuedAt, exp: expiresAt, jti },
    'x-ms-ver': '1.0',
    'x-ms-attestation-type': 'tdxvm',
    'x-ms-policy-hash': inputs.policyHash,
    'x-ms-policy': issued,
    eat_profile: `${issuer}/eat-profile/tdx-1`,
    intuse: 'generic',
    ...(policySigner === null ? {} : { 'x-ms-policy-signer': policySigner }),
    ...(runtime === null ? {} : { 'x-ms-runtime': runtime }),
    ...(nonce === null ? {} : { nonce }),
    ...(inputs.simulated ? { attestd: { simulated: true } } : {}),
  }
}

/** Each is there for every TD that was verified: one that is missing is a bug, not a token without it. */
function verifiedMembers(claims: readonly Claim[]): JsonObject {
  const members: JsonObject = {}
  for (const name of verified) {
    const found = claims.filter(({ type, issuer }) => type === name && issuer === 'AttestationService')
    const [only] = found
    if (only === undefined || found.length !== 1) throw new TypeError(`a verified TD has one claim ${name}`)
    members[name] = jsonOf(only.value)
  }
  const svn = Buffer.from(String(members['tdx_tee_tcb_svn']), 'hex')
  return { ...members, tdx_seamsvn: svn.readUInt16LE(0) }
}

function issuedMembers(issued: Readonly<Record<string, TokenValue>>): JsonObject {
  const members: JsonObject = Object.create(null)
  for (const [name, value] of Object.entries(issued)) {
    if (name !== never) members[name] = Array.isArray(value) ? value.map(jsonOf) : jsonOf(value as ClaimValue)
  }
  return members
}

/** An integer that readers of JSON would round into another one is not signed. */
function jsonOf(value: ClaimValue): JsonValue {
  if (typeof value !== 'bigint') return value
  const number = Number(value)
  if (Number.isSafeInteger(number)) return number
  throw azureErrors.error('AZURE_POLICY_DENIED', 'Policy Engine Exception: an issued integer is not exact in JSON')
}
