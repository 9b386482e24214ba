import type { FastifyInstance } from 'fastify'
import type { Task } from '../base/tasks.ts'
import { issuerErrors } from './errors.ts'

export interface ListenOptions {
  /**
   * A numeric address with port (0: any free one), the path of a Unix socket, or what binds the server itself and gives its
   * address. TLS is a proxy's work (OP-73).
   */
  readonly listen:
    | { readonly host: string; readonly port: number }
    | { readonly path: string }
    | ((server: FastifyInstance['server']) => Promise<string>)
  /** Told the base URL, or the path of the socket, once connections are taken. */
  readonly onListening?: (address: string) => void
}

async function bind(app: FastifyInstance, listen: ListenOptions['listen']): Promise<string> {
  if (typeof listen === 'function') {
    await app.ready()
    return listen(app.server)
  }
  return app.listen({ ...listen }).catch((cause: NodeJS.ErrnoException) => {
    const shown = 'path' in listen ? listen.path : `${listen.host} port ${listen.port}`
    throw issuerErrors.error('ISSUER_LISTEN_FAILED', `cannot listen at ${shown}: ${cause.code ?? cause.message}`, {
      cause,
    })
  })
}

/**
 * Serves what `create` makes until the signal aborts. Rejects with `ISSUER_LISTEN_FAILED`, or as what binds the server does,
 * if it cannot begin.
 */
export function serveApp(create: () => FastifyInstance, { listen, onListening }: ListenOptions): Task {
  return async (signal) => {
    if (signal.aborted) return
    const app = create()
    const stopped = new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }))
    try {
      const address = await bind(app, listen)
      onListening?.(address)
      await stopped
    } finally {
      await app.close()
    }
  }
}
