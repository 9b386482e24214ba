import { createHash } from 'node:crypto'
import type { TrustAnchor } from '../../base/pki/trust-anchor.ts'

/**
 * SHA-256 over all parts, each with its length, so that no two lists of parts have one key (TDX-216). Text counts as
 * UTF-16: other encodings have one form for several texts that are not well-formed.
 */
export function contentKey(...parts: readonly (Uint8Array | string)[]): string {
  const hash = createHash('sha256')
  for (const part of parts) {
    const bytes = typeof part === 'string' ? Buffer.from(part, 'utf16le') : part
    hash.update(`${typeof part} ${bytes.length} `).update(bytes)
  }
  return hash.digest('base64url')
}

/** What makes an anchor the one it is. Whether it is a simulator's is not kept, and judged each time. */
export function anchorsKey(anchors: readonly TrustAnchor[]): string {
  return contentKey(
    ...anchors.flatMap(({ fingerprints, authority: { publicKey, subject } }) => [
      fingerprints.join(),
      publicKey,
      subject.der,
    ]),
  )
}
