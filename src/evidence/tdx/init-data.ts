import { equalBytes } from '../../base/bytes.ts'
import { MalformedError } from '../../base/errors.ts'

/** Bytes of MRCONFIGID. */
const registerSize = 48

/**
 * Whether MRCONFIGID (48 bytes) is the digest of init data, with zeros behind it (TDX-043). Throws `MalformedError` for a
 * digest of more than 48 bytes.
 */
export function isInitDataDigest(mrConfigId: Uint8Array, digest: Uint8Array): boolean {
  if (digest.length > registerSize) {
    throw new MalformedError({ path: 'initData' }, `has ${digest.length} bytes, may have ${registerSize}`)
  }
  const padded = new Uint8Array(registerSize)
  padded.set(digest)
  return equalBytes(mrConfigId, padded)
}
