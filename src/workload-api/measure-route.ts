import { toHex } from '../base/bytes.ts'
import type { ApiContext } from './api-context.ts'
import type { Exchange } from './exchange.ts'
import { answerMeasurement } from './measure-operation.ts'
import { parseMeasureParameters } from './measure-parameters.ts'
import type { Route } from './route.ts'

async function serveMeasurement(context: ApiContext, exchange: Exchange): Promise<void> {
  const parameters = parseMeasureParameters(exchange.jsonBody())
  await answerMeasurement(context, exchange, parameters, ({ register, digest, logIndex }) => ({
    status: 200,
    type: 'application/json',
    body: JSON.stringify({ register, digest: toHex(digest), log_index: logIndex }),
  }))
}

/** `POST /v1/measure` (section 6.3). */
export function measureRoutes(context: ApiContext): readonly Route[] {
  return [
    { method: 'POST', path: '/v1/measure', caller: true, handle: (exchange) => serveMeasurement(context, exchange) },
  ]
}
