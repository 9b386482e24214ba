import { type Command, InvalidArgumentError, Option } from 'commander'
import { type EvidenceKind, evidenceKinds } from '../../policies/index.ts'
import { isTrustName, type TrustName, trustNames } from '../../policies/rego/trust-claims.ts'
import type { PolicyProfile } from '../../policies/reserved-claims.ts'

const profiles: readonly PolicyProfile[] = ['attestd', 'maa']

/** Names joined by commas or pluses, each once: `tdx,tpm`, `tpm+ima`. */
function kindsOption(text: string): readonly EvidenceKind[] {
  const kinds = text.split(/[,+]/).map((name) => {
    const kind = evidenceKinds.find((known) => known === name)
    if (kind !== undefined) return kind
    throw new InvalidArgumentError(`must be of these, joined by commas: ${evidenceKinds.join(', ')}.`)
  })
  return [...new Set(kinds)]
}

export function kindsOptionNamed(flags: string, description: string): Option {
  return new Option(flags, description).argParser(kindsOption)
}

/** Which names the token reserves (POL-427). */
export function profileOption(): Option {
  return new Option('--profile <profile>', 'whose tokens the policy is for: which names it may not issue (POL-427)')
    .choices(profiles)
    .default('attestd')
}

/** What bundles are opened with. */
export interface BundleOptions {
  readonly regoRequire?: readonly TrustName[]
  readonly regoReferences?: string
}

function trustNamesOption(text: string): readonly TrustName[] {
  const names = text.split(',')
  if (names.every(isTrustName)) return [...new Set(names)]
  throw new InvalidArgumentError(`must be of these, joined by commas: ${trustNames.join(', ')}.`)
}

/** `require` and `references` of the configuration (POL-960), for bundles on the command line. */
export function withBundleOptions(command: Command): Command {
  const required = new Option('--rego-require <names>', 'bundles: what must be affirming, joined by commas')
  return command
    .addOption(required.argParser(trustNamesOption))
    .option('--rego-references <file>', 'bundles: what `query_reference_value` gives, a JSON object')
}
