import type { IncomingMessage } from 'node:http'
import type { Clock } from '../base/clock.ts'
import type { Connection } from './connection.ts'
import { withDeadline } from './deadline.ts'
import { workloadApiErrors } from './errors.ts'
import type { WorkloadLimits } from './limits.ts'

function collect(request: IncomingMessage, limit: number, connection: Connection): Promise<Uint8Array> {
  return new Promise((resolve, reject) => {
    const chunks: Uint8Array[] = []
    let size = 0
    const finish = (settle: () => void) => {
      connection.whileReadingBody(null)
      request.off('data', onData).off('end', onEnd).pause()
      settle()
    }
    const onData = (chunk: Buffer) => {
      size += chunk.length
      chunks.push(chunk)
      if (size <= limit) return
      finish(() => reject(workloadApiErrors.error('body_too_large', `${limit} bytes are allowed`)))
    }
    const onEnd = () => finish(() => resolve(Buffer.concat(chunks)))
    connection.whileReadingBody((error) => finish(() => reject(error)))
    request
      .on('data', onData)
      .on('end', onEnd)
      .on('error', () => undefined)
  })
}

/**
 * Reads the body of a request, at most `bodyBytes` within `bodyMs` (API-21, API-22). Throws `body_too_large` as soon as
 * the count is exceeded, `request_timeout`, and what the parser had to say about broken chunks.
 */
export function readBody(
  request: IncomingMessage,
  connection: Connection,
  context: { readonly clock: Clock; readonly limits: WorkloadLimits },
): Promise<Uint8Array> {
  const { clock, limits } = context
  const late = () => workloadApiErrors.error('request_timeout', `the body did not arrive within ${limits.bodyMs} ms`)
  return withDeadline({ clock, ms: limits.bodyMs, outer: connection.gone, late }, () =>
    collect(request, limits.bodyBytes, connection),
  )
}
