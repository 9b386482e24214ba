import { isUnshared, type TokenRequest } from '../results/token-request.ts'
import type { TokenSource } from './token-source.ts'

/** A request that the configuration names: its token is fetched at start, kept fresh without demand and never evicted (BRK-04, BRK-70). */
export interface DeclaredRequest {
  readonly request: TokenRequest
  /** A token file is made of it: renewed early enough for readers that keep what they read (BRK-21). */
  readonly sink: boolean
}

/** What one entry is declared for; several declarations may name the same one. */
export interface Purposes {
  readonly warm: boolean
  readonly sink: boolean
}

/** Declared requests are wiring: one that cannot be kept fresh is a bug, found before anything has changed. */
export function requireDeclarable(declared: readonly DeclaredRequest[], sources: readonly TokenSource[]): void {
  const names = new Set(sources.map(({ name }) => name))
  for (const { request } of declared) {
    if (isUnshared(request)) throw new TypeError('a declared request has neither nonces nor `fresh`')
    if (!names.has(request.issuer))
      throw new TypeError(`a declared request names the unknown issuer '${request.issuer}'`)
  }
}
