import fastify, { type FastifyInstance } from 'fastify'
import type { JsonObject } from '../../base/json.ts'
import { noSchemas } from '../../base/no-schemas.ts'
import { abandonable, type Task } from '../../base/tasks.ts'
import { createAlibabaIssuer } from '../alibaba-issuer.ts'
import { addDocuments, type DocumentOptions } from '../document-routes.ts'
import type { KeyRing } from '../key-ring.ts'
import { type ListenOptions, serveApp } from '../serve-app.ts'
import { carefulParser, carefulServer } from '../server-options.ts'
import type { SigningKeys } from '../token-issuer.ts'
import { Attestation, type AttestationOptions } from './attestation.ts'
import { parseBody, requireTdx } from './attestation-request.ts'
import { ChallengeTokens } from './challenge-tokens.ts'
import { proxyTrust } from './client-address.ts'
import { shareConnections } from './connection-shares.ts'
import { Front, type FrontOptions } from './front.ts'
import { BodyReader, longestBody } from './request-body.ts'

export interface VerifierServerOptions
  extends Omit<DocumentOptions, 'keys' | 'endpoints'>,
    Pick<AttestationOptions, 'verifier' | 'allowUnbound'>,
    FrontOptions {
  /** The ring of purpose `id-token`: it signs the tokens, and its public part is the key set. */
  readonly keys: SigningKeys & DocumentOptions['keys']
  /** The ring of purpose `challenge`, of which nothing is published (SVC-31). */
  readonly challengeKeys: Pick<KeyRing, 'signingKey' | 'published'>
  /** As of `ChallengeTokens`; default: every process is another place. */
  readonly challengePlace?: string
  /** Seconds that a token lives at most: 60 to 86 400; default 21 600 (TOK-43). */
  readonly lifetimeS?: number
  /** Proxies whose `X-Forwarded-For` is believed, as `proxyTrust` reads them; by default none. */
  readonly trustedProxies?: readonly string[]
  /** Resolves when others had their turn on the event loop: between long bodies, and requests that come at once. By default at once. */
  readonly nextRound?: () => Promise<void>
}

const attestationPaths = ['/v1/attestation', '/attestation', '/api/attestation-service/attestation']
const challengePaths = ['/challenge', '/v1/challenge', '/api/attestation-service/challenge']
const appraisalMs = 30_000
const longestChallengeRequest = 65_536
const mostConnections = 1024

function createApp(front: Front, trustedProxies: readonly string[]): FastifyInstance {
  const trustProxy = proxyTrust(trustedProxies)
  const app = fastify({
    ...carefulServer,
    // Whoever is being appraised when the service stops is answered; `serveApp` bounds how long.
    forceCloseConnections: 'idle',
    return503OnClosing: false,
    logger: false,
    schemaController: noSchemas,
    keepAliveTimeout: 120_000,
    // The body has its own, shorter limit; this one is for what never comes to read one.
    requestTimeout: 45_000,
    http: carefulParser,
    trustProxy,
    clientErrorHandler: (error, socket) => front.refuseBroken(error, socket),
    frameworkErrors: (error, request, reply) => {
      front.refuse(error, request, reply)
    },
  })
  app.removeAllContentTypeParsers()
  // Bodies are read by the routes, which know how long they may be.
  app.addContentTypeParser('*', (_request, _payload, done) => done(null))
  app.addHook('onRequest', async (request, reply) => front.open(request, reply))
  app.setErrorHandler((error, request, reply) => front.refuse(error, request, reply))
  app.server.maxConnections = mostConnections
  shareConnections(app.server, { most: mostConnections / 4, isProxy: trustProxy })
  return app
}

function addAttestation(app: FastifyInstance, front: Front, base: string, options: VerifierServerOptions): void {
  const { issuer, keys, clock, random, verifier, allowUnbound = false, lifetimeS } = options
  const bodies = new BodyReader(clock, options.nextRound)
  const place = options.challengePlace === undefined ? {} : { place: options.challengePlace }
  const challenges = new ChallengeTokens({ keys: options.challengeKeys, clock, random, ...place })
  const lifetime = lifetimeS === undefined ? {} : { lifetimeS }
  const tokens = createAlibabaIssuer({ issuer, keys, clock, random, ...lifetime })
  const attestation = new Attestation({
    verifier,
    issuer: tokens,
    challenges,
    allowUnbound,
    nextRound: options.nextRound,
  })
  for (const path of attestationPaths) {
    front.add(`${base}${path}`, { methods: ['POST'], longestBody })
    app.post(`${base}${path}`, async (request, reply) => {
      const exchange = front.exchangeOf(request)
      const { hold, gone: signal } = exchange
      const body = await bodies.read(request.raw, { limit: longestBody, hold, signal })
      const token = await exchange.within(appraisalMs, (inTime) =>
        abandonable(attestation.attest(body, exchange.facts, inTime), inTime),
      )
      return reply.header('cache-control', 'no-store').type('application/jwt').send(token)
    })
  }
  for (const path of challengePaths) {
    front.add(`${base}${path}`, { methods: ['POST'], longestBody: longestChallengeRequest })
    app.post(`${base}${path}`, async (request, reply) => {
      const { gone: signal, hold } = front.exchangeOf(request)
      const body = await bodies.read(request.raw, { limit: longestChallengeRequest, hold, signal })
      const { tee = 'tdx' } = body.length === 0 ? {} : parseBody(body)
      requireTdx(tee, 'tee')
      const { nonce, jwt } = await challenges.issue()
      return reply.header('cache-control', 'no-store').send({ nonce, 'extra-params': { jwt } })
    })
  }
}

/** AS-08: what a client can know of this service without asking for a token. No secret, and no call to anybody. */
function statusOf({ allowUnbound = false }: VerifierServerOptions): JsonObject {
  return {
    profiles: ['alibaba'],
    tees: ['tdx'],
    unbound: allowUnbound,
    // Replicas share the keys of challenges, and not what was used: each of them takes a challenge once (SVC-31).
    challenges: { singleUse: 'per process' },
  }
}

function addStatus(app: FastifyInstance, front: Front, base: string, options: VerifierServerOptions): void {
  const methods = ['GET', 'HEAD']
  front.add(`${base}/healthz`, { methods })
  app.get(`${base}/healthz`, (_, reply) => reply.header('cache-control', 'no-store').type('text/plain').send('ok'))
  front.add(`${base}/status`, { methods })
  app.get(`${base}/status`, (_, reply) => reply.header('cache-control', 'no-store').send(statusOf(options)))
}

/**
 * The verifier as a service (attestation-service.md sections 1 to 4, 6 and 7): attestation of TDs, challenges, and the
 * public documents of the issuer, all below the path of its URL. It appraises nothing by itself: `verifier` does, and
 * what it affirms becomes a token of profile `alibaba`. Throws configuration errors.
 */
export function createVerifierServer(options: VerifierServerOptions): FastifyInstance {
  const { issuer, keys, jwksMaxAgeS, trustedProxies = [] } = options
  const front = new Front(options)
  const app = createApp(front, trustedProxies)
  const base = new URL(issuer).pathname.replace(/\/$/, '')
  const documents = addDocuments(app, { issuer, keys, ...(jwksMaxAgeS === undefined ? {} : { jwksMaxAgeS }) })
  for (const path of documents) front.add(path, { methods: ['GET', 'HEAD'] })
  addAttestation(app, front, base, options)
  addStatus(app, front, base, options)
  // What is no preflight of a listed origin does not come as far as this.
  for (const path of [...attestationPaths, ...challengePaths]) {
    app.options(`${base}${path}`, (_, reply) => reply.code(204).send())
  }
  return app
}

export interface ServeVerifierOptions extends VerifierServerOptions, ListenOptions {}

/** Serves the verifier until the signal aborts. Rejects with `ISSUER_LISTEN_FAILED` if it cannot begin. */
export function serveVerifier(options: ServeVerifierOptions): Task {
  return serveApp(() => createVerifierServer(options), options)
}
