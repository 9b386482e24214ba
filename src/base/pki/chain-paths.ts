import { equalBytes } from '../bytes.ts'
import type { Certificate } from './certificate.ts'
import type { ChainProblemCode } from './chain-problem.ts'
import type { TrustAnchor } from './trust-anchor.ts'

/** A way upwards by names alone: certificates from the leaf on, then the anchor, or why there is none. */
export interface CandidatePath {
  readonly certificates: readonly Certificate[]
  readonly anchor: TrustAnchor | null
  readonly deadEnd: ChainProblemCode | null
}

export interface PathLimits {
  /** Certificates in a chain, the anchor included. */
  readonly depth: number
  /** Candidates to look at: a hostile pool of cross-certificates has exponentially many. */
  readonly candidates: number
}

/**
 * All ways from `leaf` to an anchor along equal names (DER equality), depth first, those to an anchor first.
 * Self-issued certificates of the pool are never steps: they are roots, and only configuration makes anchors.
 */
export function findPaths(
  leaf: Certificate,
  pool: readonly Certificate[],
  anchors: readonly TrustAnchor[],
  limits: PathLimits,
): CandidatePath[] {
  const complete: CandidatePath[] = []
  const dead: CandidatePath[] = []
  const extend = (certificates: readonly Certificate[]): void => {
    if (complete.length + dead.length >= limits.candidates) return
    const last = certificates[certificates.length - 1] ?? leaf
    const anchored = anchors.filter(({ authority }) => equalBytes(authority.subject.der, last.issuer.der))
    const steps = stepsFrom(last, certificates, pool)
    const isFull = certificates.length + 1 >= limits.depth
    complete.push(...anchored.map((anchor) => ({ certificates, anchor, deadEnd: null })))
    if (!isFull) for (const step of steps) extend([...certificates, step])
    if (anchored.length === 0 && (isFull || steps.length === 0)) {
      dead.push({ certificates, anchor: null, deadEnd: deadEndOf(last, pool, steps.length > 0) })
    }
  }
  extend([leaf])
  return [...complete, ...dead].slice(0, limits.candidates)
}

function stepsFrom(last: Certificate, path: readonly Certificate[], pool: readonly Certificate[]): Certificate[] {
  return pool.filter(
    (candidate) =>
      equalBytes(candidate.subject.der, last.issuer.der) &&
      !isSelfIssued(candidate) &&
      !path.some(({ fingerprint }) => fingerprint === candidate.fingerprint),
  )
}

function isSelfIssued({ subject, issuer }: Certificate): boolean {
  return equalBytes(subject.der, issuer.der)
}

function deadEndOf(last: Certificate, pool: readonly Certificate[], goesOn: boolean): ChainProblemCode {
  if (goesOn) return 'too_deep'
  const meetsRoot = [last, ...pool].some(
    (certificate) => isSelfIssued(certificate) && equalBytes(certificate.subject.der, last.issuer.der),
  )
  return meetsRoot ? 'untrusted_root' : 'issuer_unknown'
}
