import type { TokenPlace } from './sink.ts'

/** A place that is open, and whether its directory is where it was. */
export interface Reached {
  readonly place: TokenPlace
  readonly replaced: boolean
  /** Opened just now. */
  readonly fresh: boolean
}

/** The place of a file while it is open; opened anew only where its directory was removed (BRK-112). */
export class ReachedPlace {
  readonly #open: () => Promise<TokenPlace>
  readonly #changed: () => void
  #place: TokenPlace | null = null
  #unwatch = new AbortController()
  #watched = false

  constructor(open: () => Promise<TokenPlace>, changed: () => void) {
    this.#open = open
    this.#changed = changed
  }

  get place(): TokenPlace | null {
    return this.#place
  }

  /** Whether changes in the directory are told. */
  get watched(): boolean {
    return this.#watched
  }

  /** Rejects with the `AttestdError` of a place that cannot be opened or looked at. */
  async reach(): Promise<Reached> {
    if (this.#place !== null) {
      const where = await this.#place.whereabouts()
      if (where !== 'gone') return { place: this.#place, replaced: where === 'replaced', fresh: false }
      await this.close()
    }
    const place = await this.#open()
    this.#place = place
    this.#unwatch = new AbortController()
    this.#watched = place.watch(this.#changed, this.#unwatch.signal)
    return { place, replaced: false, fresh: true }
  }

  async close(): Promise<void> {
    this.#unwatch.abort()
    this.#watched = false
    const place = this.#place
    this.#place = null
    await place?.close()
  }
}
