import type { ApiContext } from './api-context.ts'
import { answerEvidence } from './evidence-operation.ts'
import { parseEvidenceParameters } from './evidence-parameters.ts'
import type { Exchange } from './exchange.ts'
import type { Route } from './route.ts'

async function serveEvidence(context: ApiContext, exchange: Exchange): Promise<void> {
  const parameters = parseEvidenceParameters(exchange.jsonBody())
  await answerEvidence(context, exchange, parameters, (body) => ({ status: 200, type: 'application/json', body }))
}

/** `POST /v1/evidence` (section 6.2). */
export function evidenceRoutes(context: ApiContext): readonly Route[] {
  return [
    { method: 'POST', path: '/v1/evidence', caller: true, handle: (exchange) => serveEvidence(context, exchange) },
  ]
}
