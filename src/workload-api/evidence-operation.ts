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
import type { EvidenceParameters } from './evidence-parameters.ts'
import type { Answer, Exchange } from './exchange.ts'
import { callerKey } from './rate-limits.ts'

function requireCollector({ collectEvidence }: ApiContext): EvidenceCollector {
  if (collectEvidence) return collectEvidence
  throw workloadApiErrors.error('not_supported', 'this agent hands out no evidence')
}

/** API-66: report data of the caller's choice is a right of its own. */
function asRequest({ profile, challenge }: EvidenceParameters) {
  return profile === 'raw' ? callerRequest('raw_report_data', { rawReportData: challenge }) : callerRequest('evidence')
}

/**
 * The native evidence operation as the answer to an HTTP request (section 6.2), for the native route and for surfaces
 * alike; `encode` makes the answer of the evidence document, and may throw a problem.
 */
export async function answerEvidence(
  context: ApiContext,
  exchange: Exchange,
  parameters: EvidenceParameters,
  encode: (document: string) => Answer,
): Promise<void> {
  const { timeoutMs, ...request } = parameters
  const permission = requireAllowed(context, exchange, asRequest(parameters), true)
  const collect = requireCollector(context)
  const leftMs = remainingMs(context, exchange, timeoutMs)
  const demand = { timeoutMs: leftMs, caller: callerKey(exchange.caller), left: exchange.left() }
  const deadline = {
    clock: context.clock,
    ms: leftMs + deadlineGraceMs,
    outer: exchange.gone,
    late: () => deadlineExceeded(timeoutMs),
  }
  const document = await withDeadline(deadline, (signal) => collect(request, demand, signal))
  const answer = encode(document)
  await exchange.readyToWrite()
  requireStillAllowed(context, exchange, permission)
  exchange.write(answer)
}
