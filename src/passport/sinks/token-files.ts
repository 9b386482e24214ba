import type { Clock } from '../../base/clock.ts'
import { canonicalJson } from '../../base/json.ts'
import type { BrokerEvent } from '../broker-events.ts'
import type { Sink } from './sink.ts'
import type { SinkStatus } from './sink-status.ts'
import { WakeUp } from './wake-up.ts'

/** A token file with everything that makes it another one when it changes. */
export interface PlannedSink {
  readonly sink: Sink
  /** Further settings of it, comparable. */
  readonly settings: unknown
}

/** What keeps one token file. */
export interface KeptSink {
  keep(signal: AbortSignal): Promise<void>
  hear(event: BrokerEvent): void
  abandon(): void
  status(): SinkStatus
  failing(): string | null
}

interface Kept {
  readonly identity: string
  readonly path: string
  readonly keeper: KeptSink
  readonly stop: AbortController
  readonly ended: Promise<void>
}

const identityOf = ({ sink, settings }: PlannedSink) => canonicalJson(JSON.parse(JSON.stringify({ sink, settings })))

/** Keeps all token files of a configuration, and changes over to another one while it runs (BRK-142). */
export class TokenFiles<P extends PlannedSink> {
  readonly #makeKeeper: (plan: P) => KeptSink
  readonly #wake: WakeUp
  readonly #kept = new Map<string, Kept>()
  #plans: readonly P[]
  #bug: { readonly error: unknown } | null = null

  constructor(plans: readonly P[], clock: Clock, makeKeeper: (plan: P) => KeptSink) {
    this.#plans = plans
    this.#wake = new WakeUp(clock)
    this.#makeKeeper = makeKeeper
  }

  /** These are the token files from now on; those that stay as they are go on undisturbed. */
  adopt(plans: readonly P[]): void {
    this.#plans = plans
    this.#wake.ring()
  }

  hear(event: BrokerEvent): void {
    for (const { keeper } of this.#kept.values()) keeper.hear(event)
  }

  /** In the order of the configuration. */
  status(): readonly (SinkStatus | null)[] {
    return this.#plans.map(({ sink }) => this.#kept.get(sink.name)?.keeper.status() ?? null)
  }

  /** `sink:<position>:<why>` (API-119). */
  failing(): readonly string[] {
    return this.#plans.flatMap(({ sink }, position) => {
      const kept = this.#kept.get(sink.name)
      const why = kept === undefined ? 'waiting' : kept.keeper.failing()
      return why === null ? [] : [`sink:${position}:${why}`]
    })
  }

  /** Task: until the signal aborts. Rejects only with a bug. */
  async keep(signal: AbortSignal): Promise<void> {
    try {
      while (!signal.aborted) {
        await this.#changeOver()
        if (this.#bug !== null) throw this.#bug.error
        await this.#wake.sleep(30_000, signal)
      }
    } catch (error) {
      if (!signal.aborted) throw error
    } finally {
      await Promise.all([...this.#kept.values()].map((kept) => this.#end(kept)))
    }
  }

  async #changeOver(): Promise<void> {
    const plans = this.#plans
    const wanted = new Map(plans.map((plan) => [identityOf(plan), plan] as const))
    const paths = new Set(plans.map(({ sink }) => sink.path))
    const leaving = [...this.#kept.values()].filter(({ identity }) => !wanted.has(identity))
    for (const kept of leaving) if (!paths.has(kept.path)) kept.keeper.abandon()
    await Promise.all(leaving.map((kept) => this.#end(kept)))
    for (const [name, kept] of this.#kept) if (leaving.includes(kept)) this.#kept.delete(name)
    for (const [identity, plan] of wanted) if (!this.#kept.has(plan.sink.name)) this.#begin(identity, plan)
  }

  #begin(identity: string, plan: P): void {
    const keeper = this.#makeKeeper(plan)
    const stop = new AbortController()
    const ended = keeper.keep(stop.signal).catch((error) => {
      this.#bug = { error }
      this.#wake.ring()
    })
    this.#kept.set(plan.sink.name, { identity, path: plan.sink.path, keeper, stop, ended })
  }

  async #end({ stop, ended }: Kept): Promise<void> {
    stop.abort()
    await ended
  }
}
