import type { AdministeredPolicies, AdministeredSigner, AdministeredSigners, AdministeredVersion } from './ports.ts'

/** Policies that are looked through at once: of each the active version is read. */
const mostLookedAt = 256

/** By whose signatures a policy would be accepted now; null: nobody is trusted, and none needs a signature (POL-704). */
export type TrustedNow = ReadonlySet<string> | null

export async function trustedNow(signers: Pick<AdministeredSigners, 'history'>): Promise<TrustedNow> {
  const trusted = (await signers.history()).filter(({ removed }) => removed === null)
  return trusted.length === 0 ? null : new Set(trusted.map(({ keySha256 }: AdministeredSigner) => keySha256))
}

/**
 * Whether who signed a version is trusted now; null where nobody is asked. False also for what came without a signature,
 * before anybody was trusted. Who is trusted no more takes no policy out of use: that is for the operator to do.
 */
export function hasTrustedSigner(
  { signerKeySha256 }: Pick<AdministeredVersion, 'signerKeySha256'>,
  trusted: TrustedNow,
): boolean | null {
  return trusted === null ? null : signerKeySha256 !== null && trusted.has(signerKeySha256)
}

/** Policies that are active and that nobody who is trusted now has signed, by name; among the first 256 that there are. */
export async function policiesWithoutTrust(
  policies: Pick<AdministeredPolicies, 'slots' | 'active'>,
  signers: Pick<AdministeredSigners, 'history'>,
): Promise<readonly string[]> {
  const trusted = await trustedNow(signers)
  if (trusted === null) return []
  const found: string[] = []
  for (const slot of [...(await policies.slots())].sort().slice(0, mostLookedAt)) {
    const active = await policies.active(slot)
    if (active !== null && hasTrustedSigner(active.version, trusted) === false) found.push(slot)
  }
  return found
}
