import { AttestdError } from '../../base/errors.ts'
import { requireIssuerUrl } from '../../issuer/issuer-url.ts'
import { readProtected } from '../../platform/protected-file.ts'
import { invalidAt, parseConfigurationBy } from '../configuration/load.ts'
import { type LoadedFile, readConfigurationBy } from '../configuration/read.ts'
import { requireDuration } from '../configuration/schema.ts'
import { type ServiceConfiguration, serviceSchema } from '../configuration/service-schema.ts'
import type { AppraisalPolicy } from '../embedded/appraisal-policies.ts'
import type { TdRequirements } from '../embedded/guest.ts'
import { readPolicyFiles } from '../wiring/policy-settings.ts'
import { readTdRequirements, requireCollateralServers } from '../wiring/td-requirements.ts'

export type LoadedService = LoadedFile<ServiceConfiguration>

/** The name of a façade in the section `azure`. */
export type FacadeName = 'attestation' | 'administration'

/** PEM of a server's key and certificate. */
export interface TlsFiles {
  readonly key: string
  readonly cert: string
}

/** One configuration of the verifier service, checked whole. */
export interface ServiceSettings {
  readonly configuration: ServiceConfiguration
  readonly issuerUrl: string
  readonly lifetimeS: number
  readonly tdRequirements: TdRequirements
  /** Policies of files, all of which load. */
  readonly policyFiles: readonly AppraisalPolicy[]
  /** Of those façades that are configured. */
  readonly tls: Readonly<Partial<Record<FacadeName, TlsFiles>>>
}

const largestPem = 1 << 18

/** Reads the configuration of the verifier service. Throws as `readConfigurationBy`. */
export function readServiceConfiguration(file: string): Promise<LoadedService> {
  return readConfigurationBy((text, name) => parseConfigurationBy(serviceSchema, text, name), file)
}

/** Checks what the schema cannot, and reads the files that are named. Throws `CONFIGURATION_INVALID` and what files throw. */
export async function composeServiceSettings(loaded: LoadedService): Promise<ServiceSettings> {
  const { configuration } = loaded
  const { issuer } = configuration
  requireCollateralServers(loaded)
  const settings = {
    configuration,
    issuerUrl: requireIssuerUrl(issuer.url, { allowLoopbackHttp: issuer.allow_http_loopback }),
    lifetimeS: lifetimeOf(loaded, ['issuer', 'lifetime'], issuer.lifetime, 86_400),
    tdRequirements: await readTdRequirements(loaded),
    policyFiles: await readPolicyFiles(loaded, configuration.policies),
    tls: { ...(await readTls(loaded, 'attestation')), ...(await readTls(loaded, 'administration')) },
  }
  requireOwnUrls(loaded, settings.issuerUrl)
  return settings
}

function lifetimeOf({ file, text }: LoadedService, path: readonly string[], given: string, mostS: number): number {
  const seconds = Math.floor(requireDuration(given) / 1000)
  if (seconds >= 60 && seconds <= mostS) return seconds
  throw invalidAt(file, text, path, `is not within 60s and ${mostS / 3600}h`)
}

/** Two issuers of one name would have different keys under it: no relying party could tell whose token it holds. */
function requireOwnUrls({ file, text, configuration }: LoadedService, issuerUrl: string): void {
  const seen = new Set([issuerUrl])
  for (const name of ['attestation', 'administration'] as const) {
    const url = configuration.azure[name]?.url
    if (url === undefined) continue
    if (seen.has(url)) throw invalidAt(file, text, ['azure', name, 'url'], 'is the URL of another issuer of this file')
    seen.add(url)
  }
}

async function readTls(loaded: LoadedService, name: FacadeName): Promise<ServiceSettings['tls']> {
  const facade = loaded.configuration.azure[name]
  if (facade === undefined) return {}
  const read = (key: 'certificate' | 'key', forbidden: number) =>
    readPem(loaded, ['azure', name, key], facade[key], forbidden)
  return { [name]: { cert: await read('certificate', 0o022), key: await read('key', 0o077) } }
}

async function readPem({ file, text }: LoadedService, at: readonly string[], path: string, forbidden: number) {
  const refuse = (says: string) => invalidAt(file, text, at, says)
  try {
    const content = await readProtected(path, { maxBytes: largestPem, forbidden })
    if (content !== null) return new TextDecoder().decode(content)
  } catch (error) {
    if (error instanceof AttestdError) throw refuse(error.message)
    throw error
  }
  throw refuse(`${path} does not exist`)
}
