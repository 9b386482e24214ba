import type { Server, Socket } from 'node:net'
import { createSecureContext } from 'node:tls'
import fastify, { type FastifyReply, type FastifyRequest } from 'fastify'
import { AttestdError } from '../../base/errors.ts'
import { noSchemas } from '../../base/no-schemas.ts'
import type { Task } from '../../base/tasks.ts'
import { type Grace, servedTask } from '../serve-app.ts'
import { carefulParser, carefulServer } from '../server-options.ts'
import { type AnswerKeys, composeAzureMetadata } from './azure-answers.ts'
import { composeAzureError, type RefusalOptions, refusalOf } from './azure-error.ts'
import { azureErrors } from './errors.ts'

/** PEM: the key of the server, and its certificate with those above it. */
export interface ServerTls {
  readonly key: string
  readonly cert: string
}

export interface AzureServerOptions extends RefusalOptions {
  /** Base URL under which clients know the façade, and `iss` of what it signs: https, without a slash at its end. */
  readonly issuer: string
  /** The façade is served over TLS alone: tokens of administrators go over it. */
  readonly tls: ServerTls
  readonly keys: AnswerKeys
  /** Told of a failure that is a bug; the peer gets a bare 500. */
  readonly onBug?: (error: unknown) => void
}

const limits = { bodyBytes: 262_144, connections: 128, certsMaxAgeS: 300, handshakeMs: 10_000 }
const requestIdForm = /^[\x21-\x7e]{1,128}$/

/** Path of the base URL, without a slash at its end. Throws `AZURE_CONFIGURATION` for a URL that clients cannot use. */
function basePath(issuer: string): string {
  const url = URL.canParse(issuer) ? new URL(issuer) : null
  const isPlain = url?.protocol === 'https:' && url.search === '' && url.hash === '' && url.username === ''
  if (!isPlain || issuer.endsWith('/') || issuer !== url.href.replace(/\/$/, '')) {
    throw azureErrors.error('AZURE_CONFIGURATION', 'the base URL is not one of https without a slash at its end')
  }
  return url.pathname === '/' ? '' : url.pathname
}

/** Throws `AZURE_CONFIGURATION` for what no server can be made of. */
export function requireServerTls(tls: ServerTls): void {
  const refuse = (says: string) => azureErrors.error('AZURE_CONFIGURATION', says)
  if (tls.key === '' || tls.cert === '') throw refuse('the key or the certificate for TLS is missing')
  try {
    createSecureContext({ ...tls })
  } catch {
    // node:tls reports what OpenSSL does not take as errors of several kinds; their text may quote the key.
    throw refuse('the key or the certificate for TLS cannot be used, or they are not a pair')
  }
}

function sendRefusal(reply: FastifyReply, error: unknown, options: RefusalOptions = {}): FastifyReply {
  const refusal = refusalOf(error, options)
  // A body that was not read must not be taken for the next request.
  reply.header('connection', 'close').header('cache-control', 'no-store')
  const waitS = error instanceof AttestdError ? error.facts['retry_after_s'] : undefined
  if (typeof waitS === 'number' && waitS > 0) reply.header('retry-after', String(waitS))
  if (refusal.status === 401) reply.header('www-authenticate', 'Bearer')
  return reply.code(refusal.status).type('application/json').send(composeAzureError(refusal))
}

/** What the framework refuses by itself, in our words. */
function withoutFramework(error: unknown): unknown {
  const code = typeof error === 'object' && error !== null && 'code' in error ? String(error.code) : ''
  if (code === 'FST_ERR_CTP_BODY_TOO_LARGE')
    return azureErrors.error('AZURE_TOO_LARGE', 'the body has more than 256 KiB')
  if (code === 'ECONNRESET')
    return azureErrors.error('AZURE_REQUEST_INVALID', 'the client hung up before its body ended')
  if (!code.startsWith('FST_ERR_CTP_') && code !== 'FST_ERR_BAD_URL') return error
  return azureErrors.error('AZURE_REQUEST_INVALID', 'the request cannot be read')
}

const endsOf = ({ remoteAddress, remotePort, localAddress }: Socket) => `${remoteAddress} ${remotePort} ${localAddress}`

/**
 * The HTTP server does not know of a connection before its handshake is done: whoever opened one and says nothing would hold
 * up the end of the service for as long as a handshake may take. Those are cut, and what connects later too.
 */
function endWithServer(server: Server, onEnding: (end: () => void) => void): void {
  // Node gives the socket of TCP and that of TLS over it, and not which belongs to which.
  const greeting = new Map<string, Socket>()
  let isEnding = false
  server.on('connection', (socket: Socket) => {
    const ends = endsOf(socket)
    if (isEnding) socket.destroy()
    greeting.set(ends, socket)
    socket.once('close', () => {
      if (greeting.get(ends) === socket) greeting.delete(ends)
    })
  })
  server.on('secureConnection', (socket: Socket) => greeting.delete(endsOf(socket)))
  onEnding(() => {
    isEnding = true
    for (const socket of greeting.values()) socket.destroy()
  })
}

/** A server for clients of Azure Attestation: its manners, `/certs` and the metadata. Nothing else is served yet. */
export function createAzureServer({ issuer, tls, keys, onBug, ...refusals }: AzureServerOptions) {
  const path = basePath(issuer)
  requireServerTls(tls)
  const app = fastify({
    ...carefulServer,
    // Whoever is being attested, or changes a policy, when the service stops is answered; `servedTask` bounds how long.
    forceCloseConnections: 'idle',
    return503OnClosing: false,
    logger: false,
    schemaController: noSchemas,
    bodyLimit: limits.bodyBytes,
    exposeHeadRoutes: false,
    https: { ...carefulParser, ...tls, minVersion: 'TLSv1.2', handshakeTimeout: limits.handshakeMs },
    frameworkErrors: (error, _, reply) => {
      sendRefusal(reply, withoutFramework(error))
    },
  })
  app.removeAllContentTypeParsers()
  app.addContentTypeParser('*', { parseAs: 'buffer' }, (_, body, done) => done(null, body))
  app.addHook('onRequest', async (request, reply) => {
    reply.header('x-content-type-options', 'nosniff')
    const id = request.headers['x-ms-client-request-id']
    if (typeof id === 'string' && requestIdForm.test(id)) reply.header('x-ms-client-request-id', id)
  })
  app.setNotFoundHandler((_, reply) =>
    sendRefusal(reply, azureErrors.error('AZURE_NOT_FOUND', 'there is no such path')),
  )
  app.setErrorHandler((error, _, reply) => {
    const known = withoutFramework(error)
    if (refusalOf(known).status === 500) onBug?.(known)
    return sendRefusal(reply, known, refusals)
  })
  const open = (at: string, compose: () => unknown) =>
    app.get(`${path}${at}`, async (_, reply) =>
      reply.header('cache-control', `public, max-age=${limits.certsMaxAgeS}`).send(compose()),
    )
  open('/certs', () => keys.keySet())
  open('/.well-known/openid-configuration', () => composeAzureMetadata(issuer, keys))
  app.server.maxConnections = limits.connections
  endWithServer(app.server, (end) => app.addHook('preClose', async () => end()))
  return { app, path }
}

export type AzureApp = ReturnType<typeof createAzureServer>['app']

/** Requires exactly one `api-version`, and one of these. */
export function requireApiVersion(request: FastifyRequest, accepted: readonly string[]): void {
  const given = new URL(request.url, 'https://v.invalid').searchParams.getAll('api-version')
  const [version] = given
  if (given.length === 1 && version !== undefined && accepted.includes(version)) return
  throw azureErrors.error('AZURE_REQUEST_INVALID', `api-version is not ${accepted.join(' or ')}`)
}

/** The body of a request, which must be of this media type and not encoded. */
export function requireBody(request: FastifyRequest, mediaType: string): Uint8Array {
  const { body, headers } = request
  const given = (headers['content-type'] ?? '').split(';')[0]?.trim().toLowerCase()
  const encoding = headers['content-encoding'] ?? 'identity'
  if (given !== mediaType || encoding !== 'identity' || !(body instanceof Uint8Array)) {
    throw azureErrors.error('AZURE_REQUEST_INVALID', `the body is not ${mediaType} without an encoding`)
  }
  return body
}

/** Where a façade listens: a numeric address with port; 0: any free one. */
export interface AzureListener {
  readonly host: string
  readonly port: number
}

export interface ServeAzureOptions {
  readonly listen: AzureListener
  /** For requests that have begun once the signal aborts; default: none. */
  readonly grace?: Grace
  readonly onListening?: (address: string) => void
}

/** Serves what `create` makes until the signal aborts. Rejects with `AZURE_LISTEN_FAILED` if it cannot begin. */
export function serveAzure(create: () => AzureApp, { listen, grace, onListening }: ServeAzureOptions): Task {
  return servedTask(create, grace, async (app) => {
    const shown = `${listen.host} port ${listen.port}`
    const address = await app.listen({ ...listen }).catch((cause: NodeJS.ErrnoException) => {
      throw azureErrors.error('AZURE_LISTEN_FAILED', `cannot listen at ${shown}: ${cause.code ?? cause.message}`, {
        cause,
      })
    })
    onListening?.(address)
  })
}
