import type { Socket } from 'node:net'
import type { CallerIdentity } from '../policies/caller-identity.ts'

/** Why a caller does not count any more: API-46, API-47; `caller_unidentified` over TCP (API-54). */
export type CallerLoss = 'caller_gone' | 'caller_changed' | 'caller_unidentified'

export type CallerState = 'there' | CallerLoss

/** The process that connected, held for the life of the connection (API-41, API-43). */
export interface CallerHandle {
  readonly caller: CallerIdentity
  /** Whether the process that connected still lives, unchanged (API-47); a promise only where the kernel must be waited for. */
  check(): CallerState | Promise<CallerState>
  close(): void
}

/** Port to the host: asks the kernel who is at the other end. */
export interface CallerIdentifier {
  /**
   * Called at accept, before a byte is read; takes what can only be read then synchronously. A promise only where there
   * is something to wait for. Throws, or rejects with, an `AttestdError` of code `caller_gone` or `caller_changed`;
   * anything else counts as `identity_unavailable`.
   */
  identify(socket: Socket, listener: string): CallerHandle | Promise<CallerHandle>
  /**
   * The uid of `SO_PEERCRED` alone, for limits that must cost no look-up (API-23, API-80); null where the kernel
   * does not say. Without this method those limits count after the look-up.
   */
  peerUid?(socket: Socket): number | null
}
