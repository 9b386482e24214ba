import { toBase64 } from '../../base/bytes.ts'
import { AttestdError } from '../../base/errors.ts'
import { canonicalJson } from '../../base/json.ts'
import { readConfiguration } from '../configuration/read.ts'
import type { Configuration } from '../configuration/schema.ts'
import { type AppraisalPolicy, isBundled } from '../embedded/appraisal-policies.ts'
import { agentErrors } from '../errors.ts'
import { composeSettings, type Settings } from './settings.ts'

/** What is opened once: a change of it needs a restart and is refused on reload (BRK-142). */
function fixedParts({
  agent,
  listen,
  tpm,
  tdx,
  registry,
  collateral,
  issuer,
  compat,
  journal,
}: Configuration): Readonly<Record<string, unknown>> {
  const { url, listen: address, algorithm, rotation, ephemeral_keys, allow_http_loopback } = issuer
  return {
    'agent.state_directory': agent.state_directory,
    listen,
    tpm,
    tdx,
    registry: registry ?? null,
    collateral,
    compat,
    journal,
    'issuer.url': url,
    'issuer.listen': address ?? null,
    'issuer.algorithm': algorithm,
    'issuer.rotation': rotation,
    'issuer.ephemeral_keys': ephemeral_keys,
    'issuer.allow_http_loopback': allow_http_loopback,
  }
}

function needsRestart(before: Configuration, after: Configuration): string[] {
  const [old, fresh] = [fixedParts(before), fixedParts(after)]
  return Object.keys(old).filter((part) => canonicalJson(old[part]) !== canonicalJson(fresh[part]))
}

/** What is in the files, not their names: an authority that was taken out of a file is not trusted any more. */
function authoritiesOf({ trust: { anchors, intermediates }, tdRequirements }: Settings): object {
  return {
    ek: anchors.flatMap(({ fingerprints }) => fingerprints),
    intermediates: intermediates.map(({ fingerprint }) => fingerprint),
    tdx: (tdRequirements.trustAnchors ?? []).flatMap(({ fingerprints }) => fingerprints),
  }
}

/** Of a bundle also what it is given: under other references it decides otherwise. */
function identityOf(policy: AppraisalPolicy): object {
  const { id, hash } = policy
  return isBundled(policy) ? { id, hash, settings: policy.settings } : { id, hash }
}

/** What policies say, not how their files are called: another text is another policy (POL-710, BRK-01). */
function policiesOf({ policies }: Settings): object | null {
  if (policies === null) return null
  const named = (list: readonly AppraisalPolicy[] | null) => list?.map(identityOf) ?? null
  return { configured: named(policies.configured), tdx: named(policies.tdx), tpm: named(policies.tpm) }
}

/** Without members that are undefined. */
const plain = (value: object): object => JSON.parse(JSON.stringify(value))

/** Whether tokens are others under the new settings, or are not to be had any more (BRK-01). */
export function changesTokens(before: Settings, after: Settings): boolean {
  const of = (settings: Settings) => {
    const { verifier, issuer, remotes } = settings.configuration
    const pinned = settings.remotes.map(({ jwks }) => jwks)
    const references = settings.references?.id
    const authorities = authoritiesOf(settings)
    const policies = policiesOf(settings)
    return canonicalJson(plain({ verifier, issuer, remotes, pinned, references, authorities, policies }))
  }
  return of(before) !== of(after)
}

/** Whether other revocation lists are in force: tokens are renewed under them, and served until then (broker.md section 8). */
export function changesLists(before: Settings, after: Settings): boolean {
  const of = ({ trust: { crls } }: Settings) => canonicalJson(crls.map(({ der }) => toBase64(der)))
  return of(before) !== of(after)
}

export type ReloadOutcome = { readonly settings: Settings } | { readonly errors: readonly string[] }

/** Reads the file again and checks all of it; nothing is changed here (BRK-142: all or nothing). */
export async function reloadSettings(file: string, before: Settings): Promise<ReloadOutcome> {
  try {
    const settings = await composeSettings(await readConfiguration(file), before.leastLifetimeS)
    const parts = needsRestart(before.configuration, settings.configuration)
    if (parts.length === 0) return { settings }
    const error = agentErrors.error('CONFIGURATION_INVALID', `${file}: a change of ${parts.join(', ')} needs a restart`)
    return { errors: [error.message] }
  } catch (error) {
    if (!(error instanceof AttestdError)) throw error
    return { errors: error.message.split('\n') }
  }
}
