import type { TrustAnchor } from '../../base/pki/trust-anchor.ts'

/**
 * The work of one appraisal on certificates: each distinct certificate is parsed once, each key imported once and each
 * signature verified once, although a root occurs in up to four chains. Make one for each appraisal, or keep one in a
 * memo: it holds only what follows from bytes and anchors, never from the time.
 */
export interface ChainWork {
  readonly anchors: readonly TrustAnchor[]
}
