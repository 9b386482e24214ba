import type { Server } from 'node:http'
import type { Clock } from '../base/clock.ts'
import type { JsonObject } from '../base/json.ts'
import type { RandomSource } from '../base/random.ts'
import type { Task } from '../base/tasks.ts'
import { type CallerPolicy, raisedRate } from '../policies/caller-policy.ts'
import { type AdminActions, adminRoutes } from './admin-routes.ts'
import type { ApiContext } from './api-context.ts'
import type { CallerIdentifier } from './caller-identifier.ts'
import { ConnectionLedger } from './connection-ledger.ts'
import type { EvidenceCollector } from './evidence-collector.ts'
import { evidenceRoutes } from './evidence-route.ts'
import { explainRoutes } from './explain-route.ts'
import { createHttpServer, type HttpServer } from './http-server.ts'
import { jwksRoutes } from './jwks-route.ts'
import { defaultLimits, type WorkloadLimits } from './limits.ts'
import { measureRoutes } from './measure-route.ts'
import type { Measurer } from './measurer.ts'
import { probeRoutes, type Readiness } from './probe-routes.ts'
import { callerKey, RateLimits } from './rate-limits.ts'
import type { TokenProvider, TokenSettings } from './token-provider.ts'
import { tokenRoutes } from './token-route.ts'
import type { WorkloadLog, WorkloadObserver } from './workload-log.ts'

/** What every listener needs. */
export interface ListenerOptions {
  readonly readiness: () => Readiness
  readonly clock: Clock
  readonly random: RandomSource
  readonly log: WorkloadLog
  readonly limits?: Partial<WorkloadLimits>
  readonly observe?: WorkloadObserver
  /** Shared by the listeners of a process, so that they count together (API-23). */
  readonly connections?: ConnectionLedger
}

/** The listener of workloads. */
export interface ApiListenerOptions extends ListenerOptions {
  readonly listener: 'api'
  readonly identifier: CallerIdentifier
  readonly policy: () => CallerPolicy
  readonly tokens: () => TokenSettings
  readonly provider: TokenProvider
  readonly jwks: (issuer: string) => Promise<JsonObject>
  /** Without it `POST /v1/evidence` answers 501. */
  readonly collectEvidence?: EvidenceCollector
  /** Without it `POST /v1/measure` answers 501. */
  readonly measure?: Measurer
}

/** The listener of administrators: nobody is asked for a name, the mode of the socket decides (API-02). */
export interface AdminListenerOptions extends ListenerOptions {
  readonly listener: 'admin'
  readonly admin: AdminActions
}

export type WorkloadServerOptions = ApiListenerOptions | AdminListenerOptions

function contextOf(options: ApiListenerOptions, limits: WorkloadLimits, rates: RateLimits): ApiContext {
  const { listener, policy, tokens, provider, jwks, clock, log } = options
  const { collectEvidence = null, measure = null, observe = () => undefined } = options
  return { listener, policy, tokens, provider, jwks, collectEvidence, measure, rates, clock, limits, log, observe }
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
  const limits = { ...defaultLimits, ...options.limits }
  const { listener, clock, random, log, observe = () => undefined } = options
  const rates = new RateLimits(clock, limits, (stage) => observe({ event: 'rate_limited', listener, stage }))
  const shared = { listener, clock, random, log, observe, limits, rates }
  const ledger = options.connections ?? new ConnectionLedger(limits)
  const probes = probeRoutes(options.readiness)
  if (options.listener === 'admin') {
    const routes = [...adminRoutes(options.admin), ...probes]
    return createHttpServer({ ...shared, ledger, identifier: null, routes, requireRate: () => undefined })
  }
  const { identifier, policy } = options
  return createHttpServer({
    ...shared,
    ledger,
    identifier,
    routes: [...apiRoutes(contextOf(options, limits, rates)), ...probes],
    requireRate: ({ caller }) => rates.requireRequest(callerKey(caller), raisedRate(policy(), caller)),
  })
}

/** Serves one listener until the signal aborts; `listen` binds the server and resolves when it accepts connections. */
export function serveWorkloads(options: WorkloadServerOptions, listen: (server: Server) => Promise<void>): Task {
  return async (signal) => {
    const { server, close } = await createWorkloadServer(options)
    try {
      await listen(server)
      if (!signal.aborted) await new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }))
    } finally {
      await close()
    }
  }
}
