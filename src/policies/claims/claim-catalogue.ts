import type { ClaimIssuer } from '../claim.ts'
import { aliasLines } from './alias-entries.ts'
import { type ClaimEntry, claimEntries } from './claim-entry.ts'
import { gpuEntries } from './gpu-entries.ts'
import { requestEntries } from './request-entries.ts'
import { sgxEntries } from './sgx-entries.ts'
import { tdxEntries } from './tdx-entries.ts'
import { imaEntries, tpmEntries } from './tpm-entries.ts'

/** Names of ours, each table in the order in which it is documented. */
export const ownClaims: readonly ClaimEntry[] = [
  ...requestEntries,
  ...tdxEntries,
  ...tpmEntries,
  ...imaEntries,
  ...gpuEntries,
  ...sgxEntries,
]

const ownByName: ReadonlyMap<string, ClaimEntry> = new Map(ownClaims.map((entry) => [entry.name, entry]))

/** An alias has the kinds, the mark and the document of what it is an alias of (POL-433). */
function aliasEntry(entry: ClaimEntry): ClaimEntry {
  const of = ownByName.get(entry.alias?.of ?? '')
  if (of === undefined) throw new TypeError(`${entry.name} is an alias of nothing`)
  const { kinds, isReadOnly, document, isMany, notMade } = of
  return { ...entry, kinds, isReadOnly, document, isMany, notMade }
}

export const aliasClaims: readonly ClaimEntry[] = claimEntries([], aliasLines).map(aliasEntry)

/** Every claim that evidence or a request can bring, under every name (section 4). */
export const claimCatalogue: readonly ClaimEntry[] = [...ownClaims, ...aliasClaims]

const placeholder = /^([^<]*)<[a-z]+>$/

const byName: ReadonlyMap<string, ClaimEntry> = new Map(claimCatalogue.map((entry) => [entry.name, entry]))
const byPrefix: readonly (readonly [prefix: string, entry: ClaimEntry])[] = claimCatalogue.flatMap((entry) => {
  const prefix = placeholder.exec(entry.name)?.[1]
  return prefix === undefined ? [] : [[prefix, entry] as const]
})

/** The entry of a claim type, `<…>` in names included; null for a type that nobody makes. */
export function claimEntryOf(type: string): ClaimEntry | null {
  const exact = byName.get(type)
  if (exact !== undefined && !exact.name.endsWith('>')) return exact
  const found = byPrefix.find(([prefix]) => type.startsWith(prefix) && type.length > prefix.length)
  return found?.[1] ?? null
}

/** POL-425: only what the verifier says is read-only; the same name from the attester is an ordinary claim. */
export function isReadOnlyClaim(type: string, issuer: ClaimIssuer): boolean {
  return issuer === 'AttestationService' && claimEntryOf(type)?.isReadOnly === true
}
