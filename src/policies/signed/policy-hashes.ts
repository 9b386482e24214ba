import { createHash } from 'node:crypto'
import { toBase64url, toHex } from '../../base/bytes.ts'

const sha256 = (data: Uint8Array | string): Uint8Array => createHash('sha256').update(data).digest()

/** `x-ms-policy-hash` (POL-710): base64url of the SHA-256 over the base64url text of a policy's UTF-8 bytes. */
export function policyHash(policy: Uint8Array): string {
  return toBase64url(sha256(toBase64url(policy)))
}

/** `x-ms-policy-token-hash` (POL-710): base64url of the SHA-256 over the compact JWS exactly as it was uploaded. */
export function policyTokenHash(jws: string): string {
  return toBase64url(sha256(jws))
}

/** `evaluation-reports[].policy-hash` (POL-711): SHA-256 over the bytes of a policy, 64 lower-case hexadecimal digits. */
export function policyDigest(policy: Uint8Array): string {
  return toHex(sha256(policy))
}
