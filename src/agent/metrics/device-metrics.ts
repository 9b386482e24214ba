import { Gauge, Histogram, type OpenMetricsContentType, type Registry } from 'prom-client'

export type QuoteDevice = 'tdx' | 'tpm'

/** A device that gives quotes, when somebody reads the metrics. */
export interface QuoteDeviceState {
  readonly device: QuoteDevice
  /** Jobs that wait. */
  readonly queued: number
  /** A quote is in flight for longer than its deadline (BRK-82). */
  readonly stuck: boolean
}

const secondsOfQuotes = [0.005, 0.01, 0.05, 0.1, 0.5, 1, 2, 5, 10, 35]
const leavesOfBatches = [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024]

export interface DeviceMetrics {
  /** A quote came or failed, after so many milliseconds on the device. */
  quoted(device: QuoteDevice, ms: number): void
  /** One quote is to serve so many requests (BRK-85). */
  batched(requests: number): void
}

/** The devices that give evidence. */
export function measureDevices(
  registry: Registry<OpenMetricsContentType>,
  devices: () => readonly QuoteDeviceState[],
  waiting: () => number,
): DeviceMetrics {
  const registers = [registry]
  new Gauge({
    name: 'attestd_quote_queue_depth',
    help: 'jobs that wait for the devices',
    registers,
    collect() {
      this.set(devices().reduce((sum, { queued }) => sum + queued, waiting()))
    },
  })
  new Gauge({
    name: 'attestd_quote_stuck',
    help: '1: a quote is in flight for longer than its deadline',
    labelNames: ['device'],
    registers,
    collect() {
      for (const { device, stuck } of devices()) this.set({ device }, stuck ? 1 : 0)
    },
  })
  const duration = new Histogram({
    name: 'attestd_quote_duration_seconds',
    help: 'time that a quote took on the device, whether it came or failed',
    labelNames: ['device'],
    buckets: secondsOfQuotes,
    registers,
  })
  const batches = new Histogram({
    name: 'attestd_batch_size',
    help: 'requests that one quote serves',
    buckets: leavesOfBatches,
    registers,
  })
  return {
    quoted: (device, ms) => duration.observe({ device }, ms / 1000),
    batched: (requests) => batches.observe(requests),
  }
}
