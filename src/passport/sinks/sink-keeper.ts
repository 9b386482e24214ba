import type { Clock } from '../../base/clock.ts'
import { AttestdError } from '../../base/errors.ts'
import { pauseWithoutToken, pauseWithToken } from '../backoff.ts'
import type { Broker } from '../broker.ts'
import type { BrokerEvent } from '../broker-events.ts'
import type { TokenOffer } from '../token-offer.ts'
import { newsOf } from './broker-news.ts'
import { sinkErrors } from './errors.ts'
import { encodeTokenFile } from './file-format.ts'
import { examineLeft } from './left-file.ts'
import { holdsContent, isOwnFile, removeOwnFile, type WrittenFile } from './own-file.ts'
import { ReachedPlace } from './reached-place.ts'
import type { Sink, TokenPlace } from './sink.ts'
import { SinkRecord } from './sink-record.ts'
import type { SinkEvent, SinkStatus } from './sink-status.ts'
import { WakeUp } from './wake-up.ts'

/** Without a watch on the directory a change is noticed by looking often (BRK-116). */
const pollMs = { watched: 10_000, unwatched: 2_000 }
/** Whoever writes into the directory without end does not keep us looking without end. */
const lookSpacingMs = 100
const writeSpacingMs = 1_000

export interface KeeperParts {
  readonly sink: Sink
  readonly broker: Pick<Broker, 'offer' | 'recogniseToken' | 'describe'>
  readonly openPlace: () => Promise<TokenPlace>
  readonly clock: Clock
  readonly drawUnit: () => number
  /** A file is gone when its token has so little left (BRK-115). */
  readonly floorMs: number
  readonly observe: (event: SinkEvent) => void
  /** Called after the content at the path has become another one, or has gone. */
  readonly changed: () => void
}

/** The token that a file of ours holds. */
interface Delivered extends WrittenFile {
  /** Revocations that had been heard of when the token was known to be good. */
  readonly epoch: number
}

/**
 * Keeps one token file: as new as the broker's token, whole, of this content and mode whatever others do to it, and gone when
 * its token ends (broker.md section 11). One thing at a time; what happens meanwhile is looked at afterwards.
 */
export class SinkKeeper {
  readonly #parts: KeeperParts
  readonly #wake: WakeUp
  readonly #record: SinkRecord
  readonly #reached: ReachedPlace
  #delivered: Delivered | null = null
  #epoch = 0
  #nextWriteAt = Number.NEGATIVE_INFINITY
  #waiting = false
  /** Somebody removed or changed the file, and it could not be put back yet. */
  #disturbed = false
  #leave: 'keep' | 'remove'

  constructor(parts: KeeperParts) {
    this.#parts = parts
    this.#wake = new WakeUp(parts.clock)
    this.#record = new SinkRecord(parts.sink, parts.clock, parts.observe)
    this.#reached = new ReachedPlace(parts.openPlace, () => this.#wake.ring())
    this.#leave = parts.sink.removeOnStop ? 'remove' : 'keep'
  }

  /** Task: until the signal aborts. Rejects only with a bug. */
  async keep(signal: AbortSignal): Promise<void> {
    try {
      while (!signal.aborted) {
        const pause = await this.#look()
        const spacing = Math.min(pause, lookSpacingMs)
        await this.#parts.clock.sleep(spacing, signal)
        await this.#wake.sleep(pause - spacing, signal)
      }
    } catch (error) {
      if (!signal.aborted) throw error
    } finally {
      await this.#end()
    }
  }

  /** The file goes when the keeper ends: it is configured no more. */
  abandon(): void {
    this.#leave = 'remove'
  }

  /** To be told of every event of the broker. */
  hear(event: BrokerEvent): void {
    const news = newsOf(event, this.#parts.sink.request)
    if (news === 'revoked') this.#epoch++
    if (news !== null) this.#wake.ring()
  }

  status(): SinkStatus {
    const there = this.#reached.place !== null && !this.#disturbed
    return this.#record.status(this.#delivered?.offer ?? null, {
      left: this.#left,
      there,
      floorMs: this.#parts.floorMs,
    })
  }

  /** Why this file keeps the agent from being ready; null if it does not. */
  failing(): string | null {
    const { state, error } = this.status()
    if (error?.code === 'sink_token_too_large') return error.code
    if (state === 'current' || state === 'kept' || state === 'stale') return null
    if (error !== null) return error.code
    if (state !== 'waiting') return state
    const { state: entry } = this.#parts.broker.describe(this.#parts.sink.request)
    return entry === 'fresh' ? state : entry
  }

  get #left(): number {
    return this.#delivered === null ? 0 : this.#leftOf(this.#delivered.offer)
  }

  #leftOf({ wallExpiry, bootExpiry }: TokenOffer): number {
    const { clock } = this.#parts
    return Math.min(wallExpiry - clock.now(), bootExpiry - clock.boottime())
  }

  /** Gives the milliseconds until the next look. */
  async #look(): Promise<number> {
    this.#waiting = false
    try {
      await this.#settle(await this.#reach())
    } catch (error) {
      this.#failed(error)
    }
    return this.#pause()
  }

  #pause(): number {
    const poll = this.#reached.watched ? pollMs.watched : pollMs.unwatched
    const { floorMs, clock } = this.#parts
    const toEnd = this.#left - floorMs
    const ending = this.#delivered === null ? poll : toEnd > 0 ? toEnd : writeSpacingMs
    const writing = this.#waiting ? this.#nextWriteAt - clock.monotonic() : poll
    return Math.max(Math.min(poll, ending, writing), 1)
  }

  async #reach(): Promise<TokenPlace> {
    const { place, replaced, fresh, left } = await this.#reached.reach()
    if (left !== null) await this.#tidy(left)
    const elsewhere = sinkErrors.error('sink_directory_replaced', this.#parts.sink.path)
    this.#record.stands('directory', replaced ? elsewhere : null)
    if (!fresh) return place
    this.#nextWriteAt = Number.NEGATIVE_INFINITY
    await place.removeLeftovers()
    if (this.#delivered === null) await this.#takeOver(place)
    this.#reached.arrived()
    return place
  }

  /** Nobody could remove the file there any more when its token ends (BRK-115). */
  async #tidy(left: TokenPlace): Promise<void> {
    try {
      if (this.#delivered !== null) await removeOwnFile(left, this.#delivered, this.#parts.sink.format)
    } catch (error) {
      if (!(error instanceof AttestdError)) throw error
      this.#record.failed(error)
    } finally {
      await left.close()
    }
  }

  /** BRK-117: what an earlier run left. */
  async #takeOver(place: TokenPlace): Promise<void> {
    if (this.#wanted() !== null) return
    const epoch = this.#epoch
    const { sink, floorMs } = this.#parts
    const left = await examineLeft(place, this.#parts)
    if (left.kind === 'foreign')
      this.#record.failed(sinkErrors.error('sink_content_foreign', `${sink.path} holds no token`))
    if (left.kind === 'token' && this.#leftOf(left.offer) > floorMs) this.#delivered = { ...left, epoch }
    else if (left.kind !== 'nothing' && left.kind !== 'foreign') {
      await place.remove()
      this.#record.removed('unusable')
    }
  }

  /** The token that belongs into the file now; decided on this very reading of the clocks (BRK-35). */
  #wanted(): TokenOffer | null {
    const { broker, sink, floorMs } = this.#parts
    const offer = broker.offer(sink.request)
    if (offer === null || this.#leftOf(offer) <= floorMs) return null
    const fits = offer.token.length <= sink.maxCharacters
    if (fits) this.#record.stands('size', null)
    if (fits) return offer
    const says = `the token has ${offer.token.length} characters, ${sink.maxCharacters} are the most`
    this.#record.stands('size', sinkErrors.error('sink_token_too_large', says))
    return null
  }

  async #settle(place: TokenPlace): Promise<void> {
    const [offer, epoch] = [this.#wanted(), this.#epoch]
    if (offer !== null && offer.token === this.#delivered?.offer.token) {
      this.#delivered = { ...this.#delivered, epoch }
      if (await this.#tend(place, this.#delivered)) this.#record.wentWell()
      return
    }
    if (offer !== null && !this.#mustWait()) await this.#deliver(place, offer, epoch)
    const delivered = this.#delivered
    if (delivered === null) return
    if (this.#isOver(delivered)) await this.#retire(place, delivered)
    else await this.#tend(place, delivered)
  }

  #isOver({ offer, epoch }: Delivered): boolean {
    return epoch < this.#epoch || this.#leftOf(offer) <= this.#parts.floorMs
  }

  #mustWait(): boolean {
    const wait = this.#parts.clock.monotonic() < this.#nextWriteAt
    if (wait) this.#waiting = true
    return wait
  }

  async #deliver(place: TokenPlace, offer: TokenOffer, epoch: number): Promise<void> {
    const content = encodeTokenFile(this.#parts.sink.format, offer)
    try {
      this.#delivered = { offer, mark: await this.#write(place, content), epoch }
    } catch (error) {
      this.#failed(error)
      // Renamed, and then the disk refused: what lies there is the new one all the same.
      const seen = await place.look()
      if (seen === null || !(await holdsContent(place, content))) return
      this.#delivered = { offer, mark: seen.mark, epoch }
    }
    this.#record.written(offer)
    this.#parts.changed()
  }

  async #write(place: TokenPlace, content: Uint8Array): Promise<string> {
    this.#nextWriteAt = this.#parts.clock.monotonic() + writeSpacingMs
    const mark = await place.write(content)
    this.#disturbed = false
    this.#record.wrote()
    return mark
  }

  /** BRK-116: puts back what somebody removed or changed. True: the file is as it should be. */
  async #tend(place: TokenPlace, delivered: Delivered): Promise<boolean> {
    const seen = await place.look()
    this.#disturbed = seen?.mark !== delivered.mark
    if (!this.#disturbed) return true
    if (this.#mustWait()) return false
    const mark = await this.#write(place, encodeTokenFile(this.#parts.sink.format, delivered.offer))
    this.#delivered = { ...delivered, mark }
    this.#record.restored()
    return true
  }

  /** The token in the file has ended. What somebody else put there is not ours to remove (BRK-115). */
  async #retire(place: TokenPlace, delivered: Delivered): Promise<void> {
    const { sink, floorMs, changed } = this.#parts
    const why = this.#leftOf(delivered.offer) <= floorMs ? 'expired' : 'revoked'
    const seen = await place.look()
    if (seen !== null && !(await isOwnFile(place, seen, delivered, sink.format))) {
      this.#record.failed(sinkErrors.error('sink_content_foreign', `${sink.path} was replaced by somebody`))
    } else if (seen !== null) {
      const aside = why === 'expired' && sink.onExpiry === 'rename'
      await (aside ? place.setAside(encodeTokenFile(sink.format, delivered.offer)) : place.remove())
    }
    this.#delivered = null
    this.#record.removed(why)
    changed()
  }

  #failed(error: unknown): void {
    if (!(error instanceof AttestdError)) throw error
    const failures = this.#record.failed(error)
    const { clock, drawUnit } = this.#parts
    const left = this.#left
    const pause = left > 0 ? pauseWithToken(left, drawUnit()) : pauseWithoutToken(failures, drawUnit())
    this.#waiting = true
    this.#nextWriteAt = clock.monotonic() + Math.max(pause, writeSpacingMs)
  }

  /** Valid files outlive the agent, unless they are configured no more or not to (BRK-117). */
  async #end(): Promise<void> {
    try {
      const delivered = this.#delivered
      const { place } = this.#reached
      if (place === null || delivered === null || this.#leave === 'keep') return
      if (await removeOwnFile(place, delivered, this.#parts.sink.format)) this.#record.removed('stopped')
    } catch (error) {
      if (!(error instanceof AttestdError)) throw error
      this.#record.failed(error)
    } finally {
      await this.#reached.close()
    }
  }
}
