import type { PublicKeySet } from './public-keys.ts'

/** Where a token verifier finds the keys of its issuer. One source may serve several verifiers of one issuer. */
export interface KeySource {
  /** The keys to verify with now. Throws `keys_unavailable` if there are none that are young enough (TOK-82). */
  current(): Promise<PublicKeySet>
  /**
   * Called when `seen` lacks a `kid`: the keys after one more attempt to fetch them, or undefined if this source has
   * none to make now.
   */
  refetched(seen: PublicKeySet): Promise<PublicKeySet | undefined>
}

/** Keys that the operator configured: they never change. */
export function fixedKeys(keys: PublicKeySet): KeySource {
  return { current: async () => keys, refetched: async () => undefined }
}
