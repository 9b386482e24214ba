import type { EvidenceKind } from '../../policies/index.ts'
import type { AppraisalPolicies, AppraisalPolicy } from '../embedded/appraisal-policies.ts'
import type { GuestTpm } from '../embedded/guest.ts'
import type { Settings } from './settings.ts'

/** The section `policies`, with every policy that it names read and checked. */
export interface PolicySettings {
  /** Those of files, then shipped ones that are named. */
  readonly configured: readonly AppraisalPolicy[]
  /** Null: the shipped default. */
  readonly tdx: readonly AppraisalPolicy[] | null
  readonly tpm: readonly AppraisalPolicy[] | null
  /** The shipped default (POL-441). */
  readonly defaultFor: (kinds: readonly EvidenceKind[]) => AppraisalPolicy
}

/** What decides which policy is usual. */
export interface PolicedGuest {
  readonly td: object | null
  readonly tpm: Pick<GuestTpm, 'requirements' | 'references'> | null
}

/** The kinds that the usual policy is about: IMA only where a log is demanded, and compared with what is allowed. */
function kindsOf({ tpm, td }: PolicedGuest): readonly EvidenceKind[] {
  const ima = tpm !== null && tpm.requirements.ima === 'required' && tpm.references !== null
  return [
    ...(td === null ? [] : ['tdx' as const]),
    ...(tpm === null ? [] : ['tpm' as const]),
    ...(ima ? ['ima' as const] : []),
  ]
}

/** What the bundled verifier evaluates for this guest (POL-441); null without the section `policies`. */
export function policiesFor({ policies }: Pick<Settings, 'policies'>, guest: PolicedGuest): AppraisalPolicies | null {
  if (policies === null) return null
  const named = guest.td === null ? policies.tpm : policies.tdx
  const usual = named ?? [policies.defaultFor(kindsOf(guest))]
  const others = policies.configured.filter(({ id }) => usual.every((policy) => policy.id !== id))
  return { configured: [...usual, ...others], usual }
}
