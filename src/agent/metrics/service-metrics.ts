import { Counter, Gauge, Histogram, type OpenMetricsContentType, Registry } from 'prom-client'
import type { Clock } from '../../base/clock.ts'
import type { RequestEvent } from '../../issuer/attestation-api/exchange.ts'
import { BoundedLabel } from './bounded-label.ts'
import { measureProcess } from './process-metrics.ts'

export interface ServiceMetricsPorts {
  readonly clock: Pick<Clock, 'monotonic'>
  readonly version: string
  /** Jobs that the threads have, those at work included. */
  readonly jobs: () => number
  /** Whether the store of policies did not do what was asked of it last. */
  readonly storeFails: () => boolean
}

/** The metrics of a verifier service, as OpenMetrics text; nothing in it is secret. */
export interface ServiceMetrics {
  text(): Promise<string>
  /** A request of the attestation API has ended. */
  requested(event: RequestEvent): void
}

const mostCodes = 96
const secondsOfRequests = [0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.5, 1, 5, 15, 30]

/** Counts from now on. */
export function openServiceMetrics({ clock, version, jobs, storeFails }: ServiceMetricsPorts): ServiceMetrics {
  const registry = new Registry<OpenMetricsContentType>()
  registry.setContentType(Registry.OPENMETRICS_CONTENT_TYPE)
  const registers = [registry]
  const requests = new Counter({
    name: 'attestd_verifier_request_total',
    help: 'answers of the attestation API, by path and by the code of the problem or the status',
    labelNames: ['route', 'code'],
    registers,
  })
  const duration = new Histogram({
    name: 'attestd_verifier_request_duration_seconds',
    help: 'time from the head of a request to its answer, by path',
    labelNames: ['route'],
    buckets: secondsOfRequests,
    registers,
  })
  const ignored = new Counter({
    name: 'attestd_verifier_ignored_member_total',
    help: 'members of requests that mean nothing here',
    registers,
  })
  new Gauge({
    name: 'attestd_verifier_jobs',
    help: 'appraisals and questions to policies that are at work or wait for a thread',
    registers,
    collect() {
      this.set(jobs())
    },
  })
  new Gauge({
    name: 'attestd_verifier_store_failing',
    help: '1 while the store of policies does not do what it is asked for, else 0',
    registers,
    collect() {
      this.set(storeFails() ? 1 : 0)
    },
  })
  measureProcess(registry, clock, version)
  const codes = new BoundedLabel(mostCodes)
  return {
    text: () => registry.metrics(),
    requested: ({ route, status, code, ignoredMembers, durationMs }) => {
      const path = route ?? 'none'
      requests.inc({ route: path, code: code === null ? String(status) : codes.of(code) })
      duration.observe({ route: path }, durationMs / 1000)
      if (ignoredMembers > 0) ignored.inc(ignoredMembers)
    },
  }
}
