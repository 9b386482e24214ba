import type { TokenRequest } from '../results/token-request.ts'
import type { TokenSource } from './token-source.ts'

function compareBytes(left: string, right: string): number {
  return Buffer.compare(Buffer.from(left), Buffer.from(right))
}

function asSet(texts: readonly string[]): readonly string[] {
  return texts.length < 2 ? texts : [...new Set(texts)].sort(compareBytes)
}

/**
 * The cache key of a request: canonical JSON (RFC 8785) of everything that can change a claim other than `iat`, `nbf`,
 * `exp` and `jti` (BRK-01). One text is one key: JSON quotes what separates, and members stand at fixed places. Two
 * requests with one key may be answered with one token; what a caller merely wishes for is left out (BRK-03).
 *
 * Only for requests that share tokens: one with nonces or `fresh` has no key, asking for it is a bug.
 */
export function cacheKey(request: TokenRequest, source: Pick<TokenSource, 'generation' | 'fixedAudience'>): string {
  if (request.fresh || request.nonces.length > 0)
    throw new TypeError('a request with nonces or `fresh` has no cache key')
  return JSON.stringify([
    request.issuer,
    source.generation,
    request.tokenType,
    asSet(source.fixedAudience ?? request.audience),
    request.ttlS,
    request.cnf === null ? null : request.cnf.jkt,
    asSet(request.policyIds),
  ])
}

/** True when both lists hold the same texts, in any order and however often. */
export function sameSet(left: readonly string[], right: readonly string[]): boolean {
  const [one, other] = [asSet(left), asSet(right)]
  return one.length === other.length && one.every((text, index) => text === other[index])
}
