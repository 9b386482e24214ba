import type { FastifyRequest } from 'fastify'
import type { Clock } from '../../base/clock.ts'
import { AttestdError } from '../../base/errors.ts'
import type { JsonObject } from '../../base/json.ts'
import { addressKey } from '../attestation-api/client-address.ts'
import { type Administrator, Administrators, RefusedAttempts } from './administrators.ts'
import { composeAnswer } from './azure-answers.ts'
import {
  type AzureApp,
  type AzureServerOptions,
  createAzureServer,
  requireApiVersion,
  requireBody,
} from './azure-server.ts'
import { requireAzureType } from './azure-types.ts'
import { azureErrors } from './errors.ts'
import {
  answerCertificates,
  answerPolicy,
  changeCertificate,
  type PolicyAdministration,
  resetPolicy,
  type SignerAdministration,
  setPolicy,
} from './policy-operations.ts'

/**
 * What somebody wanted to change, for the audit log; what changed, with the hashes before and after, is reported by
 * whoever keeps the policies. `code` is null for what was done.
 */
export interface AdministrationEntry {
  /** Milliseconds since the epoch. */
  readonly at: number
  /** Null: no token of an administrator came with the request. */
  readonly administrator: string | null
  readonly operation: string
  readonly code: string | null
  /** Address of the client. */
  readonly from: string
}

export interface PolicyAdministrationOptions extends AzureServerOptions {
  readonly administrators: readonly Administrator[]
  readonly policies: PolicyAdministration
  readonly signers: SignerAdministration
  readonly clock: Pick<Clock, 'now' | 'monotonic'>
  readonly audit: (entry: AdministrationEntry) => void
}

const apiVersions = ['2020-10-01']

type Operation = (request: FastifyRequest, administrator: string) => Promise<JsonObject>

/**
 * The administration of policies in the style of Azure Attestation (section 15.1), for the client library
 * `@azure/attestation`: policies of attestation types, and the certificates of their signers. Every operation needs the
 * token of an administrator, on loopback as well; `/certs` and the metadata need none (POL-903). Nothing is attested
 * here: that is another server. Throws `AZURE_CONFIGURATION`.
 */
export function createPolicyAdministration(options: PolicyAdministrationOptions): AzureApp {
  const { policies, signers } = options
  const { app, path } = createAzureServer({ ...options, tellsRemedy: true })
  const guard = new Guard(options)
  const serve = (method: 'GET' | 'PUT' | 'POST', at: string, name: string, operation: Operation) =>
    app.route({
      method,
      url: `${path}${at}`,
      // Before the body is read.
      onRequest: async (request) => guard.admit(request, name),
      handler: async (request, reply) => {
        const claims = await guard.run(request, name, method !== 'GET', operation)
        const body = await composeAnswer(claims, options)
        return reply.header('cache-control', 'no-store').type('application/json').send(body)
      },
    })
  serve('GET', '/policies/:type', 'getPolicy', (request) => answerPolicy(policies, typeIn(request)))
  serve('PUT', '/policies/:type', 'setPolicy', (request, by) =>
    setPolicy(policies, typeIn(request), requireBody(request, 'text/plain'), by),
  )
  serve('POST', '/policies/:type', 'resetPolicy', (request, by) =>
    resetPolicy(policies, typeIn(request, ':reset'), requireBody(request, 'text/plain'), by),
  )
  serve('GET', '/certificates', 'getCertificates', () => answerCertificates(signers))
  for (const what of ['add', 'remove'] as const) {
    serve('POST', `/certificates::${what}`, `${what}Certificate`, (request, by) =>
      changeCertificate(signers, what, requireBody(request, 'application/json'), by),
    )
  }
  return app
}

/** The type in the path, behind which must stand `action`. */
function typeIn({ params }: FastifyRequest, action = '') {
  const given = typeof params === 'object' && params !== null && 'type' in params ? String(params.type) : ''
  if (!given.endsWith(action))
    throw azureErrors.error('AZURE_NOT_FOUND', `there is no such action; \`${action}\` is one`)
  return requireAzureType(given.slice(0, given.length - action.length))
}

/** Lets administrators in, and keeps record of what they want to change. */
class Guard {
  #administrators: Administrators
  #attempts: RefusedAttempts
  #options: PolicyAdministrationOptions

  constructor(options: PolicyAdministrationOptions) {
    this.#administrators = new Administrators(options.administrators)
    this.#attempts = new RefusedAttempts(options.clock)
    this.#options = options
  }

  /** Throws `AZURE_UNAUTHORIZED`, or `AZURE_TOO_MANY` after many of these from one address. */
  admit(request: FastifyRequest, operation: string): void {
    if (this.#nameOf(request) !== null) {
      requireApiVersion(request, apiVersions)
      return
    }
    const waitS = this.#attempts.count(addressKey(request.ip))
    const code = waitS > 0 ? 'AZURE_TOO_MANY' : 'AZURE_UNAUTHORIZED'
    // Of a flood the first are enough.
    if (waitS === 0) this.#record(request, operation, null, code)
    const says =
      waitS > 0 ? 'too many requests without a good token' : 'the request carries no token of an administrator'
    throw azureErrors.error(code, says, { facts: { retry_after_s: waitS } })
  }

  async run(request: FastifyRequest, name: string, isChange: boolean, operation: Operation): Promise<JsonObject> {
    const administrator = this.#nameOf(request)
    if (administrator === null) throw new TypeError('an operation runs for those alone who were let in')
    // What could not be answered for is not changed.
    this.#options.keys.signingKey()
    try {
      const claims = await operation(request, administrator)
      if (isChange) this.#record(request, name, administrator, null)
      return claims
    } catch (error) {
      if (isChange && error instanceof AttestdError) this.#record(request, name, administrator, error.code)
      throw error
    }
  }

  #nameOf({ headers }: FastifyRequest): string | null {
    return this.#administrators.identify(headers.authorization)
  }

  #record({ ip: from }: FastifyRequest, operation: string, administrator: string | null, code: string | null): void {
    const { audit, clock } = this.#options
    audit({ at: clock.now(), administrator, operation, code, from })
  }
}
