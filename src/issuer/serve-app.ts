import type { FastifyInstance } from 'fastify'
import type { Task } from '../base/tasks.ts'
import { issuerErrors } from './errors.ts'

export interface ListenOptions {
  /** A numeric address with port (0: any free one), or the path of a Unix socket. TLS is a proxy's work (OP-73). */
  readonly listen: { readonly host: string; readonly port: number } | { readonly path: string }
  /** Told the base URL, or the path of the socket, once connections are taken. */
  readonly onListening?: (address: string) => void
}

/** Serves what `create` makes until the signal aborts. Rejects with `ISSUER_LISTEN_FAILED` if it cannot begin. */
export function serveApp(create: () => FastifyInstance, { listen, onListening }: ListenOptions): Task {
  return async (signal) => {
    if (signal.aborted) return
    const app = create()
    const stopped = new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }))
    try {
      const address = await app.listen({ ...listen }).catch((cause: NodeJS.ErrnoException) => {
        throw issuerErrors.error('ISSUER_LISTEN_FAILED', `cannot listen: ${cause.code ?? cause.message}`, { cause })
      })
      onListening?.(address)
      await stopped
    } finally {
      await app.close()
    }
  }
}
