import { requireIssuerUrl } from '../../issuer/issuer-url.ts'
import { invalidAt, parseConfigurationBy } from '../configuration/load.ts'
import { type LoadedFile, readConfigurationBy } from '../configuration/read.ts'
import { requireDuration } from '../configuration/schema.ts'
import { type ServiceConfiguration, serviceSchema } from '../configuration/service-schema.ts'
import type { AppraisalPolicy } from '../embedded/appraisal-policies.ts'
import type { TdRequirements } from '../embedded/guest.ts'
import { readPolicyFiles } from '../wiring/policy-settings.ts'
import { readTdRequirements, requireCollateralServers } from '../wiring/td-requirements.ts'
import { type FacadeTls, readFacades } from './facade-settings.ts'

export type LoadedService = LoadedFile<ServiceConfiguration>

/** One configuration of the verifier service, checked whole. */
export interface ServiceSettings {
  readonly configuration: ServiceConfiguration
  readonly issuerUrl: string
  readonly lifetimeS: number
  readonly tdRequirements: TdRequirements
  /** Policies of files, all of which load. */
  readonly policyFiles: readonly AppraisalPolicy[]
  readonly tls: FacadeTls
}

/** Reads the configuration of the verifier service. Throws as `readConfigurationBy`. */
export function readServiceConfiguration(file: string): Promise<LoadedService> {
  return readConfigurationBy((text, name) => parseConfigurationBy(serviceSchema, text, name), file)
}

/** Checks what the schema cannot, and reads the files that are named. Throws `CONFIGURATION_INVALID` and what files throw. */
export async function composeServiceSettings(loaded: LoadedService): Promise<ServiceSettings> {
  const { configuration } = loaded
  const { issuer, azure } = configuration
  requireCollateralServers(loaded)
  const issuerUrl = requireIssuerUrl(issuer.url, { allowLoopbackHttp: issuer.allow_http_loopback })
  const { lifetime = '8h' } = azure.attestation ?? {}
  lifetimeOf(loaded, ['azure', 'attestation', 'lifetime'], lifetime, 28_800)
  return {
    configuration,
    issuerUrl,
    lifetimeS: lifetimeOf(loaded, ['issuer', 'lifetime'], issuer.lifetime, 86_400),
    tdRequirements: await readTdRequirements(loaded),
    policyFiles: await readPolicyFiles(loaded, configuration.policies),
    tls: await readFacades(loaded, issuerUrl),
  }
}

function lifetimeOf({ file, text }: LoadedService, path: readonly string[], given: string, mostS: number): number {
  const seconds = Math.floor(requireDuration(given) / 1000)
  if (seconds >= 60 && seconds <= mostS) return seconds
  throw invalidAt(file, text, path, `is not within 60s and ${mostS / 3600}h`)
}
