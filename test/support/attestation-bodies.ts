import { randomBytes } from 'node:crypto'
import { parseCcEventLog } from '../../src/evidence/tdx/cc-event-log.ts'
import type { Rtmrs } from '../../src/evidence/tdx/td-report.ts'
import { replayCcEventLog } from '../../src/verifier/index.ts'
import { encodeCcEventLog } from './cc-event-logs.ts'
import type { TdMachine } from './td-machine.ts'

export interface QuotedRequest {
  readonly quote: Uint8Array
  readonly ccEventLog: Uint8Array | null
  readonly reportData: Uint8Array
  /** Body of a request for attestation. */
  readonly body: string
}

function registersOf(log: Uint8Array): Rtmrs {
  const [first, second, third, fourth] = replayCcEventLog(parseCcEventLog(log)).registers
  return [first.value, second.value, third.value, fourth.value]
}

/** A request over a new quote of the machine; with `events`, beside a log of so many that leads to the quoted registers. */
export function quotedRequest({ sim }: TdMachine, events = 0, more: object = {}): QuotedRequest {
  const reportData = new Uint8Array(randomBytes(64))
  const ccEventLog = events === 0 ? null : encodeCcEventLog(events, 180)
  const rtmr = ccEventLog && registersOf(ccEventLog)
  const quote = sim.quote({ reportData, ...(rtmr ? { rtmr } : {}) })
  const base64 = (bytes: Uint8Array | null) => bytes && Buffer.from(bytes).toString('base64')
  const evidence = JSON.stringify({ quote: base64(quote), cc_eventlog: base64(ccEventLog) })
  const body = JSON.stringify({
    tee: 'tdx',
    evidence: Buffer.from(evidence).toString('base64url'),
    runtime_data: { raw: Buffer.from(reportData).toString('base64url') },
    ...more,
  })
  return { quote, ccEventLog, reportData, body }
}
