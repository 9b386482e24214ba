import { canonicalJson } from '../../base/json.ts'
import type { Claim } from '../claim.ts'
import { aliasClaims, claimEntryOf, isReadOnlyClaim } from './claim-catalogue.ts'
import { type CustomClaim, presentCustomClaims } from './custom-claims.ts'
import { type FlatClaims, flattenTree } from './flatten-tree.ts'
import { presentRuntimeData } from './runtime-data.ts'
import type { ClaimDocuments, VerifiedTrees } from './verified-trees.ts'

/** What the attester itself says; issuer `CustomClaim`. */
export interface AttesterStatements {
  /** As `parseCustomClaims` gives them (POL-434). */
  readonly custom?: readonly CustomClaim[]
  /** Data that the evidence was shown to bind (POL-435). */
  readonly runtimeData?: Uint8Array
}

const treeNames = ['attestation', 'evidence', 'tdx', 'sgx', 'tpm', 'ima'] as const

function flatClaims(verified: VerifiedTrees): FlatClaims {
  const claims: FlatClaims = new Map()
  for (const name of treeNames) flattenTree(claims, name, verified[name] ?? {})
  const devices: FlatClaims = new Map()
  for (const device of verified.gpu ?? []) flattenTree(devices, 'gpu', device)
  flattenTree(devices, 'gpu', verified.gpuSummary ?? {})
  for (const name of [...devices.keys()].sort()) claims.set(name, devices.get(name) ?? [])
  for (const name of ['report_data', 'init_data'] as const) {
    const value = verified[name]
    if (value !== undefined) claims.set(name, [value])
  }
  return claims
}

/** POL-432. */
function addDocuments(claims: FlatClaims, documents: ClaimDocuments): void {
  for (const name of Object.keys(documents).sort()) {
    if (claimEntryOf(name)?.document == null) throw new TypeError(`${name} is no document`)
    claims.set(name, [canonicalJson(documents[name])])
  }
}

/** POL-433. */
function addAliases(claims: FlatClaims): void {
  for (const { name, alias } of aliasClaims) {
    if (alias === null) continue
    const values = (claims.get(alias.of) ?? []).flatMap((value) => alias.convert(value) ?? [])
    if (values.length > 0) claims.set(name, values)
  }
}

function serviceClaims(flat: FlatClaims): Claim[] {
  const issuer = 'AttestationService'
  return [...flat].flatMap(([type, values]) => {
    const mark = isReadOnlyClaim(type, issuer) ? { readOnly: true } : {}
    return values.map((value): Claim => ({ type, value, issuer, ...mark }))
  })
}

/**
 * The incoming claims of a policy: what the verifier found out, flattened, with documents and aliases (POL-431 to
 * POL-433), then what the attester says of itself (POL-434, POL-435). Pure. The trees are believed; `TypeError` for a
 * tree that no verifier should make.
 */
export function presentClaims(verified: VerifiedTrees, statements: AttesterStatements = {}): readonly Claim[] {
  const flat = flatClaims(verified)
  addDocuments(flat, verified.documents ?? {})
  addAliases(flat)
  const { custom = [], runtimeData } = statements
  const runtime = runtimeData === undefined ? [] : presentRuntimeData(runtimeData)
  return [...serviceClaims(flat), ...presentCustomClaims(custom), ...runtime]
}
