import fastify, { type FastifyInstance, type FastifyReply, type FastifyRequest } from 'fastify'
import { noSchemas } from '../base/no-schemas.ts'
import type { Task } from '../base/tasks.ts'
import { attestationErrors } from './attestation-api/errors.ts'
import { addDocuments, type DocumentOptions } from './document-routes.ts'
import { composeProblem } from './problem.ts'
import { type ListenOptions, serveApp } from './serve-app.ts'
import { carefulParser, carefulServer } from './server-options.ts'

export interface IssuerServerOptions extends DocumentOptions {
  /** Told of a failure that is a bug; the peer gets a bare 500. */
  readonly onBug?: (error: unknown) => void
}

const mostConnections = 256

function sendProblem(reply: FastifyReply, error: unknown): FastifyReply {
  const { status, body } = composeProblem(error)
  // A body that was not read must not be taken for the next request.
  reply.header('connection', 'close').header('cache-control', 'no-store')
  return reply.code(status).type('application/problem+json').send(Buffer.from(body))
}

function createApp(): FastifyInstance {
  return fastify({
    logger: false,
    schemaController: noSchemas,
    ...carefulServer,
    bodyLimit: 1,
    http: carefulParser,
    frameworkErrors: (_, __, reply) => {
      sendProblem(
        reply,
        attestationErrors.error('AS.REQUEST.INVALID_ARGUMENT', 'the URL of the request does not parse'),
      )
    },
  })
}

/** Refuses everything but reading before a body is looked at. */
function onlyReading(paths: ReadonlySet<string>) {
  return async (request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply | undefined> => {
    reply.header('x-content-type-options', 'nosniff')
    if (!paths.has(request.url.split('?')[0] ?? '')) {
      return sendProblem(reply, attestationErrors.error('AS.REQUEST.NOT_FOUND', 'nothing is served at this path'))
    }
    if (request.method === 'GET' || request.method === 'HEAD') return undefined
    reply.header('allow', 'GET, HEAD')
    return sendProblem(
      reply,
      attestationErrors.error('AS.REQUEST.METHOD_NOT_ALLOWED', 'this document can only be read'),
    )
  }
}

/**
 * The public documents of an issuer, as `addDocuments` serves them. Nothing else is served, no request has a body, and no
 * CORS header is sent.
 */
export function createIssuerServer({ onBug, ...options }: IssuerServerOptions): FastifyInstance {
  const app = createApp()
  app.addHook('onRequest', onlyReading(new Set(addDocuments(app, options))))
  app.setErrorHandler((error, _, reply) => {
    onBug?.(error)
    return sendProblem(reply, error)
  })
  app.server.maxConnections = mostConnections
  return app
}

export interface ServeIssuerOptions extends IssuerServerOptions, ListenOptions {}

/** Serves the issuer's documents until the signal aborts. Rejects with `ISSUER_LISTEN_FAILED` if it cannot begin. */
export function serveIssuer(options: ServeIssuerOptions): Task {
  return serveApp(() => createIssuerServer(options), options)
}
