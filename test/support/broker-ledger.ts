import type { BrokerEvent } from '../../src/passport/broker-events.ts'
import type { TokenRequest } from '../../src/results/token-request.ts'

type EventOf<E extends BrokerEvent['event']> = Extract<BrokerEvent, { event: E }>

/** What the ledger holds the events against. */
export interface LedgerPorts {
  readonly require: (invariant: string, holds: boolean, detail: () => string) => void
  /** Number of a request that shares its token; -1 for others. */
  readonly keyOf: (request: TokenRequest) => number
  /** The step under way, with `hard` of an invalidation. */
  readonly step: () => string
  /** Milliseconds that the token of a key has left by the model's own reckoning; `null`: it knows of none. */
  readonly leftMs: (key: number) => number | null
  /** Whether the issuer of a declared key had every chance since then: `null` where the key is not declared. */
  readonly chanceSince: (key: number, boot: number) => boolean | null
  /** A breaker has opened or closed. */
  readonly breaker: (issuer: string, isOpen: boolean) => void
  readonly monotonic: () => number
  readonly boot: () => number
}

interface Kept {
  readonly jti: string
  readonly generation: number
  readonly storedAtBoot: number
}

/** Steps in which a token may end for this reason. The others have conditions of their own. */
const stepsOfEnd: Readonly<Record<string, readonly string[]>> = {
  invalidated: ['invalidate hard'],
  snapshot: ['restore'],
  evicted: ['request'],
  reload: ['reload'],
}

/**
 * The broker's own account of what it does (its events), held against what it may do: a token ends for a reason that is
 * there, is replaced by a later one only, and what is told of attempts adds up. Knows nothing else of the broker.
 */
export class BrokerLedger {
  readonly #ports: LedgerPorts
  readonly #kept = new Map<number, Kept>()
  readonly #generations = new Map<number, number>()
  readonly #refused = new Set<number>()
  readonly #backgroundStarts = new Map<string, number[]>()
  #replacing: number | null = null
  #flying = 0

  constructor(ports: LedgerPorts) {
    this.#ports = ports
  }

  /** Attempts under way. */
  get flying(): number {
    return this.#flying
  }

  kept(key: number): Kept | undefined {
    return this.#kept.get(key)
  }

  /** The issuer has said no to a request of this key. */
  refused(key: number): void {
    this.#refused.add(key)
  }

  /** The entry of this key is gone: the next one counts from the beginning. */
  forget(key: number): void {
    this.#generations.delete(key)
  }

  readonly observe = (event: BrokerEvent): void => {
    const secret = event.event === 'attempt_ended' && JSON.stringify(event).includes('e30.')
    this.#ports.require('API-110', !secret, () => `the event ${event.event} holds a token`)
    const replacing = this.#replacing
    const replaced = replacing === null || (event.event === 'stored' && this.#ports.keyOf(event.request) === replacing)
    this.#ports.require('I10', replaced, () => `the token of key ${replacing} is replaced by nothing`)
    this.#replacing = null
    this.#take(event)
  }

  #take(event: BrokerEvent): void {
    if (event.event === 'attempt_started') this.#started(event)
    if (event.event === 'attempt_ended') this.#flying--
    if (event.event === 'stored') this.#stored(event)
    if (event.event === 'ended') this.#ended(event)
    if (event.event === 'breaker') this.#ports.breaker(event.issuer, event.state === 'open')
    if (event.event === 'clock' && event.kind === 'snapshot') this.#backgroundStarts.clear()
    if (event.event === 'sources_replaced') for (const name of event.changed) this.#forgetIssuer(name)
  }

  #forgetIssuer(name: string): void {
    this.#backgroundStarts.delete(name)
    this.#ports.breaker(name, false)
  }

  /** BRK-74: what nobody waits for starts at most three times a second at one issuer. */
  #started({ issuer, background }: EventOf<'attempt_started'>): void {
    this.#flying++
    if (!background) return
    const now = this.#ports.monotonic()
    const starts = [...(this.#backgroundStarts.get(issuer) ?? []), now].slice(-4)
    const [first = now] = starts
    const crowded = starts.length === 4 && now - first < 999.999
    this.#ports.require('BRK-74', !crowded, () => `four attempts in ${now - first} ms at ${issuer}`)
    this.#backgroundStarts.set(issuer, starts)
  }

  /** I4: the generations of an entry grow, and one token takes the place of one. */
  #stored({ request, token }: EventOf<'stored'>): void {
    const key = this.#ports.keyOf(request)
    const before = this.#generations.get(key) ?? 0
    this.#ports.require('I4', token.generation > before, () => `generation ${token.generation} stored after ${before}`)
    this.#ports.require('I4', !this.#kept.has(key), () => `two tokens are stored for key ${key}`)
    this.#generations.set(key, token.generation)
    this.#kept.set(key, { jti: token.jti, generation: token.generation, storedAtBoot: this.#ports.boot() })
  }

  /** I10, I13: a token ends in a step that ends it, and in no other. */
  #ended({ request, token, why }: EventOf<'ended'>): void {
    const key = this.#ports.keyOf(request)
    const kept = this.#kept.get(key)
    this.#ports.require('I10', kept?.jti === token.jti, () => `${token.jti} ends instead of ${kept?.jti}`)
    this.#kept.delete(key)
    const step = this.#ports.step()
    const steps = stepsOfEnd[why]
    if (steps !== undefined) this.#ports.require('I10', steps.includes(step), () => `${why} in the step ${step}`)
    if (why === 'replaced') this.#replacing = key
    if (why === 'verdict') this.#ports.require('I10', this.#refused.has(key), () => `key ${key} met no verdict`)
    this.#refused.delete(key)
    if (why === 'expired') this.#expired(key, kept)
  }

  /** I10: nothing expires before its time; and nothing that is declared where its issuer had every chance (BRK-20). */
  #expired(key: number, kept: Kept | undefined): void {
    const left = this.#ports.leftMs(key)
    this.#ports.require('I10', left === null || left <= 1, () => `key ${key} expired with ${left} ms left`)
    const chance = kept !== undefined && this.#ports.chanceSince(key, kept.storedAtBoot) === true
    this.#ports.require('BRK-20', !chance, () => `the declared key ${key} expired although its issuer works`)
  }
}
