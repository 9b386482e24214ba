import { callerRequest, coversDomain } from '../policies/caller-policy.ts'
import { type ApiContext, deadlineExceeded, deadlineGraceMs, remainingMs, requireAllowed } from './api-context.ts'
import { withDeadline } from './deadline.ts'
import { workloadApiErrors } from './errors.ts'
import type { Answer, Exchange } from './exchange.ts'
import type { MeasureParameters } from './measure-parameters.ts'
import type { Measured, Measurer } from './measurer.ts'

function requireMeasurer({ measure }: ApiContext): Measurer {
  if (measure) return measure
  throw workloadApiErrors.error('not_supported', 'this agent extends no registers')
}

/**
 * The native measurement as the answer to an HTTP request (section 6.3), for the native route and for surfaces alike:
 * allowed to this caller for its domain before anything is done. What was measured cannot be undone, so that the answer
 * does not wait for another look at the policy; a caller that hangs up is measured all the same.
 */
export async function answerMeasurement(
  context: ApiContext,
  exchange: Exchange,
  parameters: MeasureParameters,
  encode: (measured: Measured) => Answer,
): Promise<void> {
  const { timeoutMs, ...request } = parameters
  const asked = callerRequest('measure', { domain: request.domain })
  const { rule } = requireAllowed(context, exchange, asked, true)
  const share = { bytes: rule.allow.measureBytesMax, covers: (domain: string) => coversDomain(rule.allow, domain) }
  const measure = requireMeasurer(context)
  const deadline = {
    clock: context.clock,
    ms: remainingMs(context, exchange, timeoutMs) + deadlineGraceMs,
    outer: exchange.gone,
    late: () => deadlineExceeded(timeoutMs),
  }
  const measured = await withDeadline(deadline, (signal) => measure(request, signal, share))
  await exchange.answer(encode(measured))
}
