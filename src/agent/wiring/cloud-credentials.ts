import { AttestdError } from '../../base/errors.ts'
import type { Task } from '../../base/tasks.ts'
import { createAttestationTransport } from '../../passport/remote/undici-transport.ts'
import { assumeAlibabaRole } from '../../passport/sts/alibaba-role.ts'
import { assumeAwsRole } from '../../passport/sts/aws-role.ts'
import { endsCredentials } from '../../passport/sts/credentials-end.ts'
import { stsErrors } from '../../passport/sts/errors.ts'
import type { CloudRole } from '../../passport/sts/role.ts'
import { requireStsEndpoint } from '../../passport/sts/role.ts'
import { RoleCredentials } from '../../passport/sts/role-credentials.ts'
import type { StsParts } from '../../passport/sts/sts-exchange.ts'
import type { CloudCredentials } from '../../results/cloud-credentials.ts'
import type { CloudConsumer, ObtainCredentials } from '../../workload-api/compat/cloud-credentials.ts'
import { invalidAt } from '../configuration/load.ts'
import { type Configuration, requireDuration } from '../configuration/schema.ts'
import type { AgentCore } from '../core.ts'

type AwsSection = NonNullable<Configuration['compat']['aws_container']>
type AlibabaSection = NonNullable<Configuration['compat']['alibaba_uri']>
type Section = AwsSection | AlibabaSection
type ConsumerSection = Section['consumers'][number]

/** The credentials of the consumers of one surface. */
export interface CloudCredentialWiring {
  readonly consumers: readonly CloudConsumer[]
  readonly obtainCredentials: ObtainCredentials
  /** Keep what is asked for at hand: SDKs wait a second, and an attestation can take longer. */
  readonly tasks: readonly Task[]
}

const lifetimeS = ({ lifetime }: ConsumerSection) => requireDuration(lifetime) / 1000

function roleOf(core: AgentCore, surface: string, at: number, section: ConsumerSection): CloudRole {
  const { file, text } = core.loaded
  const { role: roleArn, name, session_name: sessionName = `attestd-${name}` } = section
  try {
    const rules = { allowLoopbackHttp: section.allow_http_loopback }
    const endpoint = requireStsEndpoint(section.endpoint, rules)
    return { endpoint, roleArn, sessionName, durationS: lifetimeS(section) }
  } catch (error) {
    if (!(error instanceof AttestdError)) throw error
    throw invalidAt(file, text, ['compat', surface, 'consumers', at, 'endpoint'], error.message)
  }
}

/** How long a token is waited for, and how much of its life must be left for the exchange. */
const [tokenMs, leastTokenS] = [15_000, 30]

/** The token behind a role: from the broker as any other, under the settings in force now. */
async function obtainToken(
  { settings, broker }: AgentCore,
  issuer: string | undefined,
  audience: string,
  signal: AbortSignal,
): Promise<string> {
  const { issuers, defaultIssuer } = settings().tokens
  const name = issuer ?? defaultIssuer
  const policyIds = issuers.find((one) => one.name === name)?.policyIds ?? []
  const request = { issuer: name, tokenType: 'OIDC', audience: [audience], policyIds, nonces: [], ttlS: null } as const
  const demand = { minValidS: leastTokenS, timeoutMs: tokenMs, caller: 'agent' }
  const { token } = await broker.obtainToken({ ...request, cnf: null, fresh: false }, demand, signal)
  return token
}

/** What leads from a consumer of one surface to its credentials. */
interface ConsumerParts {
  readonly core: AgentCore
  readonly surface: string
  readonly issuer: string | undefined
  readonly consumer: ConsumerSection
  readonly role: CloudRole
  readonly sts: StsParts
  /** Aborts when the agent stops: no exchange outlives it. */
  readonly stopping: AbortSignal
}

async function assume({
  core,
  surface,
  issuer,
  consumer,
  role,
  sts,
  stopping,
}: ConsumerParts): Promise<CloudCredentials> {
  const token = await obtainToken(core, issuer, consumer.audience, stopping)
  const credentials =
    'oidc_provider' in consumer
      ? await assumeAlibabaRole({ ...role, oidcProviderArn: consumer.oidc_provider }, token, sts, stopping)
      : await assumeAwsRole(role, token, sts, stopping)
  const facts = { event: 'role_assumed', surface, consumer: consumer.name, expires_at: credentials.expiresAt }
  core.log.info(facts, 'a role was assumed')
  return credentials
}

/** Says why a role is not to be had, and not again while the reason stays: it is tried over and over. */
function tellFailures({ core, surface, consumer, stopping }: ConsumerParts): (error: unknown) => void {
  let told = ''
  return (error) => {
    const known = error instanceof AttestdError ? error : null
    const reason = known === null ? '' : `${known.code} ${known.facts['upstream_code'] ?? ''}`
    if (known !== null && reason !== told && !stopping.aborted) {
      const { code, message: says } = known
      core.log.warn(
        { event: 'role_not_assumed', surface, consumer: consumer.name, code, says },
        'a role is not assumed',
      )
    }
    told = reason
  }
}

function keepCredentials(parts: ConsumerParts): RoleCredentials {
  const { core, consumer } = parts
  const { clock, random } = core.host
  const tell = tellFailures(parts)
  const obtain = async () => {
    try {
      const credentials = await assume(parts)
      tell(null)
      return credentials
    } catch (error) {
      tell(error)
      throw error
    }
  }
  const credentials = new RoleCredentials({ obtain, clock, random })
  core.brokerEvents.add((event) => {
    const issuer = parts.issuer ?? core.settings().tokens.defaultIssuer
    if (endsCredentials(event, { issuer, audience: consumer.audience })) credentials.forget()
  })
  return credentials
}

/** Throws `CONFIGURATION_INVALID`; nothing is asked of a cloud yet. */
export function wireCloudCredentials(core: AgentCore, surface: string, section: Section): CloudCredentialWiring {
  const sts = { clock: core.host.clock, transport: createAttestationTransport() }
  const stop = new AbortController()
  const held = new Map<string, RoleCredentials>()
  for (const [at, consumer] of section.consumers.entries()) {
    const role = roleOf(core, surface, at, consumer)
    const { issuer } = section
    held.set(consumer.name, keepCredentials({ core, surface, issuer, consumer, role, sts, stopping: stop.signal }))
  }
  const ending: Task = async (signal) => {
    const end = () => stop.abort(stsErrors.error('sts_unavailable', 'the agent is stopping'))
    if (signal.aborted) end()
    signal.addEventListener('abort', end, { once: true })
  }
  return {
    consumers: section.consumers.map((consumer) => {
      const { name, audience } = consumer
      return { name, audience, lifetimeS: lifetimeS(consumer) }
    }),
    obtainCredentials: async (name, signal) => {
      const credentials = held.get(name)
      if (credentials === undefined) throw new TypeError('credentials of a consumer that is not there')
      return credentials.obtain(signal)
    },
    tasks: [
      ending,
      ...[...held.values()].map(
        (credentials): Task =>
          (signal) =>
            credentials.keepFresh(signal),
      ),
    ],
  }
}
