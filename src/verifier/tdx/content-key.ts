import { createHash } from 'node:crypto'
import type { TrustAnchor } from '../../base/pki/trust-anchor.ts'

/** Characters and bytes of all parts: a document of 1 MiB with its chain, and a list of 1 MiB, have less. */
const contentLimit = 2 * 1_048_576

/**
 * SHA-256 over all parts, each with its length, so that no two lists of parts have one key (TDX-216). Text counts as
 * UTF-16: other encodings have one form for several texts that are not well-formed. Null for parts that are longer than
 * anything authentic: hashing them would be the most costly part of refusing them.
 */
export function contentKey(...parts: readonly (Uint8Array | string)[]): string | null {
  if (parts.reduce((size, part) => size + part.length, 0) > contentLimit) return null
  const hash = createHash('sha256')
  for (const part of parts) {
    const bytes = typeof part === 'string' ? Buffer.from(part, 'utf16le') : part
    hash.update(`${typeof part} ${bytes.length} `).update(bytes)
  }
  return hash.digest('base64url')
}

/** What makes an anchor the one it is. Whether it is a simulator's is not kept, and judged each time. */
export function anchorsKey(anchors: readonly TrustAnchor[]): string {
  const key = contentKey(
    ...anchors.flatMap(({ fingerprints, authority: { publicKey, subject } }) => [
      fingerprints.join(),
      publicKey,
      subject.der,
    ]),
  )
  if (key === null) throw new TypeError('trust anchors have no more than 2 MiB')
  return key
}
