import type { TdxAttesterState } from '../attester/tdx/tdx-attester.ts'
import type { KeyDescription } from '../issuer/key-ring.ts'
import type { BrokerStatus } from '../passport/status.ts'
import type { TpmConnectionState } from '../platform/tpm-connection.ts'
import type { BatchStatus } from './embedded/batch-ledger.ts'
import type { AppraisalRecord } from './embedded/last-appraisal.ts'
import type { GuestWiring } from './wiring/guest.ts'

export interface TpmStatus {
  readonly place: string
  readonly simulated: boolean
  readonly connection: TpmConnectionState | null
}

export interface TdStatus {
  readonly place: string
  readonly simulated: boolean
  readonly quotes: TdxAttesterState
  readonly collateral: readonly CollateralStatus[]
}

/** One item of collateral at hand. Times in seconds since the epoch. */
export interface CollateralStatus {
  readonly item: string
  readonly issuedAt: number
  readonly expiresAt: number
  readonly source: string | null
  readonly failures: number
}

/** What `GET /v1/admin/status` answers and `attestd status` shows: the whole state, and nothing secret. */
export interface AgentStatus {
  readonly version: string
  /** Whether others move its clocks (BRK-170). */
  readonly testMode: boolean
  readonly pid: number
  /** Seconds since the epoch. */
  readonly startedAt: number
  readonly ready: boolean
  readonly reasons: readonly string[]
  readonly tpm: TpmStatus | null
  readonly td: TdStatus | null
  /** How callers are identified here. */
  readonly identity: 'pidfd' | 'procfs' | 'socket'
  readonly issuer: { readonly url: string; readonly keys: readonly KeyDescription[] }
  readonly appraisals: { readonly enrolment: AppraisalRecord | null; readonly evidence: AppraisalRecord | null }
  /** Batches of requests that the bundled verifier answered, each with one quote. */
  readonly batches: BatchStatus
  readonly broker: BrokerStatus
  /** Of the last reload that was refused; null if the newest configuration is in force. */
  readonly configurationError: string | null
}

const seconds = (ms: number) => Math.floor(ms / 1000)

function describeTd({ td, collateral }: GuestWiring): TdStatus | null {
  if (td === null) return null
  const items = collateral?.source.state() ?? []
  return {
    place: td.place,
    simulated: td.simulated,
    quotes: td.state(),
    collateral: items.map(({ item, facts, source, failures }) => ({
      item,
      issuedAt: seconds(facts.issueDate),
      expiresAt: seconds(facts.nextUpdate),
      source,
      failures,
    })),
  }
}

/** The devices as the status shows them. */
export function describeGuest(guest: GuestWiring): Pick<AgentStatus, 'tpm' | 'td'> {
  const { tpm } = guest
  return {
    tpm: tpm && { place: tpm.place, simulated: tpm.simulated, connection: tpm.state() },
    td: describeTd(guest),
  }
}
