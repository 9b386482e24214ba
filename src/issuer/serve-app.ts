import type { FastifyInstance, FastifyReply } from 'fastify'
import type { Clock } from '../base/clock.ts'
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
  /** For requests that have begun once the signal aborts; default: none. */
  readonly grace?: Grace
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

/** How long requests that have begun may go on when a server ends; then their connections are cut. */
export interface Grace {
  readonly ms: number
  readonly clock: Pick<Clock, 'sleep'>
}

/** What of a server is needed to end it. */
interface Ending {
  readonly server: { close(): unknown; closeAllConnections(): void }
  close(): PromiseLike<unknown>
  addHook(name: 'onSend', hook: (request: unknown, reply: FastifyReply) => Promise<void>): unknown
}

/**
 * Gives what ends a server: nobody connects any more, requests that have begun are answered within the grace, and what is
 * left then is cut; without a grace all is cut at once. To be called before the server is ready.
 */
function endingOf(app: Ending, grace: Grace | null = null): () => Promise<void> {
  let isEnding = false
  // A connection that is kept for its next request would hold the server until the grace is over.
  app.addHook('onSend', async (_, reply) => {
    if (isEnding) reply.header('connection', 'close')
  })
  return async () => {
    isEnding = true
    if (grace === null) {
      app.server.close()
      app.server.closeAllConnections()
    }
    const done = new AbortController()
    grace?.clock.sleep(grace.ms, done.signal).then(
      () => app.server.closeAllConnections(),
      () => undefined,
    )
    await app.close()
    done.abort()
  }
}

/**
 * A server that `create` makes, and `begin` binds, until the signal aborts; then it ends as `endingOf` says. Rejects with what
 * `begin` rejects with, and then the server is closed too.
 */
export function servedTask<App extends Ending>(
  create: () => App,
  grace: Grace | undefined,
  begin: (app: App) => Promise<void>,
): Task {
  return async (signal) => {
    if (signal.aborted) return
    const app = create()
    const end = endingOf(app, grace)
    const stopped = new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }))
    try {
      await begin(app)
      await stopped
    } finally {
      await end()
    }
  }
}

/**
 * Serves what `create` makes until the signal aborts. Rejects with `ISSUER_LISTEN_FAILED`, or as what binds the server does,
 * if it cannot begin.
 */
export function serveApp(create: () => FastifyInstance, { listen, onListening, grace }: ListenOptions): Task {
  return servedTask(create, grace, async (app) => {
    const address = await bind(app, listen)
    onListening?.(address)
  })
}
