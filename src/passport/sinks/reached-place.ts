import { AttestdError } from '../../base/errors.ts'
import type { TokenPlace } from './sink.ts'

/** A place that is open, and whether its directory is where it was. */
export interface Reached {
  readonly place: TokenPlace
  /** Its directory is not at its path any more, and none is there that may have the file instead. */
  readonly replaced: boolean
  /** What was left there has not been dealt with yet. */
  readonly fresh: boolean
  /** The place that was left for this one; whoever gets it tidies and closes it. */
  readonly left: TokenPlace | null
}

/** The place of a file while it is open. Its directory is opened once (BRK-112), and anew where it was removed or moved away. */
export class ReachedPlace {
  readonly #open: () => Promise<TokenPlace>
  readonly #changed: () => void
  #place: TokenPlace | null = null
  #unwatch = new AbortController()
  #watched = false
  #replaced = false
  #fresh = false

  constructor(open: () => Promise<TokenPlace>, changed: () => void) {
    this.#open = open
    this.#changed = changed
  }

  get place(): TokenPlace | null {
    return this.#place
  }

  /** Whether changes in the directory, and a new one at its path, are told. */
  get watched(): boolean {
    // What appears at the path is seen by no watch on a directory that is elsewhere.
    return this.#watched && !this.#replaced
  }

  /** Rejects with the `AttestdError` of a place that cannot be opened or looked at. */
  async reach(): Promise<Reached> {
    const place = this.#place
    if (place === null) return this.#adopt(await this.#open(), null)
    const where = await place.whereabouts()
    if (where === 'gone') {
      await this.close()
      return this.#adopt(await this.#open(), null)
    }
    const successor = where === 'replaced' ? await this.#findSuccessor(place) : null
    if (successor !== null) return this.#adopt(successor, place)
    this.#replaced = where === 'replaced'
    return { place, replaced: this.#replaced, fresh: this.#fresh, left: null }
  }

  /** What was left there has been dealt with; until then it is tried again, for it may be a token that has ended. */
  arrived(): void {
    this.#fresh = false
  }

  async close(): Promise<void> {
    this.#unwatch.abort()
    this.#watched = false
    const place = this.#place
    this.#place = null
    await place?.close()
  }

  #adopt(place: TokenPlace, left: TokenPlace | null): Reached {
    this.#unwatch.abort()
    this.#place = place
    this.#replaced = false
    this.#fresh = true
    this.#unwatch = new AbortController()
    this.#watched = place.watch(this.#changed, this.#unwatch.signal)
    return { place, replaced: false, fresh: true, left }
  }

  /**
   * The directory at the path now, if it is as fit as the first one had to be and at the same real path: a link that somebody
   * put on the way leads to where other files are kept, and is not followed (BRK-112).
   */
  async #findSuccessor({ location }: TokenPlace): Promise<TokenPlace | null> {
    try {
      const found = await this.#open()
      if (found.location === location) return found
      await found.close()
      return null
    } catch (error) {
      if (error instanceof AttestdError) return null
      throw error
    }
  }
}
