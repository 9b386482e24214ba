import { callerRequest } from '../policies/caller-policy.ts'
import {
  type ApiContext,
  deadlineExceeded,
  deadlineGraceMs,
  remainingMs,
  requireAllowed,
  requireStillAllowed,
} from './api-context.ts'
import { withDeadline } from './deadline.ts'
import { workloadApiErrors } from './errors.ts'
import type { EvidenceCollector } from './evidence-collector.ts'
import { type EvidenceParameters, parseEvidenceParameters } from './evidence-parameters.ts'
import type { Exchange } from './exchange.ts'
import { callerKey } from './rate-limits.ts'
import type { Route } from './route.ts'

function requireCollector({ collectEvidence }: ApiContext): EvidenceCollector {
  if (collectEvidence) return collectEvidence
  throw workloadApiErrors.error('not_supported', 'this agent hands out no evidence')
}

/** API-66: report data of the caller's choice is a right of its own. */
function asRequest({ profile, challenge }: EvidenceParameters) {
  return profile === 'raw' ? callerRequest('raw_report_data', { rawReportData: challenge }) : callerRequest('evidence')
}

async function serveEvidence(context: ApiContext, exchange: Exchange): Promise<void> {
  const parameters = parseEvidenceParameters(exchange.jsonBody())
  const { timeoutMs, ...request } = parameters
  const permission = requireAllowed(context, exchange, asRequest(parameters), true)
  const collect = requireCollector(context)
  const leftMs = remainingMs(context, exchange, timeoutMs)
  const demand = { timeoutMs: leftMs, caller: callerKey(exchange.caller) }
  const deadline = {
    clock: context.clock,
    ms: leftMs + deadlineGraceMs,
    outer: exchange.connection.gone,
    late: () => deadlineExceeded(timeoutMs),
  }
  const body = await withDeadline(deadline, (signal) => collect(request, demand, signal))
  await exchange.readyToWrite()
  requireStillAllowed(context, exchange, permission)
  exchange.write({ status: 200, type: 'application/json', body })
}

/** `POST /v1/evidence` (section 6.2). */
export function evidenceRoutes(context: ApiContext): readonly Route[] {
  return [
    { method: 'POST', path: '/v1/evidence', caller: true, handle: (exchange) => serveEvidence(context, exchange) },
  ]
}
