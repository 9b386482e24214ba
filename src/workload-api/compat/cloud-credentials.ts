import type { AttestdError } from '../../base/errors.ts'
import type { CloudCredentials } from '../../results/cloud-credentials.ts'
import {
  type ApiContext,
  deadlineExceeded,
  deadlineGraceMs,
  leftMs,
  remainingMs,
  requireStillAllowed,
} from '../api-context.ts'
import { withDeadline } from '../deadline.ts'
import type { Exchange } from '../exchange.ts'
import { requireTokenJob, type TokenJob } from '../token-operation.ts'
import { tokenParameters } from '../token-parameters.ts'
import type { ConsumerSecrets } from './consumer-secrets.ts'
import type { Surface, SurfaceError } from './surface.ts'

/** Whoever gets the credentials of one role from a surface. */
export interface CloudConsumer {
  readonly name: string
  /** Of the token that the role is had for; a rule must allow it to the caller (API-121). */
  readonly audience: string
  /** Life of the credentials in seconds: bounded by rules as that of a token is (API-64). */
  readonly lifetimeS: number
}

/**
 * Port to the credentials of roles. Rejects with an `AttestdError` whose code is one of the API's, or with the reason of
 * `signal`.
 */
export type ObtainCredentials = (consumer: string, signal: AbortSignal) => Promise<CloudCredentials>

export interface CloudSurfaceSettings {
  readonly consumers: readonly CloudConsumer[]
  readonly secrets: ConsumerSecrets
  /** Who issues the tokens; null: the default issuer. */
  readonly issuer: string | null
  readonly obtainCredentials: ObtainCredentials
}

/** How a cloud's clients ask for the credentials of a role. */
export interface CredentialConvention {
  readonly listener: string
  /** With the name of the consumer at its first place. */
  readonly path: string
  /** Whose secret the request brings: the consumer that the path names, or it throws. */
  requireConsumer(exchange: Exchange, secrets: ConsumerSecrets): string
  encodeCredentials(credentials: CloudCredentials): string
  encodeError(error: AttestdError): SurfaceError
}

/** Seconds that credentials must have left when they are written. */
const leastLifeS = 60

/** As the conventions of all clouds write it. */
export function expirationText({ expiresAt }: CloudCredentials): string {
  return `${new Date(expiresAt * 1000).toISOString().slice(0, 19)}Z`
}

interface CredentialJob {
  readonly exchange: Exchange
  readonly job: TokenJob
  readonly consumer: CloudConsumer
}

function obtain(context: ApiContext, { exchange, job, consumer }: CredentialJob, settings: CloudSurfaceSettings) {
  const { timeoutMs } = job.parameters
  const deadline = {
    clock: context.clock,
    ms: Math.max(1, leftMs(context, exchange, timeoutMs)) + deadlineGraceMs,
    outer: exchange.gone,
    late: () => deadlineExceeded(timeoutMs),
  }
  return withDeadline(deadline, (signal) => settings.obtainCredentials(consumer.name, signal))
}

function tellServed(context: ApiContext, { exchange, job, consumer }: CredentialJob, { expiresAt }: CloudCredentials) {
  const { listener, observe } = context
  const { issuer, audience } = job.request
  const { caller } = exchange
  observe({ event: 'credentials_served', listener, caller, consumer: consumer.name, issuer, audience, expiresAt })
}

/**
 * Answers with the credentials of a consumer's role, for a caller that proved to be that consumer. The rules decide as about
 * a token for the audience of the role, before anything is looked at or fetched, and once more before the answer is written
 * (API-68, API-69, API-121). `HEAD` starts nothing (API-33). What callers get is in no log.
 */
async function answerCredentials(
  context: ApiContext,
  { exchange, consumer }: Pick<CredentialJob, 'exchange' | 'consumer'>,
  settings: CloudSurfaceSettings,
  encode: CredentialConvention['encodeCredentials'],
): Promise<void> {
  const type = 'application/json'
  const { audience, lifetimeS: ttlS } = consumer
  const describes = exchange.method === 'HEAD'
  const parameters = tokenParameters({ audience: [audience], issuer: settings.issuer, ttlS })
  const job = requireTokenJob(context, exchange, parameters, { describes })
  if (describes) return exchange.answer({ status: 200, type, body: null })
  remainingMs(context, exchange, parameters.timeoutMs)
  const asked = { exchange, job, consumer }
  let credentials = await obtain(context, asked, settings)
  // Who had to wait for earlier answers of the connection looks again: what was at hand may have been declared worthless.
  if (await exchange.readyToWrite()) {
    credentials = await obtain(context, asked, settings)
    await exchange.readyToWrite()
  }
  requireStillAllowed(context, exchange, job.permission)
  if (credentials.expiresAt - context.clock.now() / 1000 < leastLifeS) throw deadlineExceeded(parameters.timeoutMs)
  tellServed(context, asked, credentials)
  exchange.write({ status: 200, type, body: encode(credentials) })
}

async function serveCredentials(
  context: ApiContext,
  exchange: Exchange,
  convention: CredentialConvention,
  settings: CloudSurfaceSettings,
): Promise<void> {
  const name = convention.requireConsumer(exchange, settings.secrets)
  const consumer = settings.consumers.find((one) => one.name === name)
  if (consumer === undefined) throw new TypeError('a secret of a consumer that is not declared')
  exchange.queryMembers({})
  await answerCredentials(context, { exchange, consumer }, settings, convention.encodeCredentials)
}

/** The surface of a convention: one route, whose secret is asked for before anything else. */
export function credentialSurface(convention: CredentialConvention, settings: CloudSurfaceSettings): Surface {
  const { listener, path, encodeError } = convention
  return {
    listener,
    encodeError,
    routes: (context) => [
      {
        method: 'GET',
        path,
        caller: true,
        handle: (exchange) => serveCredentials(context, exchange, convention, settings),
      },
    ],
  }
}
