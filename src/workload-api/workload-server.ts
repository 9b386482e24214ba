import type { Server } from 'node:http'
import type { Clock } from '../base/clock.ts'
import type { JsonObject } from '../base/json.ts'
import type { RandomSource } from '../base/random.ts'
import type { Task } from '../base/tasks.ts'
import { TokenBuckets } from '../base/token-buckets.ts'
import { type CallerPolicy, raisedRate } from '../policies/caller-policy.ts'
import { type AdminActions, adminRoutes } from './admin-routes.ts'
import type { ApiContext } from './api-context.ts'
import type { CallerIdentifier } from './caller-identifier.ts'
import { ConnectionLedger } from './connection-ledger.ts'
import type { EvidenceCollector } from './evidence-collector.ts'
import { evidenceRoutes } from './evidence-route.ts'
import type { Exchange } from './exchange.ts'
import { explainRoutes } from './explain-route.ts'
import { createHttpServer, type HttpServer } from './http-server.ts'
import { jwksRoutes } from './jwks-route.ts'
import { defaultLimits, type WorkloadLimits } from './limits.ts'
import { measureRoutes } from './measure-route.ts'
import type { Measurer } from './measurer.ts'
import { probeRoutes, type Readiness } from './probe-routes.ts'
import { encodeProblem } from './problem.ts'
import { callerKey, RateLimits } from './rate-limits.ts'
import type { TokenProvider, TokenSettings } from './token-provider.ts'
import { tokenRoutes } from './token-route.ts'
import type { WorkloadLog, WorkloadObserver } from './workload-log.ts'

/** What every listener needs. */
export interface ServerOptions {
  readonly clock: Clock
  readonly random: RandomSource
  readonly log: WorkloadLog
  readonly limits?: Partial<WorkloadLimits>
  readonly observe?: WorkloadObserver
  /** Shared by the listeners of a process, so that they count together (API-23). */
  readonly connections?: ConnectionLedger
  /** Shared likewise: a caller has one share, through however many listeners it comes (API-81). */
  readonly buckets?: TokenBuckets
}

/** What the operations of workloads need, whatever the listener that they come through. */
export interface WorkloadPorts {
  readonly identifier: CallerIdentifier
  readonly policy: () => CallerPolicy
  readonly tokens: () => TokenSettings
  readonly provider: TokenProvider
  readonly jwks: (issuer: string) => Promise<JsonObject>
  /** Without it evidence is answered with `not_supported`. */
  readonly collectEvidence?: EvidenceCollector
  /** Without it `POST /v1/measure` answers 501. */
  readonly measure?: Measurer
}

export interface ListenerOptions extends ServerOptions {
  readonly readiness: () => Readiness
}

/** The listener of workloads. */
export interface ApiListenerOptions extends ListenerOptions, WorkloadPorts {
  readonly listener: 'api'
}

/** The listener of administrators: nobody is asked for a name, the mode of the socket decides (API-02). */
export interface AdminListenerOptions extends ListenerOptions {
  readonly listener: 'admin'
  readonly admin: AdminActions
}

export type WorkloadServerOptions = ApiListenerOptions | AdminListenerOptions

/** What all listeners are made of, with the defaults filled in. */
export function serverParts(listener: string, options: ServerOptions) {
  const { clock, random, log, observe = () => undefined } = options
  const limits = { ...defaultLimits, ...options.limits }
  const buckets = options.buckets ?? new TokenBuckets(clock)
  const rates = new RateLimits(buckets, limits, (stage) => observe({ event: 'rate_limited', listener, stage }))
  return {
    listener,
    clock,
    random,
    log,
    observe,
    limits,
    rates,
    ledger: options.connections ?? new ConnectionLedger(limits),
  }
}

export type ServerParts = ReturnType<typeof serverParts>

/** What the routes of workloads on one listener are made of. */
export function apiContext(parts: ServerParts, ports: WorkloadPorts): ApiContext {
  const { listener, clock, log, observe, limits, rates } = parts
  const { policy, tokens, provider, jwks, collectEvidence = null, measure = null } = ports
  return { listener, policy, tokens, provider, jwks, collectEvidence, measure, rates, clock, limits, log, observe }
}

/** Counts a request against the share of its caller (API-81). */
export function takeRequest({ rates }: ServerParts, { policy }: WorkloadPorts): (exchange: Exchange) => void {
  return ({ caller }) => rates.requireRequest(callerKey(caller), raisedRate(policy(), caller))
}

function apiRoutes(context: ApiContext) {
  return [
    ...tokenRoutes(context),
    ...evidenceRoutes(context),
    ...measureRoutes(context),
    ...jwksRoutes(context),
    ...explainRoutes(context),
  ]
}

/**
 * The HTTP server of one listener class (API-10): the routes of workloads on `api`, those of administrators on `admin`,
 * and the probes on both. It listens on nothing yet: pass `server` to whatever binds the path or takes the descriptor of
 * the service manager.
 */
export function createWorkloadServer(options: WorkloadServerOptions): Promise<HttpServer> {
  const parts = serverParts(options.listener, options)
  const shared = { ...parts, encodeError: encodeProblem }
  const probes = probeRoutes(options.readiness)
  if (options.listener === 'admin') {
    const routes = [...adminRoutes(options.admin), ...probes]
    return createHttpServer({ ...shared, identifier: null, routes, requireRate: () => undefined })
  }
  const { identifier } = options
  const routes = [...apiRoutes(apiContext(parts, options)), ...probes]
  return createHttpServer({ ...shared, identifier, routes, requireRate: takeRequest(parts, options) })
}

/** Serves one listener until the signal aborts; `listen` binds the server and resolves when it accepts connections. */
export function serveHttp(create: () => Promise<HttpServer>, listen: (server: Server) => Promise<void>): Task {
  return async (signal) => {
    const { server, close } = await create()
    try {
      await listen(server)
      if (!signal.aborted) await new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }))
    } finally {
      await close()
    }
  }
}

/** Serves a native listener until the signal aborts. */
export function serveWorkloads(options: WorkloadServerOptions, listen: (server: Server) => Promise<void>): Task {
  return serveHttp(() => createWorkloadServer(options), listen)
}
