import type { Logger } from 'pino'
import type { Task } from '../base/tasks.ts'
import type { TokenBuckets } from '../base/token-buckets.ts'
import type { Broker } from '../passport/broker.ts'
import type { BrokerEvent } from '../passport/broker-events.ts'
import type { PeerCredentials } from '../platform/peer-credentials.ts'
import type { AdminActions } from '../workload-api/admin-routes.ts'
import type { ConnectionLedger } from '../workload-api/connection-ledger.ts'
import type { EvidenceCollector } from '../workload-api/evidence-collector.ts'
import type { WorkloadLimits } from '../workload-api/limits.ts'
import type { Measurer } from '../workload-api/measurer.ts'
import type { WorkloadEvent } from '../workload-api/workload-log.ts'
import type { LoadedConfiguration } from './configuration/read.ts'
import type { BatchRecord } from './embedded/batch-ledger.ts'
import type { MeasurementEvent } from './measuring.ts'
import type { AgentMetrics } from './metrics/agent-metrics.ts'
import type { Observers } from './observers.ts'
import type { TokenGates } from './token-gates.ts'
import type { GuestWiring } from './wiring/guest.ts'
import type { Host } from './wiring/host.ts'
import type { IssuingWiring } from './wiring/issuing.ts'
import type { Listeners } from './wiring/listeners.ts'
import type { Settings } from './wiring/settings.ts'

/** What servers and services of the agent are made of; opened once. */
export interface AgentCore {
  /** The configuration that the agent started with. */
  readonly loaded: LoadedConfiguration
  readonly host: Host
  readonly log: Logger
  /** Those in force now; a reload replaces them as a whole. */
  readonly settings: () => Settings
  readonly broker: Broker
  readonly brokerEvents: Observers<BrokerEvent>
  /** Hears of every batch of requests of the bundled verifier that has ended. */
  readonly batches: Observers<BatchRecord>
  readonly guest: GuestWiring
  readonly issuing: IssuingWiring
  readonly peers: PeerCredentials
  readonly listeners: Listeners
  /** Shared by all listeners, so that they count together (API-23). */
  readonly connections: ConnectionLedger
  /** Shared likewise: a caller has one share, through however many listeners it comes (API-81). */
  readonly buckets: TokenBuckets
  readonly limits: WorkloadLimits
  readonly workloadEvents: Observers<WorkloadEvent>
  /** Evidence for callers (workload-api.md 6.2): every surface that hands some out asks here. */
  readonly collectEvidence: EvidenceCollector
  /** Runtime measurements of callers (6.3): whoever calls has checked by policy that the domain is the caller's. */
  readonly measure: Measurer
  /** Hears of every register that was extended through us, or may have been. */
  readonly measurements: Observers<MeasurementEvent>
  readonly metrics: AgentMetrics
  /** What keeps all callers from tokens at present. */
  readonly gates: TokenGates
}

/** Something of the agent that lives in time beside guest, broker and native listeners. */
export interface AgentService {
  /** Run until the agent stops; one that rejects ends the agent. */
  readonly tasks: readonly Task[]
  /** Called when other settings are in force, after the broker has taken them. */
  adopt?(settings: Settings): void
  /** Why the agent is not ready, numbered and without names of audiences: `sink:3:expired`. */
  failing?(): readonly string[]
  /** Its members of the status document; nothing secret (API-110). */
  describe?(): Readonly<Record<string, unknown>>
  /** What administrators can do with it. */
  readonly admin?: Partial<AdminActions>
  /** Its members of the support bundle; nothing secret (API-110). */
  support?(): Promise<Readonly<Record<string, unknown>>>
}
