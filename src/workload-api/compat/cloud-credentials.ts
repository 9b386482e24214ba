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

/** Seconds that credentials must have left when they are written. */
const leastLifeS = 60

/** As the conventions of all clouds write it. */
export function expirationText({ expiresAt }: CloudCredentials): string {
  return `${new Date(expiresAt * 1000).toISOString().slice(0, 19)}Z`
}

/** The consumer at `{consumer}` of the path: never one that is not declared. */
export function consumerAt(exchange: Exchange, { consumers }: CloudSurfaceSettings): CloudConsumer | null {
  const [name] = exchange.parameters
  return consumers.find((consumer) => consumer.name === name) ?? null
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

/**
 * Answers with the credentials of a consumer's role, for a caller that proved to be that consumer. The rules decide as about
 * a token for the audience of the role, before anything is looked at or fetched, and once more before the answer is written
 * (API-68, API-69, API-121). `HEAD` starts nothing (API-33). What callers get is in no log.
 */
export async function answerCredentials(
  context: ApiContext,
  { exchange, consumer }: Pick<CredentialJob, 'exchange' | 'consumer'>,
  settings: CloudSurfaceSettings,
  encode: (credentials: CloudCredentials) => string,
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
  exchange.write({ status: 200, type, body: encode(credentials) })
}
