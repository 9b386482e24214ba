import type { KeyDescription } from '../issuer/key-ring.ts'
import type { BrokerStatus } from '../passport/status.ts'
import type { TpmConnectionState } from '../platform/tpm-connection.ts'
import type { AppraisalRecord } from './embedded/last-appraisal.ts'

/** What `GET /v1/admin/status` answers and `attestd status` shows: the whole state, and nothing secret. */
export interface AgentStatus {
  readonly version: string
  readonly pid: number
  /** Seconds since the epoch. */
  readonly startedAt: number
  readonly ready: boolean
  readonly reasons: readonly string[]
  readonly tpm: { readonly place: string; readonly simulated: boolean; readonly connection: TpmConnectionState | null }
  /** How callers are identified here. */
  readonly identity: 'pidfd' | 'procfs' | 'socket'
  readonly issuer: { readonly url: string; readonly keys: readonly KeyDescription[] }
  readonly appraisals: { readonly enrolment: AppraisalRecord | null; readonly evidence: AppraisalRecord | null }
  readonly broker: BrokerStatus
  /** Of the last reload that was refused; null if the newest configuration is in force. */
  readonly configurationError: string | null
}
