import type { Server } from 'node:http'
import type { AttestdError } from '../../base/errors.ts'
import type { Task } from '../../base/tasks.ts'
import type { ApiContext } from '../api-context.ts'
import { createHttpServer, type HttpServer } from '../http-server.ts'
import { type ErrorEncoder, problemHeaders } from '../problem.ts'
import type { Route } from '../route.ts'
import {
  apiContext,
  type ServerOptions,
  serveHttp,
  serverParts,
  takeRequest,
  type WorkloadPorts,
} from '../workload-server.ts'

/** An error as a surface tells it. */
export interface SurfaceError {
  readonly status: number
  readonly type: string
  readonly body: string
  readonly headers?: Readonly<Record<string, string>>
}

/**
 * A convention of somebody else, spoken over the native operations (section 8). It reads requests and writes answers in
 * its own way and decides nothing: every route answers through `answerToken`, `answerEvidence`, or, where the token is not
 * the answer, `requireTokenJob` and `takeToken`, which ask policy and rates and guard what is handed out (API-121).
 */
export interface Surface {
  /**
   * Class of its listener (API-10), which rules match as `listener`: `cs`, `fly`, `tcp:github`. One that begins with
   * `tcp:` answers only to names of this host (API-29).
   */
  readonly listener: string
  /**
   * Its routes, each with `caller: true`. A path may have places (`routePlaces`); what stands there is in
   * `exchange.parameters`. What a handler throws is told by `encodeError`, what is no problem of the API as `internal`.
   */
  routes(context: ApiContext): readonly Route[]
  /** Errors of every origin: the parser, the profile of section 2, policy, operations. The native code goes into a header. */
  encodeError(error: AttestdError): SurfaceError
  /** True: Content-Type of requests is not looked at (API-132). Default: a body is JSON or 415. */
  readonly anyBodyType?: boolean
}

export interface SurfaceServerOptions extends ServerOptions, WorkloadPorts {}

/** API-123: bodies in the surface's own style, the native code in `Attestd-Error`. */
export function surfaceErrors(surface: Pick<Surface, 'encodeError'>): ErrorEncoder {
  return (error) => {
    const { status, type, body, headers = {} } = surface.encodeError(error)
    const { code } = error
    return { status, code, type, body, headers: { ...problemHeaders(error.facts), ...headers, 'attestd-error': code } }
  }
}

/**
 * The HTTP server of a surface: profile, identity, policy and limits are those of the native listener. It listens on
 * nothing yet.
 */
export function createSurfaceServer(surface: Surface, options: SurfaceServerOptions): Promise<HttpServer> {
  const { listener, anyBodyType = false } = surface
  const parts = serverParts(listener, options)
  return createHttpServer({
    ...parts,
    anyBodyType,
    identifier: options.identifier,
    encodeError: surfaceErrors(surface),
    routes: surface.routes(apiContext(parts, options)),
    requireRate: takeRequest(parts, options),
  })
}

/** Serves a surface until the signal aborts; `listen` binds the server and resolves when it accepts connections. */
export function serveSurface(
  surface: Surface,
  options: SurfaceServerOptions,
  listen: (server: Server) => Promise<void>,
): Task {
  return serveHttp(() => createSurfaceServer(surface, options), listen)
}
