import type { AttestdError } from '../../base/errors.ts'
import type { CollateralItem, ItemFacts } from './collateral-item.ts'
import type { ItemKey } from './item-key.ts'

/**
 * Judges one item by itself at `now` (ms since the epoch): signature, issuer chain up to a trust anchor, form. Null if
 * it is authentic, else one sentence why not. The trust anchors are the implementation's. Never throws for a bad item.
 */
export type AuthenticateItem = (item: CollateralItem, at: { readonly now: number }) => string | null

/** Where items are kept over a restart. What it gives back is not trusted: every item is authenticated again. */
export interface CollateralStore {
  /** Names of all files. */
  list(): Promise<readonly string[]>
  /** Null where there is none; rejects above `maxBytes`. */
  read(name: string, maxBytes: number): Promise<Uint8Array | null>
  /** Has reached the disk when it resolves; after a crash the old or the new content is there, whole. */
  write(name: string, content: Uint8Array): Promise<void>
  remove(name: string): Promise<void>
}

/** What a server answered to one request. */
export interface CollateralAnswer {
  readonly status: number
  /** Names in lower case; a header that came more than once is left out. */
  readonly headers: Readonly<Record<string, string>>
  readonly body: Uint8Array
}

/** One HTTP exchange. Tests bring their own; `createCollateralTransport` is the usual one. */
export interface CollateralTransport {
  /**
   * Sends one GET without credentials and gives the answer as it is: redirects are not followed. Rejects when the body
   * is longer than `maxBytes` or when `signal` aborts.
   */
  get(url: URL, limits: { readonly maxBytes: number; readonly signal: AbortSignal }): Promise<CollateralAnswer>
}

/** One place where items come from: a server or files. */
export interface ItemSource {
  /** For messages and the state: a URL without credentials, or a path. */
  readonly name: string
  /**
   * The item `key`, unverified; more than one where its exact text is not certain (TDX-221): the first authentic one
   * counts. Rejects with an error of `endorserErrors`, or with the reason of `signal`.
   */
  obtain(key: ItemKey, signal: AbortSignal): Promise<readonly CollateralItem[]>
}

/** Files that an operator names (TDX-220). Rejections are `AttestdError`s. */
export interface CollateralFiles {
  /** Rejects above `maxBytes` and where there is no regular file. */
  read(path: string, maxBytes: number): Promise<Uint8Array>
  /** Paths of the files of a directory, sorted; null where `path` is none. */
  list(path: string): Promise<readonly string[] | null>
}

/** What is worth a line in the log. `item` is the name of an item, `source` of a source. */
export type CollateralEvent =
  | { readonly event: 'collateral_obtained'; readonly item: string; readonly source: string; readonly facts: ItemFacts }
  /** The item at hand has a greater number than the one before it: another TCB evaluation, another revocation list. */
  | { readonly event: 'collateral_raised'; readonly item: string; readonly source: string; readonly facts: ItemFacts }
  | {
      /** A source served an authentic item that is older than the one at hand (TDX-212): it was ignored. */
      readonly event: 'collateral_rollback'
      readonly item: string
      readonly source: string
      readonly held: ItemFacts
      readonly offered: ItemFacts
    }
  | {
      readonly event: 'collateral_source_failed'
      readonly item: string
      readonly source: string
      readonly error: AttestdError
    }
  | {
      /** The item at hand stays in use for `leftMs` more; `expiring`: that is less than 72 hours (TDX-214). */
      readonly event: 'collateral_refresh_failed'
      readonly item: string
      readonly leftMs: number
      readonly expiring: boolean
      readonly error: AttestdError
    }
  | { readonly event: 'collateral_store_failed'; readonly item: string; readonly cause: unknown }
  | { readonly event: 'collateral_stored_unusable'; readonly item: string; readonly problem: string }

/** The life of one item at hand, for `status`, `doctor` and metrics (TDX-214, TDX-222). Times in ms since the epoch. */
export interface HeldItemState {
  readonly item: string
  readonly key: ItemKey
  readonly facts: ItemFacts
  /** When a source last confirmed it, and which; of items from the store the source is null. */
  readonly fetchedAt: number
  readonly source: string | null
  /** Time until `facts.nextUpdate`; negative when it is past. */
  readonly leftMs: number
  readonly expired: boolean
  readonly failures: number
}
