import type { Server } from 'node:http'
import type { Socket } from 'node:net'
import fastify, { type FastifyInstance, type FastifyReply, type FastifyRequest } from 'fastify'
import { AttestdError, MalformedError } from '../../base/errors.ts'
import type { JsonObject } from '../../base/json.ts'
import { noSchemas } from '../../base/no-schemas.ts'
import type { Task } from '../../base/tasks.ts'
import { composeProblem } from '../problem.ts'
import { type Grace, servedTask } from '../serve-app.ts'
import { carefulParser, carefulServer } from '../server-options.ts'
import { administrationErrors } from './errors.ts'
import { requireOwnPolicyName, requirePolicyName, requireSettablePolicyName } from './policy-name.ts'
import {
  compareVersions,
  describeHistory,
  listPolicies,
  Refusal,
  resetPolicy,
  restorePolicy,
  setPolicy,
  showVersion,
} from './policy-operations.ts'
import type { AdministeredPolicies, AdministeredSigners } from './ports.ts'
import { readMembers, readNumber, readParameter, readQuery, readUpload } from './request.ts'
import { addSigner, listSigners, removeSigner } from './signer-operations.ts'

export interface LocalAdministrationOptions {
  /**
   * Who connected, by what the kernel says of the other end (SO_PEERCRED): 1 to 128 printable characters, which go into
   * the history of what is changed. Null: whoever it is does not administer this verifier.
   */
  readonly actor: (socket: Socket) => string | null
  readonly policies: AdministeredPolicies
  readonly signers: AdministeredSigners
  /** Ids of policies that come by configuration: under these nothing is set or restored. Default: none. */
  readonly configuredIds?: readonly string[]
  /** What `GET /v1/admin/status` answers: it must have a JSON form and hold no secrets. */
  readonly status: () => object | Promise<object>
  /** What `GET /v1/admin/metrics` answers: OpenMetrics text. Absent: there is no such path. */
  readonly metrics?: () => Promise<string>
  /** For changes that have begun when the service stops; default: none. */
  readonly grace?: Grace
  /** Told of a failure that is a bug; the peer gets a bare 500. */
  readonly onBug?: (error: unknown) => void
}

/** Bytes of a policy are those of a JWS (POL-902); around one that is a member of an object stands more. */
const limits = { uploadBytes: 262_144, bodyBytes: 262_144 + 4_096, connections: 32, parameter: 256 }

const root = '/v1/admin'
const openMetricsType = 'application/openmetrics-text; version=1.0.0; charset=utf-8'

type Operation = (request: FastifyRequest, by: string) => Promise<object>

/** What the framework refuses by itself, in our words. */
function withoutFramework(error: unknown): unknown {
  const code = typeof error === 'object' && error !== null && 'code' in error ? String(error.code) : ''
  if (code === 'FST_ERR_CTP_BODY_TOO_LARGE') {
    return administrationErrors.error('ADMINISTRATION_TOO_LARGE', 'the body has more than 256 KiB')
  }
  if (code === 'ECONNRESET') {
    return administrationErrors.error('ADMINISTRATION_REQUEST_INVALID', 'the client hung up before its body ended')
  }
  if (!code.startsWith('FST_ERR_CTP_') && code !== 'FST_ERR_BAD_URL' && code !== 'FST_ERR_MAX_PARAM_LENGTH') {
    return error
  }
  return administrationErrors.error('ADMINISTRATION_REQUEST_INVALID', 'the request cannot be read')
}

/** `field` names what of the request is wrong, `rule` what of a JWS. */
function factsOf(error: unknown): JsonObject {
  if (error instanceof MalformedError) return { field: error.path }
  return error instanceof AttestdError ? { ...error.facts } : {}
}

function sendProblem(reply: FastifyReply, error: unknown, members: JsonObject = {}): FastifyReply {
  const { status, body } = composeProblem(error, { extensions: { ...factsOf(error), ...members } })
  // A body that was not read must not be taken for the next request.
  return reply.header('connection', 'close').code(status).type('application/problem+json').send(Buffer.from(body))
}

function createApp({ onBug }: Pick<LocalAdministrationOptions, 'onBug'>): FastifyInstance {
  const app = fastify({
    ...carefulServer,
    forceCloseConnections: 'idle',
    return503OnClosing: false,
    logger: false,
    schemaController: noSchemas,
    bodyLimit: limits.bodyBytes,
    exposeHeadRoutes: false,
    routerOptions: { maxParamLength: limits.parameter },
    http: carefulParser,
    frameworkErrors: (error, _, reply) => {
      sendProblem(reply, withoutFramework(error))
    },
  })
  app.removeAllContentTypeParsers()
  app.addContentTypeParser('*', { parseAs: 'buffer' }, (_, body, done) => done(null, body))
  app.setNotFoundHandler((_, reply) =>
    sendProblem(reply, administrationErrors.error('ADMINISTRATION_NOT_FOUND', 'there is no such path and method')),
  )
  app.setErrorHandler((error, _, reply) => {
    const known = withoutFramework(error)
    if (!(known instanceof AttestdError)) onBug?.(known)
    return sendProblem(reply, known)
  })
  app.server.maxConnections = limits.connections
  return app
}

/**
 * The administration of a verifier by its operator, on its machine (POL-903): its policies with all their versions
 * (POL-709), and who may sign them, also the first signer and the last one (POL-708). For a Unix socket alone: `actor`
 * says who asks, by the credentials of the peer; there are no tokens. What changed is told to the audit log by whoever
 * keeps policies and signers.
 */
export function createLocalAdministration(options: LocalAdministrationOptions): FastifyInstance {
  const app = createApp(options)
  const admit = ({ raw }: FastifyRequest): string => {
    const actor = options.actor(raw.socket)
    if (actor !== null) return actor
    throw administrationErrors.error('ADMINISTRATION_FORBIDDEN', 'this user does not administer the verifier')
  }
  // Before the body is read.
  app.addHook('onRequest', async (request, reply) => {
    reply.header('x-content-type-options', 'nosniff').header('cache-control', 'no-store')
    admit(request)
  })
  const serve = (method: 'GET' | 'PUT' | 'POST' | 'DELETE', path: string, perform: Operation) =>
    app.route({
      method,
      url: `${root}${path}`,
      bodyLimit: method === 'PUT' ? limits.uploadBytes : limits.bodyBytes,
      handler: async (request, reply) => {
        const answer = await perform(request, admit(request))
        if (answer instanceof Refusal) return sendProblem(reply, answer.error, answer.members)
        return reply.type('application/json').send(Buffer.from(JSON.stringify(answer)))
      },
    })
  serveReading(serve, options)
  serveChanges(serve, options)
  const { metrics } = options
  if (metrics !== undefined) {
    app.get(`${root}/metrics`, async (request, reply) => {
      readQuery(request, [])
      return reply.type(openMetricsType).send(Buffer.from(await metrics()))
    })
  }
  return app
}

type Serve = (method: 'GET' | 'PUT' | 'POST' | 'DELETE', path: string, perform: Operation) => unknown

const slotIn = (request: FastifyRequest) => requirePolicyName(readParameter(request, 'slot'))

function serveReading(serve: Serve, { policies, signers, status }: LocalAdministrationOptions): void {
  serve('GET', '/status', async (request) => {
    readQuery(request, [])
    return status()
  })
  serve('GET', '/policies', async (request) => {
    const after = readQuery(request, ['after']).get('after')
    return listPolicies(policies, signers, after === undefined ? '' : requirePolicyName(after, 'after'))
  })
  serve('GET', '/policies/:slot', async (request) => {
    const before = readQuery(request, ['before']).get('before')
    return describeHistory(policies, slotIn(request), before === undefined ? before : readNumber('before', before))
  })
  serve('GET', '/policies/:slot/versions/:number', async (request) => {
    readQuery(request, [])
    return showVersion(policies, signers, slotIn(request), readNumber('number', readParameter(request, 'number')))
  })
  serve('GET', '/policies/:slot/compare', async (request) => {
    const query = readQuery(request, ['from', 'to'])
    const [from, to] = [readNumber('from', query.get('from')), readNumber('to', query.get('to'))]
    return compareVersions(policies, slotIn(request), from, to)
  })
  serve('GET', '/signers', async (request) => {
    readQuery(request, [])
    return listSigners(signers)
  })
}

function serveChanges(serve: Serve, { policies, signers, configuredIds = [] }: LocalAdministrationOptions): void {
  const change = (method: 'PUT' | 'POST' | 'DELETE', path: string, perform: Operation) =>
    serve(method, path, async (request, by) => {
      readQuery(request, [])
      return perform(request, by)
    })
  const ownSlot = (request: FastifyRequest) => requireOwnPolicyName(readParameter(request, 'slot'))
  const settableSlot = (request: FastifyRequest) =>
    requireSettablePolicyName(readParameter(request, 'slot'), configuredIds)
  change('PUT', '/policies/:slot', async (request, by) =>
    setPolicy(policies, settableSlot(request), readUpload(request), by),
  )
  change('POST', '/policies/:slot/restore', async (request, by) =>
    restorePolicy(policies, settableSlot(request), readMembers(request, ['number']), by),
  )
  // Also where the configuration has the id: what was set before it had is taken out of use.
  change('POST', '/policies/:slot/reset', async (request, by) =>
    resetPolicy(policies, ownSlot(request), readMembers(request, ['jws']), by),
  )
  const both = { signers, policies }
  change('POST', '/signers', async (request, by) => addSigner(both, readMembers(request, ['certificate']), by))
  change('DELETE', '/signers/:signer', async (request, by) => {
    readMembers(request, [])
    return removeSigner(both, readParameter(request, 'signer'), by)
  })
}

/**
 * Serves the administration until the signal aborts. `listen` binds the server to a Unix socket, at a path or to one that
 * was passed, which nobody but the operator can open; what comes of another kind is not served. Rejects with what
 * `listen` rejects with, and with `ADMINISTRATION_LISTENER`.
 */
export function serveLocalAdministration(
  options: LocalAdministrationOptions,
  listen: (server: Server) => Promise<void>,
): Task {
  return servedTask(
    () => createLocalAdministration(options),
    options.grace,
    async (app) => {
      await app.ready()
      await listen(app.server)
      requireUnixSocket(app.server)
    },
  )
}

/** The address of a network socket is an object; a Unix socket has a path, or none that is known if it was passed. */
function requireUnixSocket(server: Server): void {
  if (typeof server.address() !== 'object' || server.address() === null) return
  throw administrationErrors.error('ADMINISTRATION_LISTENER', 'the server was bound to a network address')
}
