import type { FastifyReply, FastifyRequest } from 'fastify'
import { attestationErrors } from './errors.ts'

/** Seconds for which a browser need not ask again: what is taken out of the list is refused by the request itself at once. */
const preflightMaxAgeS = 600
const requestedMethod = 'access-control-request-method'
const requestedHeaders = 'access-control-request-headers'
/** What a page may send that browsers do not let every page send. */
const allowedHeader = 'content-type'

const refuse = (says: string) => attestationErrors.error('AS.REQUEST.INVALID_ARGUMENT', says)

/**
 * Requests of web pages (SVC-05): a page in somebody's browser must not speak for the machine that the browser runs on, unless
 * its origin is listed. Nothing is ever allowed for all origins, and credentials for none.
 */
export class CrossOrigin {
  readonly #allowed: readonly string[]

  constructor(allowed: readonly string[]) {
    this.#allowed = allowed
  }

  /** Whether a browser asks first if a page may send a request (a preflight); never where no origin is listed. */
  isPreflight({ method, headers }: FastifyRequest): boolean {
    const isAsked = headers.origin !== undefined && headers[requestedMethod] !== undefined
    return method === 'OPTIONS' && isAsked && this.#allowed.length > 0
  }

  /** Lets pages of listed origins read the answer. Throws `AS.REQUEST.INVALID_ARGUMENT` for pages of others. */
  admit({ headers: { origin } }: FastifyRequest, reply: FastifyReply): void {
    if (origin === undefined) return
    if (!this.#allowed.includes(origin)) throw refuse('requests of web pages of this origin are refused')
    reply.header('access-control-allow-origin', origin).header('vary', 'origin')
    reply.header('access-control-expose-headers', 'retry-after')
  }

  /** Says what the page may send: POST, with a type of its body. Throws as `admit`, also where it wants to send anything else. */
  admitPreflight(request: FastifyRequest, reply: FastifyReply): void {
    const { headers } = request
    this.admit(request, reply)
    const names = String(headers[requestedHeaders] ?? '').split(',')
    const isOther = names.map((name) => name.trim().toLowerCase()).some((name) => name !== '' && name !== allowedHeader)
    if (headers[requestedMethod] !== 'POST' || isOther) {
      throw refuse('pages may send POST with the header Content-Type, and nothing else')
    }
    reply.header('vary', `origin, ${requestedMethod}, ${requestedHeaders}`).header('cache-control', 'no-store')
    reply.header('access-control-allow-methods', 'POST').header('access-control-allow-headers', allowedHeader)
    reply.header('access-control-max-age', String(preflightMaxAgeS))
  }
}
