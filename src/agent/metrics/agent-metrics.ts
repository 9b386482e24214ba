import { Counter, type OpenMetricsContentType, Registry } from 'prom-client'
import type { Clock } from '../../base/clock.ts'
import type { BrokerEvent } from '../../passport/broker-events.ts'
import type { EntryStatus } from '../../passport/status.ts'
import type { WorkloadEvent } from '../../workload-api/workload-log.ts'
import type { Observers } from '../observers.ts'
import { measureBroker } from './broker-metrics.ts'
import { type DeviceMetrics, measureDevices, type QuoteDeviceState } from './device-metrics.ts'
import { measureProcess } from './process-metrics.ts'
import { measureRequests } from './request-metrics.ts'
import { measureSinks, type SinkMetrics } from './sink-metrics.ts'

export interface AgentMetricsPorts {
  readonly clock: Clock
  readonly version: string
  readonly brokerEvents: Observers<BrokerEvent>
  readonly workloadEvents: Observers<WorkloadEvent>
  readonly entries: () => readonly EntryStatus[]
  readonly devices: () => readonly QuoteDeviceState[]
  /** Jobs that wait for the devices together, before they wait for one of them. */
  readonly waiting: () => number
}

/** Every metric of this agent (broker.md section 13), as OpenMetrics text; nothing in it is secret (API-110). */
export interface AgentMetrics {
  text(): Promise<string>
  readonly devices: DeviceMetrics
  readonly sinks: SinkMetrics
  /** The journal lost a record or could not be written (BRK-124). */
  journalFailed(): void
  /** An expired token was given away, in an answer or a file. Must never happen (BRK-167). */
  expiredServed(): void
}

/** Counts from now on. */
export function openMetrics(ports: AgentMetricsPorts): AgentMetrics {
  const { clock, version, brokerEvents, workloadEvents, entries, devices, waiting } = ports
  const registry = new Registry<OpenMetricsContentType>()
  registry.setContentType(Registry.OPENMETRICS_CONTENT_TYPE)
  const registers = [registry]
  const expired = new Counter({
    name: 'attestd_expired_served_total',
    help: 'expired tokens that were given away; must stay 0',
    registers,
  })
  const journal = new Counter({
    name: 'attestd_journal_errors_total',
    help: 'writes of the journal that failed, and entries that found no room',
    registers,
  })
  const expiredServed = () => expired.inc()
  brokerEvents.add(measureBroker({ registry, clock, entries }))
  workloadEvents.add(measureRequests(registry, expiredServed))
  measureProcess(registry, clock, version)
  return {
    text: () => registry.metrics(),
    devices: measureDevices(registry, devices, waiting),
    sinks: measureSinks(registry),
    journalFailed: () => journal.inc(),
    expiredServed,
  }
}
