import http from 'node:http'
import type { Socket } from 'node:net'
import fastify, { type FastifyInstance } from 'fastify'
import { noSchemas } from '../base/no-schemas.ts'
import { abandonable } from '../base/tasks.ts'
import type { Door } from './door.ts'
import { workloadApiErrors } from './errors.ts'
import { exchangeName, HttpFront, type HttpFrontOptions } from './http-front.ts'
import type { WorkloadLimits } from './limits.ts'

export interface HttpServer {
  readonly server: http.Server
  /** Ends: takes nothing new, lets running requests end for `drainMs`, then closes what is left. */
  close(): Promise<void>
}

function createNodeServer(limits: WorkloadLimits, handler: http.RequestListener): http.Server {
  const server = http.createServer(
    {
      maxHeaderSize: limits.headerBytes,
      requireHostHeader: false,
      insecureHTTPParser: false,
      headersTimeout: limits.headersMs,
      requestTimeout: limits.headersMs + limits.bodyMs,
      connectionsCheckingInterval: limits.checkMs,
      keepAliveTimeout: limits.idleMs,
      rejectNonStandardBodyWrites: true,
    },
    handler,
  )
  // Fields beyond this number are dropped silently, and with them what makes a request refused: so count, never drop.
  server.maxHeadersCount = 0
  server.timeout = 0
  server.on('checkContinue', handler)
  server.on('checkExpectation', handler)
  // Half-closed connections are ended by Connection, after what can be answered at once.
  return Object.assign(server, { httpAllowHalfOpen: true })
}

/** Puts the door in front of Node's HTTP: what it refuses is never parsed. */
function guardConnections(server: http.Server, door: Door): void {
  const [accept, ...others] = server.listeners('connection')
  if (!accept || others.length > 0) throw new TypeError('http.Server does not have its one connection listener')
  server.removeAllListeners('connection')
  server.on('connection', (socket: Socket) => {
    if (door.letIn(socket)) accept.call(server, socket)
  })
}

type App = FastifyInstance<http.Server>

function registerRoutes(app: App, front: HttpFront): void {
  for (const { path, methods } of front.table.paths) {
    for (const [method, { handle }] of methods) {
      app.route({
        method,
        // For Fastify a single colon begins a parameter.
        url: path.replaceAll(':', '::'),
        handler: async (request, reply) => {
          const exchange = front.exchangeOf(request)
          if (exchange.bodyUnread) await front.readBody(request, exchange)
          await handle(exchange)
          return reply
        },
      })
    }
  }
}

/** Fastify's own refusals; every other error is a problem of the API or a fault. */
function knownError(error: unknown): unknown {
  const code = error instanceof Error && 'code' in error ? error.code : undefined
  if (code !== 'FST_ERR_CTP_INVALID_MEDIA_TYPE') return error
  return workloadApiErrors.error('unsupported_media_type', 'the header Content-Type is not valid')
}

function createApp(front: HttpFront, limits: WorkloadLimits): App {
  const app: App = fastify({
    serverFactory: (handler) => createNodeServer(limits, handler),
    rewriteUrl: ({ url }) => front.routedUrl(url ?? ''),
    clientErrorHandler: (error, socket) => front.clientError(error, socket),
    exposeHeadRoutes: false,
    return503OnClosing: false,
    forceCloseConnections: false,
    logger: false,
    schemaController: noSchemas,
  })
  app.decorateRequest(exchangeName, null)
  app.removeAllContentTypeParsers()
  app.addContentTypeParser('*', (_request, _payload, done) => done(null))
  app.addHook('onRequest', (request, reply, done) => {
    const opening = front.open(request, reply)
    if (opening === null) done()
    else opening.then(() => done(), done)
  })
  app.setErrorHandler((error, request) => {
    try {
      front.exchangeOf(request).fail(knownError(error))
    } catch (fault) {
      // Half an answer cannot be mended: the peer must not wait for the rest.
      request.raw.socket.destroy(fault instanceof Error ? fault : undefined)
    }
  })
  // Never called: what has no route is refused by the hook. It makes Fastify run the hook for such requests.
  app.setNotFoundHandler((request) => front.exchangeOf(request).fail(new TypeError('a request without a route')))
  registerRoutes(app, front)
  return app
}

/** Looks again and again for peers that do not read, until the signal aborts. */
async function keepStallsDropped(door: Door, options: HttpFrontOptions, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    await options.clock.sleep(options.limits.checkMs, signal).catch(() => undefined)
    for (const connection of door.connections) connection.dropIfStalled()
  }
}

function closed(server: http.Server): Promise<void> {
  return new Promise((resolve) => server.close(() => resolve()))
}

/** An HTTP/1.1 server by the profile of section 2, over whatever it is made to listen on. */
export async function createHttpServer(options: HttpFrontOptions): Promise<HttpServer> {
  const front = new HttpFront(options)
  const app = createApp(front, options.limits)
  await app.ready()
  guardConnections(app.server, front.door)
  const running = new AbortController()
  void keepStallsDropped(front.door, options, running.signal)
  return {
    server: app.server,
    async close() {
      const ended = closed(app.server)
      for (const connection of front.door.connections) connection.closeWhenIdle()
      const late = new AbortController()
      options.clock.sleep(options.limits.drainMs, running.signal).then(
        () => late.abort(),
        () => undefined,
      )
      await abandonable(ended, late.signal).catch(() => undefined)
      for (const connection of front.door.connections) connection.socket.destroy()
      await ended
      running.abort()
      await app.close()
    },
  }
}
