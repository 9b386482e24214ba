import type { CallerIdentity } from '../../policies/caller-identity.ts'
import { type CallerPolicy, callerRequest, type Decision, decide } from '../../policies/caller-policy.ts'
import type { TokenRequest } from '../../results/token-request.ts'
import type { CredentialEntry } from '../../workload-api/credential-entry.ts'
import { lifetimeFor } from '../../workload-api/token-operation.ts'
import type { TokenSettings } from '../../workload-api/token-provider.ts'
import { invalidAt } from '../configuration/load.ts'
import type { LoadedConfiguration } from '../configuration/read.ts'
import type { Configuration } from '../configuration/schema.ts'
import { plainRequest } from './plain-request.ts'

/** A credential as it is configured, and what the policy says to it. */
export interface CredentialSettings {
  readonly entry: CredentialEntry
  /** What the socket will ask the broker for; null: no rule allows it, and the unit gets an empty credential. */
  readonly request: TokenRequest | null
  /** In which dimension no rule allows it; null: one does. */
  readonly denied: string | null
}

type Section = Configuration['credentials'][number]

function entryOf({ unit, id, audience, issuer, format, member, wait_ms: waitMs }: Section): CredentialEntry {
  return { unit, id, audience, issuer: issuer ?? null, jsonMember: format === 'json' ? member : null, waitMs }
}

function requireUnique({ file, text, configuration }: LoadedConfiguration): void {
  configuration.credentials.forEach(({ unit, id }, at, all) => {
    const first = all.findIndex((other) => other.unit === unit && other.id === id)
    if (first === at) return
    throw invalidAt(file, text, ['credentials', at, 'id'], `is there already for ${unit}, in entry ${first + 1}`)
  })
}

/** The service manager, as the credential socket will see it; an instance stands for all of its template. */
function managerFor({ unit }: CredentialEntry): CallerIdentity {
  const nobody = { gid: null, groups: [], slice: null, container: null } as const
  const name = unit.replace('@.', '@instance.')
  return { identity: 'procfs', pid: 1, uid: 0, unit: name, listener: 'cred', ...nobody }
}

function settingsFor(entry: CredentialEntry, callers: CallerPolicy, tokens: TokenSettings): CredentialSettings | null {
  const issuer = tokens.issuers.find(({ name }) => name === (entry.issuer ?? tokens.defaultIssuer))
  if (issuer === undefined) return null
  const audience = [entry.audience]
  const asked = callerRequest('token', { audience, tokenType: 'OIDC', issuer: issuer.name })
  const decision: Decision = decide(callers, managerFor(entry), asked)
  if (!decision.allowed) return { entry, request: null, denied: decision.dimension }
  const ttlS = lifetimeFor(null, decision.rule, issuer.usualLifetimeS)
  const request = { ...plainRequest(entry.audience), issuer: issuer.name, policyIds: issuer.policyIds, ttlS }
  return { entry, request, denied: null }
}

/** Checks `[[credentials]]`. Throws `CONFIGURATION_INVALID`; what a rule forbids is no error, rules change by themselves. */
export function readCredentials(
  loaded: LoadedConfiguration,
  { callers, tokens }: { readonly callers: CallerPolicy; readonly tokens: TokenSettings },
): readonly CredentialSettings[] {
  const { file, text, configuration } = loaded
  requireUnique(loaded)
  return configuration.credentials.map((section, at) => {
    const found = settingsFor(entryOf(section), callers, tokens)
    if (found) return found
    const names = tokens.issuers.map(({ name }) => name).join(', ')
    throw invalidAt(file, text, ['credentials', at, 'issuer'], `is not one of ${names}`)
  })
}
