/** The names of a trustworthiness vector (POL-964). */
export const trustNames = [
  ...(['instance-identity', 'configuration', 'executables', 'file-system'] as const),
  ...(['hardware', 'runtime-opaque', 'storage-opaque', 'sourced-data'] as const),
] as const
export type TrustName = (typeof trustNames)[number]

export type TrustTier = 'none' | 'affirming' | 'warning' | 'contraindicated'

export interface TrustClaim {
  readonly name: TrustName
  /** −127 to 127. */
  readonly value: number
  readonly tier: TrustTier
}

/** What a bundle is about: the guest, or devices of it. */
export type RegoClass = 'cpu' | 'gpu' | 'switch' | 'ppcie'

/** What must be affirming where the configuration does not say (POL-964). */
export function usuallyRequired(regoClass: RegoClass): readonly TrustName[] {
  return regoClass === 'cpu' ? ['hardware', 'executables', 'configuration'] : ['hardware']
}

export function isTrustName(name: string): name is TrustName {
  return (trustNames as readonly string[]).includes(name)
}

/** The tier of a value; null for what is none: no integer, or beyond one byte (POL-964). */
export function tierOf(value: unknown): TrustTier | null {
  if (typeof value !== 'number' || !Number.isInteger(value)) return null
  const magnitude = Math.abs(value)
  if (magnitude < 2) return 'none'
  if (magnitude < 32) return 'affirming'
  if (magnitude < 96) return 'warning'
  return magnitude < 128 ? 'contraindicated' : null
}

/** Whether a vector permits: nothing in it warns, and all that is required is affirming. Absent is not affirming. */
export function judgeTrust(
  trust: readonly TrustClaim[],
  required: readonly TrustName[],
): 'permit' | 'deny-rule' | 'no-permit' {
  if (trust.some(({ tier }) => tier === 'warning' || tier === 'contraindicated')) return 'deny-rule'
  const affirmed = trust.filter(({ tier }) => tier === 'affirming').map(({ name }) => name)
  return required.every((name) => affirmed.includes(name)) ? 'permit' : 'no-permit'
}
