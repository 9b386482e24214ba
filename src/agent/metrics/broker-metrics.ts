import { Counter, Gauge, Histogram, type OpenMetricsContentType, type Registry } from 'prom-client'
import { type Clock, secondsOf } from '../../base/clock.ts'
import type { BrokerEvent, BrokerObserver } from '../../passport/broker-events.ts'
import type { EntryStatus } from '../../passport/status.ts'
import { AudienceLabels, BoundedLabel } from './bounded-label.ts'

/** Audiences that nobody declared and that have a name of their own in metrics, since the start. */
const mostAudiences = 128
const mostCodes = 64
const secondsOfAttempts = [0.01, 0.05, 0.1, 0.5, 1, 2, 5, 10, 20, 40, 60]

export interface BrokerMetricsPorts {
  readonly registry: Registry<OpenMetricsContentType>
  readonly clock: Clock
  /** The cache as it is when somebody reads the metrics. */
  readonly entries: () => readonly EntryStatus[]
}

type EndedAttempt = Extract<BrokerEvent, { event: 'attempt_ended' }>

const isDeclared = ({ warm, sink }: EntryStatus) => warm || sink

/** Entries that have the same labels: a key and a lifetime of its own make another entry, and no other series. */
function groupedEntries(entries: readonly EntryStatus[], labels: AudienceLabels): Map<string, EntryStatus[]> {
  const groups = new Map<string, EntryStatus[]>()
  for (const entry of entries) {
    const name = JSON.stringify([entry.issuer, labels.of(entry.audience, isDeclared(entry))])
    groups.set(name, [...(groups.get(name) ?? []), entry])
  }
  return groups
}

/** The declared token that ends first, 0 if one is missing; where none is declared the token that ends last. */
function expiryOf(entries: readonly EntryStatus[]): number | null {
  const declared = entries.filter(isDeclared)
  if (declared.length > 0) return Math.min(...declared.map(({ expiresAt }) => expiresAt ?? 0))
  const ends = entries.flatMap(({ expiresAt }) => (expiresAt === null ? [] : [expiresAt]))
  return ends.length === 0 ? null : Math.max(...ends)
}

function gaugeExpiry({ registry, entries }: BrokerMetricsPorts, labels: AudienceLabels): void {
  new Gauge({
    name: 'attestd_token_expiry_timestamp_seconds',
    help: 'end of the token at hand; 0: a declared token is missing',
    labelNames: ['issuer', 'aud'],
    registers: [registry],
    collect() {
      this.reset()
      for (const [name, group] of groupedEntries(entries(), labels)) {
        const [issuer, aud] = JSON.parse(name)
        const expiry = expiryOf(group)
        if (expiry !== null) this.set({ issuer, aud }, expiry)
      }
    },
  })
}

function gaugeStates({ registry, entries }: BrokerMetricsPorts, labels: AudienceLabels): void {
  new Gauge({
    name: 'attestd_entry_state',
    help: 'entries of the cache in this state',
    labelNames: ['issuer', 'aud', 'state'],
    registers: [registry],
    collect() {
      this.reset()
      for (const entry of entries()) {
        const aud = labels.of(entry.audience, isDeclared(entry))
        this.inc({ issuer: entry.issuer, aud, state: entry.state })
      }
    },
  })
}

function attemptMetrics({ registry, clock }: BrokerMetricsPorts, labels: AudienceLabels): (end: EndedAttempt) => void {
  const registers = [registry]
  const lastSuccess = new Gauge({
    name: 'attestd_token_last_success_timestamp_seconds',
    help: 'when a token was last obtained',
    labelNames: ['issuer', 'aud'],
    registers,
  })
  const attempts = new Counter({
    name: 'attestd_refresh_total',
    help: 'attempts to obtain a token, by their end',
    labelNames: ['issuer', 'result', 'code'],
    registers,
  })
  const duration = new Histogram({
    name: 'attestd_refresh_duration_seconds',
    help: 'time from the start of an attempt to its end',
    buckets: secondsOfAttempts,
    registers,
  })
  const codes = new BoundedLabel(mostCodes)
  return ({ issuer, audience, result, failure, durationMs }) => {
    attempts.inc({ issuer, result, code: failure === null ? 'none' : codes.of(failure.code) })
    duration.observe(durationMs / 1000)
    if (result === 'landed') lastSuccess.set({ issuer, aud: labels.of(audience, false) }, secondsOf(clock))
  }
}

/** What the broker does (broker.md section 13). Gives the observer that counts. */
export function measureBroker(ports: BrokerMetricsPorts): BrokerObserver {
  const registers = [ports.registry]
  const labels = new AudienceLabels(mostAudiences)
  gaugeExpiry(ports, labels)
  gaugeStates(ports, labels)
  const attemptEnded = attemptMetrics(ports, labels)
  const joins = new Counter({
    name: 'attestd_singleflight_joins_total',
    help: 'callers who waited for an attempt that was under way',
    registers,
  })
  const late = new Counter({
    name: 'attestd_late_results_dropped_total',
    help: 'tokens that came when nobody could have them any more',
    registers,
  })
  const jumps = new Counter({
    name: 'attestd_clock_jump_total',
    help: 'suspends, steps of the wall clock, restored snapshots',
    labelNames: ['kind'],
    registers,
  })
  return (told) => {
    if (told.event === 'attempt_ended') attemptEnded(told)
    else if (told.event === 'joined') joins.inc()
    else if (told.event === 'late_result_dropped') late.inc()
    else if (told.event === 'clock') jumps.inc({ kind: told.kind })
  }
}
