import { toHex } from '../base/bytes.ts'
import { callerRequest } from '../policies/caller-policy.ts'
import { type ApiContext, deadlineExceeded, deadlineGraceMs, remainingMs, requireAllowed } from './api-context.ts'
import { withDeadline } from './deadline.ts'
import { workloadApiErrors } from './errors.ts'
import type { Exchange } from './exchange.ts'
import { parseMeasureParameters } from './measure-parameters.ts'
import type { Measurer } from './measurer.ts'
import type { Route } from './route.ts'

function requireMeasurer({ measure }: ApiContext): Measurer {
  if (measure) return measure
  throw workloadApiErrors.error('not_supported', 'this agent extends no registers')
}

/**
 * One measurement, allowed to this caller for its domain before anything is done. What was measured cannot be undone, so
 * that the answer does not wait for another look at the policy; a caller that hangs up is measured all the same.
 */
async function serveMeasurement(context: ApiContext, exchange: Exchange): Promise<void> {
  const { timeoutMs, ...request } = parseMeasureParameters(exchange.jsonBody())
  requireAllowed(context, exchange, callerRequest('measure', { domain: request.domain }), true)
  const measure = requireMeasurer(context)
  const deadline = {
    clock: context.clock,
    ms: remainingMs(context, exchange, timeoutMs) + deadlineGraceMs,
    outer: exchange.connection.gone,
    late: () => deadlineExceeded(timeoutMs),
  }
  const { register, digest, logIndex } = await withDeadline(deadline, (signal) => measure(request, signal))
  const body = JSON.stringify({ register, digest: toHex(digest), log_index: logIndex })
  await exchange.answer({ status: 200, type: 'application/json', body })
}

/** `POST /v1/measure` (section 6.3). */
export function measureRoutes(context: ApiContext): readonly Route[] {
  return [
    { method: 'POST', path: '/v1/measure', caller: true, handle: (exchange) => serveMeasurement(context, exchange) },
  ]
}
