import type { Clock } from '../../base/clock.ts'
import { AttestdError } from '../../base/errors.ts'
import type { RandomSource } from '../../base/random.ts'
import { abandonable, type Task } from '../../base/tasks.ts'
import type { Collateral } from '../../endorsements/tdx/collateral.ts'
import { endorserErrors } from '../errors.ts'
import type { CollateralItem, RevocationItem, SignedDocument } from './collateral-item.ts'
import { type ItemKey, nameOfItem } from './item-key.ts'
import { isFromFuture, isPast } from './item-window.ts'
import { obtainItem } from './obtain-item.ts'
import { Pauses } from './pauses.ts'
import type { AuthenticateItem, CollateralEvent, CollateralStore, HeldItemState, ItemSource } from './ports.ts'
import { type CollateralQuery, requireQuery } from './query.ts'
import { type HeldItem, Shelf } from './shelf.ts'
import { TimeLimitError, timeLimits, withinTime } from './time-limit.ts'

export interface CollateralSourceOptions {
  /** In order: the next is asked where one fails (TDX-200, PCS-01). At least one. */
  readonly sources: readonly ItemSource[]
  readonly authenticate: AuthenticateItem
  /** Null: nothing is kept over a restart. */
  readonly store: CollateralStore | null
  readonly clock: Clock
  readonly random: RandomSource
  /** Ends what is under way; requests after that are rejected with its reason. */
  readonly lifetime: AbortSignal
  readonly report?: (event: CollateralEvent) => void
  /** How long after nextUpdate an item is still handed out where no source has a newer one; default 0 (TDX-214, TDX-190). */
  readonly graceMs?: number | (() => number)
  /** Items at hand at a time; default 128. The least recently used one makes room. */
  readonly maximumItems?: number
}

export interface CollateralSource {
  /**
   * All items for one platform, each authentic by itself and current. From memory where it can be; otherwise each item
   * is fetched once, however many ask. Rejects with an error of `endorserErrors` or with the reason of `signal`.
   */
  collateralFor(query: CollateralQuery, signal: AbortSignal): Promise<Collateral>
  /** What `collateralFor` would give from memory alone; null where somebody would be asked for a part of it, or it would fail. */
  heldFor(query: CollateralQuery): Collateral | null
  /** Refreshes what is at hand ahead of its expiry, until its signal aborts (TDX-213). */
  readonly keepCurrent: Task
  /** The items at hand, by name. */
  state(): readonly HeldItemState[]
}

const defaultMaximum = 128
/** How often what is due is looked for; nothing is due sooner than a minute after it was asked for. */
const lookEveryMs = 60_000

function requireDocument(item: CollateralItem): SignedDocument {
  if ('text' in item) return item
  throw new TypeError(`${item.kind} is no signed document`)
}

function requireList(item: CollateralItem): RevocationItem {
  if ('der' in item) return item
  throw new TypeError(`${item.kind} is no revocation list`)
}

/** One of each kind of item. */
interface CollateralSet<T> {
  readonly tcbInfo: T
  readonly qeIdentity: T
  readonly pckCrl: T
  readonly rootCrl: T
}

function keysOf({ tee, fmspc, ca, update }: ReturnType<typeof requireQuery>): CollateralSet<ItemKey> {
  return {
    tcbInfo: { kind: 'tcb-info', tee, fmspc, update },
    qeIdentity: { kind: 'qe-identity', tee, update },
    pckCrl: { kind: 'pck-crl', ca },
    rootCrl: { kind: 'root-crl' },
  }
}

function composeCollateral(items: CollateralSet<CollateralItem>): Collateral {
  const [tcbInfo, qeIdentity] = [requireDocument(items.tcbInfo), requireDocument(items.qeIdentity)]
  const [pckCrl, rootCrl] = [requireList(items.pckCrl), requireList(items.rootCrl)]
  return {
    tcbInfoIssuerChain: tcbInfo.issuerChain,
    tcbInfo: tcbInfo.text,
    tcbInfoSignature: tcbInfo.signature,
    qeIdentityIssuerChain: qeIdentity.issuerChain,
    qeIdentity: qeIdentity.text,
    qeIdentitySignature: qeIdentity.signature,
    rootCaCrl: rootCrl.der,
    pckCrl: pckCrl.der,
    pckCrlIssuerChain: pckCrl.issuerChain,
    pckCertificateChain: null,
  }
}

class KeptCollateral implements CollateralSource {
  readonly keepCurrent: Task
  #options: CollateralSourceOptions
  #report: (event: CollateralEvent) => void
  #shelf: Shelf
  #pauses: Pauses
  #maximum: number
  /** By the name of the item: one request under way, however many wait for it (TDX-208). */
  #flights = new Map<string, Promise<HeldItem>>()

  constructor(options: CollateralSourceOptions) {
    if (options.sources.length === 0) throw new TypeError('a source of collateral needs somewhere to look')
    this.#options = options
    this.#maximum = options.maximumItems ?? defaultMaximum
    this.#report = options.report ?? (() => undefined)
    this.#shelf = new Shelf({ ...options, report: this.#report, maximum: this.#maximum })
    this.#pauses = new Pauses({ ...options, maximum: this.#maximum })
    this.keepCurrent = (signal) => this.#keepCurrent(signal)
  }

  async collateralFor(query: CollateralQuery, signal: AbortSignal): Promise<Collateral> {
    const keys = keysOf(requireQuery(query))
    await abandonable(this.#shelf.open(), signal)
    const [tcbInfo, qeIdentity, pckCrl, rootCrl] = await Promise.all([
      this.#current(keys.tcbInfo, signal),
      this.#current(keys.qeIdentity, signal),
      this.#current(keys.pckCrl, signal),
      this.#current(keys.rootCrl, signal),
    ])
    return composeCollateral({ tcbInfo, qeIdentity, pckCrl, rootCrl })
  }

  heldFor(query: CollateralQuery): Collateral | null {
    const keys = keysOf(requireQuery(query))
    const [tcbInfo, qeIdentity] = [this.#held(keys.tcbInfo), this.#held(keys.qeIdentity)]
    const [pckCrl, rootCrl] = [this.#held(keys.pckCrl), this.#held(keys.rootCrl)]
    if (tcbInfo === null || qeIdentity === null || pckCrl === null || rootCrl === null) return null
    return composeCollateral({ tcbInfo, qeIdentity, pckCrl, rootCrl })
  }

  state(): readonly HeldItemState[] {
    return this.#shelf.state()
  }

  /** The item at hand if it is current. */
  #held(key: ItemKey): CollateralItem | null {
    const held = this.#shelf.use(key)
    const now = this.#options.clock.now()
    return held === null || isFromFuture(held.facts, now) || isPast(held.facts, now) ? null : held.item
  }

  async #current(key: ItemKey, signal: AbortSignal): Promise<CollateralItem> {
    const current = this.#held(key)
    if (current !== null) return current
    const held = this.#shelf.find(key)
    if (held && isFromFuture(held.facts, this.#options.clock.now())) throw this.#tooEarly(held)
    try {
      return (await abandonable(this.#fly(key), signal)).item
    } catch (error) {
      signal.throwIfAborted()
      if (held && error instanceof AttestdError) return this.#late(held, error)
      throw error
    }
  }

  /** What is past its time and could not be renewed: usable for the grace that the operator gives, no longer (TDX-214). */
  #late({ key, item, facts }: HeldItem, cause: AttestdError): CollateralItem {
    if (!isPast(facts, this.#options.clock.now(), this.#graceMs)) return item
    const since = new Date(facts.nextUpdate).toISOString()
    throw endorserErrors.error(
      'collateral_expired',
      `${nameOfItem(key)} had to be renewed by ${since}: ${cause.message}`,
      { facts: { item: nameOfItem(key), cause: cause.code }, cause },
    )
  }

  /** Asking would not help: no source may serve anything older (TDX-212). */
  #tooEarly({ key, facts }: HeldItem): AttestdError {
    const item = nameOfItem(key)
    const says = `${item} was issued at ${new Date(facts.issueDate).toISOString()}, after the present time of this host`
    return endorserErrors.error('collateral_not_yet_valid', says, { facts: { item } })
  }

  #fly(key: ItemKey): Promise<HeldItem> {
    const name = nameOfItem(key)
    const underWay = this.#flights.get(name)
    if (underWay) return underWay
    const paused = this.#pauses.errorFor(name)
    if (paused) return Promise.reject(paused)
    if (this.#flights.size >= this.#maximum) {
      return Promise.reject(endorserErrors.error('collateral_unavailable', 'too many requests for collateral are open'))
    }
    const flight = this.#renew(key).finally(() => this.#flights.delete(name))
    this.#flights.set(name, flight)
    return flight
  }

  async #renew(key: ItemKey): Promise<HeldItem> {
    const { lifetime, clock } = this.#options
    const limit = { clock, ms: timeLimits.item, signal: lifetime }
    try {
      const held = this.#shelf.find(key)?.facts ?? null
      const obtained = await withinTime(limit, (signal) => obtainItem(key, held, this.#context(), signal))
      const { facts, source } = obtained
      this.#pauses.clear(nameOfItem(key))
      this.#report({ event: 'collateral_obtained', item: nameOfItem(key), source, facts })
      const kept = await this.#shelf.put(obtained)
      if (held !== null && facts.number > held.number) {
        this.#report({ event: 'collateral_raised', item: nameOfItem(key), source, facts })
      }
      return kept
    } catch (error) {
      lifetime.throwIfAborted()
      throw this.#noteFailure(key, error)
    }
  }

  #context() {
    const { sources, authenticate, clock } = this.#options
    return { sources, authenticate, report: this.#report, now: () => clock.now(), graceMs: this.#graceMs }
  }

  get #graceMs(): number {
    const { graceMs = 0 } = this.#options
    return typeof graceMs === 'number' ? graceMs : graceMs()
  }

  #noteFailure(key: ItemKey, error: unknown): unknown {
    const name = nameOfItem(key)
    const failure =
      error instanceof TimeLimitError
        ? endorserErrors.error('collateral_unavailable', `${name}: ${error.message}`, {
            facts: { item: name },
            cause: error,
          })
        : error
    if (!(failure instanceof AttestdError)) return failure
    const held = this.#shelf.find(key)
    if (held) this.#shelf.noteFailure(key, failure)
    if (!held || isPast(held.facts, this.#options.clock.now())) this.#pauses.note(name, failure)
    return failure
  }

  async #keepCurrent(signal: AbortSignal): Promise<void> {
    try {
      await abandonable(this.#shelf.open(), signal)
      for (;;) {
        for (const { key } of this.#shelf.due()) await this.#refresh(key, signal)
        await this.#options.clock.sleep(lookEveryMs, signal)
      }
    } catch (error) {
      if (!signal.aborted) throw error
    }
  }

  async #refresh(key: ItemKey, signal: AbortSignal): Promise<void> {
    try {
      await abandonable(this.#fly(key), signal)
    } catch (error) {
      signal.throwIfAborted()
      // Reported where it came up; the item at hand stays.
      if (!(error instanceof AttestdError)) throw error
    }
  }
}

/**
 * The source of TDX and SGX collateral: asks `sources` in order, keeps what is authentic in memory and in `store`,
 * refreshes it ahead of its expiry and never goes back (TDX-200, TDX-208, TDX-210 to TDX-215, PCS-05). What it hands
 * out is authentic item by item and current; whether it fits a quote is the verifier's to judge.
 */
export function createCollateralSource(options: CollateralSourceOptions): CollateralSource {
  return new KeptCollateral(options)
}
