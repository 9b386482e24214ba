import type { FairTurns } from '../../base/fair-turns.ts'
import type { AgentCore } from '../core.ts'
import { type AgentMetrics, openMetrics } from '../metrics/agent-metrics.ts'
import type { QuoteDeviceState } from '../metrics/device-metrics.ts'
import { version } from '../version.ts'

function devicesOf({ tpm, td }: AgentCore['guest']): readonly QuoteDeviceState[] {
  const quotes = td?.state()
  return [
    ...(tpm === null ? [] : [{ device: 'tpm' as const, queued: 0, stuck: false }]),
    ...(quotes === undefined ? [] : [{ device: 'tdx' as const, queued: quotes.queued, stuck: quotes.stuck }]),
  ]
}

/** Counts what the rooms tell; an expired token that was given away is logged as well, for it must not happen. `turns`: before the devices. */
export function wireMetrics(core: Omit<AgentCore, 'metrics'>, turns: Pick<FairTurns, 'queued'>): AgentMetrics {
  const { host, log, broker, brokerEvents, workloadEvents, batches, guest } = core
  const metrics = openMetrics({
    ...{ clock: host.clock, version, brokerEvents, workloadEvents },
    entries: () => broker.status().entries,
    devices: () => devicesOf(guest),
    waiting: () => turns.queued,
  })
  batches.add(({ requests }) => metrics.devices.batched(requests))
  guest.quotes.add(({ device, ms }) => metrics.devices.quoted(device, ms))
  workloadEvents.add((told) => {
    if (told.event === 'expired_token_written') log.error(told, 'an expired token was written: this is a fault')
  })
  return metrics
}
