import { Counter, Gauge, type OpenMetricsContentType, type Registry } from 'prom-client'
import type { SinkStatus } from '../../passport/sinks/sink-status.ts'
import { BoundedLabel } from './bounded-label.ts'

const mostSinks = 256

type ReadSinks = () => readonly (SinkStatus | null)[]

export interface SinkMetrics {
  /** A token file was written, or could not be. */
  written(sink: string, result: 'ok' | 'failed'): void
  /** Until when the file of this sink holds a valid token, in seconds; null: there is none. */
  ends(sink: string, expiresAt: number | null): void
  /** Whoever keeps the token files says here how they are found out about. */
  follow(read: ReadSinks): void
  /** How the token files are now. */
  current(): readonly SinkStatus[]
}

/** Token files by the names of their sinks, which the configuration bounds. */
export function measureSinks(registry: Registry<OpenMetricsContentType>): SinkMetrics {
  const registers = [registry]
  const writes = new Counter({
    name: 'attestd_sink_write_total',
    help: 'writes of token files, by their result',
    labelNames: ['sink', 'result'],
    registers,
  })
  const expiry = new Gauge({
    name: 'attestd_sink_expiry_timestamp_seconds',
    help: 'end of the token in the file; 0: there is none',
    labelNames: ['sink'],
    registers,
  })
  const names = new BoundedLabel(mostSinks)
  let read: ReadSinks = () => []
  return {
    current: () => read().filter((sink) => sink !== null),
    follow: (given) => {
      read = given
    },
    written: (sink, result) => writes.inc({ sink: names.of(sink), result }),
    ends: (sink, expiresAt) => expiry.set({ sink: names.of(sink) }, expiresAt ?? 0),
  }
}
