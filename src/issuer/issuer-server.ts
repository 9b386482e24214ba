import fastify, { type FastifyInstance, type FastifyReply, type FastifyRequest } from 'fastify'
import { noSchemas } from '../base/no-schemas.ts'
import type { Task } from '../base/tasks.ts'
import { attestationErrors } from './attestation-api/errors.ts'
import {
  composeDiscoveryDocument,
  composeKeySetDocument,
  documentPaths,
  type IssuerDocument,
  type IssuerEndpoints,
} from './discovery.ts'
import { issuerErrors } from './errors.ts'
import type { KeyRing } from './key-ring.ts'
import { composeProblem } from './problem.ts'
import { carefulParser, carefulServer } from './server-options.ts'

export interface IssuerServerOptions {
  readonly issuer: string
  readonly keys: Pick<KeyRing, 'jwks' | 'algorithms'>
  /** Endpoints that some server answers under the issuer's URL; by default none. */
  readonly endpoints?: IssuerEndpoints
  /** Default 3 600; the key ring must know the same number (TOK-51). */
  readonly jwksMaxAgeS?: number
  /** Told of a failure that is a bug; the peer gets a bare 500. */
  readonly onBug?: (error: unknown) => void
}

const mostConnections = 256

/** RFC 9110 section 13.1.2: `*`, or a list of which one is ours; a weak tag counts here. */
function matchesEtag(header: string | undefined, etag: string): boolean {
  if (header === undefined) return false
  return header.trim() === '*' || header.split(',').some((tag) => tag.trim().replace(/^W\//, '') === etag)
}

function sendProblem(reply: FastifyReply, error: unknown): FastifyReply {
  const { status, body } = composeProblem(error)
  // A body that was not read must not be taken for the next request.
  reply.header('connection', 'close').header('cache-control', 'no-store')
  return reply.code(status).type('application/problem+json').send(Buffer.from(body))
}

function sendDocument(request: FastifyRequest, reply: FastifyReply, document: IssuerDocument, maxAgeS: number) {
  reply.header('etag', document.etag).header('cache-control', `public, max-age=${maxAgeS}`)
  if (matchesEtag(request.headers['if-none-match'], document.etag)) return reply.code(304).send()
  return reply.type(document.mediaType).send(Buffer.from(document.body))
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
 * The public documents of an issuer: discovery (OpenID Connect and RFC 8414) and key set, at the paths of TOK-58, with
 * `Cache-Control`, strong `ETag`, 304 and HEAD (TOK-56). Nothing else is served, no request has a body, and no CORS
 * header is sent. The key set is answered as `application/jwk-set+json`, which is JSON, whatever `Accept` says.
 */
export function createIssuerServer(options: IssuerServerOptions): FastifyInstance {
  const { issuer, keys, endpoints = {}, jwksMaxAgeS = 3600, onBug } = options
  const app = createApp()
  const paths = documentPaths(issuer)
  const serve = (path: string, compose: () => IssuerDocument) =>
    app.get(path, (request, reply) => sendDocument(request, reply, compose(), jwksMaxAgeS))
  for (const path of paths.discovery) {
    serve(path, () => composeDiscoveryDocument({ issuer, algorithms: keys.algorithms(), endpoints }))
  }
  for (const path of paths.keySet) serve(path, () => composeKeySetDocument(keys.jwks()))
  app.addHook('onRequest', onlyReading(new Set([...paths.discovery, ...paths.keySet])))
  app.setErrorHandler((error, _, reply) => {
    onBug?.(error)
    return sendProblem(reply, error)
  })
  app.server.maxConnections = mostConnections
  return app
}

export interface ServeIssuerOptions extends IssuerServerOptions {
  /** A numeric address with port (0: any free one), or the path of a Unix socket. TLS is a proxy's work (OP-73). */
  readonly listen: { readonly host: string; readonly port: number } | { readonly path: string }
  /** Told the base URL, or the path of the socket, once connections are taken. */
  readonly onListening?: (address: string) => void
}

/** Serves the issuer's documents until the signal aborts. Rejects with `ISSUER_LISTEN_FAILED` if it cannot begin. */
export function serveIssuer(options: ServeIssuerOptions): Task {
  return async (signal) => {
    if (signal.aborted) return
    const app = createIssuerServer(options)
    const stopped = new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }))
    try {
      const address = await app.listen({ ...options.listen }).catch((cause: NodeJS.ErrnoException) => {
        throw issuerErrors.error('ISSUER_LISTEN_FAILED', `cannot listen: ${cause.code ?? cause.message}`, { cause })
      })
      options.onListening?.(address)
      await stopped
    } finally {
      await app.close()
    }
  }
}
