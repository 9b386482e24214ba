import type { Standing } from '../base/fair-queue.ts'
import { isUnshared, type TokenRequest } from '../results/token-request.ts'
import type { Alarm } from './alarm.ts'
import { type BrokerObserver, tokenFacts } from './broker-events.ts'
import type { CacheEntry } from './cache-entry.ts'
import type { ClockWatch, Instant } from './clock-watch.ts'
import type { Failure } from './failure.ts'
import { Flight, type FlightGear, type FlightOutcome, type FlightPlan } from './flight.ts'
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
  readonly observe: BrokerObserver
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
    this.#gear = { ...ports.gear, onLateResult: (plan) => this.#cameTooLate(plan) }
  }

  get flying(): ReadonlySet<Flight> {
    return this.#flying
  }

  get counts(): FlightCounts {
    return this.#counts
  }

  #cameTooLate({ request: { issuer, audience } }: FlightPlan): void {
    this.#count('lateResultsDropped')
    this.#ports.observe({ event: 'late_result_dropped', issuer, audience })
  }

  #count(what: keyof FlightCounts): void {
    this.#counts = { ...this.#counts, [what]: this.#counts[what] + 1 }
  }

  /** Throws the bug of an attempt that nobody waited for: the task that caused the attempt ends with it. */
  throwUnheardBug(): void {
    if (this.#unheardBug !== null) throw this.#unheardBug.error
  }

  /** Starts the one flight of an entry. Whoever finds it there joins it (BRK-30). */
  startShared(entry: CacheEntry, issuer: Issuer, standing: Standing, started: Instant): Flight {
    const { source } = issuer
    const generation = entry.nextGeneration()
    const flight = this.#launch(
      new Flight({ source, request: entry.request, started, generation, ...standing }, this.#gear),
    )
    entry.departed(flight)
    issuer.gate.departed(flight)
    flight.outcome.then((outcome) => this.#bringHome(entry, issuer, flight, outcome))
    return flight
  }

  /** Starts an attempt for one caller alone (API-94, API-95). */
  startUnshared(request: TokenRequest, issuer: Issuer, caller: string, started: Instant): Flight {
    const { source } = issuer
    const plan = { source, request, started, generation: 0, background: false, caller }
    const flight = this.#launch(new Flight(plan, this.#gear))
    issuer.unshared.add(flight)
    issuer.gate.departed(flight)
    flight.outcome.then((outcome) => {
      issuer.unshared.delete(flight)
      this.#ended(issuer, flight, outcome)
    })
    return flight
  }

  #launch(flight: Flight): Flight {
    const { background, request } = flight.plan
    const { issuer, audience } = request
    this.#flying.add(flight)
    this.#count('started')
    this.#ports.observe({ event: 'attempt_started', issuer, audience, background, unshared: isUnshared(request) })
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
    const instant = watch.read()
    issuer.gate.returned(flight, outcome, instant)
    this.#tellEnd(flight, outcome, instant)
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

  #tellEnd({ plan }: Flight, outcome: FlightOutcome, { monotonic }: Instant): void {
    const { request, background, started, generation } = plan
    const { issuer, audience } = request
    const durationMs = Math.max(monotonic - started.monotonic, 0)
    const token = outcome.kind === 'landed' ? tokenFacts(outcome.held, issuer, generation) : null
    const failure = outcome.kind === 'failed' ? failureFacts(outcome.failure) : null
    const unshared = isUnshared(request)
    const result = outcome.kind
    this.#ports.observe({
      event: 'attempt_ended',
      issuer,
      audience,
      background,
      unshared,
      result,
      durationMs,
      token,
      failure,
    })
  }
}

function textFact(value: unknown): string | null {
  return typeof value === 'string' ? value : null
}

function failureFacts({ class: failureClass, error: { code, facts } }: Failure) {
  const upstreamCode = textFact(facts['upstream_code'] ?? facts['cause_code'])
  return { class: failureClass, code, upstreamCode, check: textFact(facts['check']) }
}
