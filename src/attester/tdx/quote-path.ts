import type { AttestdError } from '../../base/errors.ts'

/** How a quote was obtained; part of the evidence's description (TDX-018). */
export type QuotePathName = 'configfs-tsm' | 'vsock-qgs' | 'tdvmcall'

/**
 * What became of one attempt. `next`: this path has no quote to give, the next one may. `failed`: no other path will
 * do better, or the caller has to act first.
 */
export type QuoteOutcome =
  | { readonly kind: 'quote'; readonly quote: Uint8Array }
  | { readonly kind: 'next'; readonly error: AttestdError }
  | { readonly kind: 'failed'; readonly error: AttestdError }

/** One way to a quote of this guest (TDX 1.1, 1.2). */
export interface QuotePath {
  readonly name: QuotePathName
  /**
   * Asks for a quote over exactly 64 bytes. Between two steps it heeds `signal`, and throws its reason; a step that
   * blocks in the kernel is waited for, since it cannot be taken back. Resolves when nothing of the attempt is left.
   */
  attempt(reportData: Uint8Array, signal: AbortSignal): Promise<QuoteOutcome>
  /** Whether a quote can be expected, as far as that shows without one. A path without this tells by a quote only. */
  probe?(): Promise<boolean>
}
