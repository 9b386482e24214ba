import type { TokenRequest } from '../results/token-request.ts'
import type { Alarm } from './alarm.ts'
import type { CacheEntry } from './cache-entry.ts'
import type { ClockWatch, Instant } from './clock-watch.ts'
import type { Failure } from './failure.ts'
import { Flight, type FlightGear, type FlightOutcome } from './flight.ts'
import type { Issuer } from './issuers.ts'

/** What happened so far, for metrics. */
export interface FlightCounts {
  readonly started: number
  readonly landed: number
  readonly failed: number
  readonly lateResultsDropped: number
}

/** What the deck needs of the broker around it. */
export interface DeckPorts {
  readonly gear: Omit<FlightGear, 'onLateResult'>
  readonly watch: ClockWatch
  readonly alarm: Alarm
  /** Told of every token that landed, and of every verdict against us. */
  readonly onLanded: (issuer: Issuer) => void
  readonly onVerdict: (issuer: Issuer, request: TokenRequest) => void
}

/**
 * Starts attempts and brings their results home. A result reaches an entry only while its flight is the entry's flight:
 * whatever cut it off, a late answer changes nothing (BRK-33).
 */
export class FlightDeck {
  readonly #ports: DeckPorts
  readonly #gear: FlightGear
  readonly #flying = new Set<Flight>()
  #counts: FlightCounts = { started: 0, landed: 0, failed: 0, lateResultsDropped: 0 }
  #unheardBug: { readonly error: unknown } | null = null

  constructor(ports: DeckPorts) {
    this.#ports = ports
    this.#gear = { ...ports.gear, onLateResult: () => this.#count('lateResultsDropped') }
  }

  get flying(): ReadonlySet<Flight> {
    return this.#flying
  }

  get counts(): FlightCounts {
    return this.#counts
  }

  #count(what: keyof FlightCounts): void {
    this.#counts = { ...this.#counts, [what]: this.#counts[what] + 1 }
  }

  /** Throws the bug of an attempt that nobody waited for: the task that caused the attempt ends with it. */
  throwUnheardBug(): void {
    if (this.#unheardBug !== null) throw this.#unheardBug.error
  }

  /** Starts the one flight of an entry. Whoever finds it there joins it (BRK-30). */
  startShared(entry: CacheEntry, issuer: Issuer, background: boolean, started: Instant): Flight {
    const { source } = issuer
    const generation = entry.nextGeneration()
    const flight = this.#launch(
      new Flight({ source, request: entry.request, started, generation, background }, this.#gear),
    )
    entry.departed(flight)
    issuer.gate.departed(flight)
    flight.outcome.then((outcome) => this.#bringHome(entry, issuer, flight, outcome))
    return flight
  }

  /** Starts an attempt for one caller alone (API-94, API-95). */
  startUnshared(request: TokenRequest, issuer: Issuer, started: Instant): Flight {
    const { source } = issuer
    const flight = this.#launch(new Flight({ source, request, started, generation: 0, background: false }, this.#gear))
    issuer.unshared.add(flight)
    issuer.gate.departed(flight)
    flight.outcome.then((outcome) => {
      issuer.unshared.delete(flight)
      this.#ended(issuer, flight, outcome)
    })
    return flight
  }

  #launch(flight: Flight): Flight {
    this.#flying.add(flight)
    this.#count('started')
    return flight
  }

  #bringHome(entry: CacheEntry, issuer: Issuer, flight: Flight, outcome: FlightOutcome): void {
    const instant = this.#ports.watch.read()
    if (entry.flight === flight) this.#apply(entry, flight, outcome, instant)
    this.#ended(issuer, flight, outcome)
  }

  #apply(entry: CacheEntry, flight: Flight, outcome: FlightOutcome, instant: Instant): void {
    if (outcome.kind === 'landed') {
      entry.landed(outcome.held, flight)
      return
    }
    entry.age(instant)
    if (outcome.kind === 'failed') entry.failed(this.#setback(outcome.failure, instant))
    else entry.returned()
    if (outcome.kind === 'bug' && entry.waiters === 0) this.#unheardBug = { error: outcome.error }
  }

  #setback(failure: Failure, instant: Instant) {
    const { limits, drawUnit } = this.#gear
    return { failure, instant, unit: drawUnit(), evictOnVerdict: limits.onVerdictDenied === 'evict' }
  }

  #ended(issuer: Issuer, flight: Flight, outcome: FlightOutcome): void {
    const { watch, alarm, onLanded, onVerdict } = this.#ports
    this.#flying.delete(flight)
    issuer.gate.returned(flight, outcome, watch.read())
    if (outcome.kind === 'landed') {
      this.#count('landed')
      watch.noteIssuedAt(outcome.held.accepted.issuedAt)
      onLanded(issuer)
    } else if (outcome.kind === 'failed') {
      this.#count('failed')
      if (outcome.failure.class === 'verdict') onVerdict(issuer, flight.plan.request)
    }
    alarm.ring()
  }
}
