import type { ClaimIssuer, ClaimValueType } from '../claim.ts'

/** What a property of section 7 holds. */
export type PropertyForm =
  | { readonly kind: 'string' | 'boolean' }
  | { readonly kind: 'integer'; readonly least: bigint; readonly most: bigint }

/** The properties that have an effect (section 7, POL-309). Other names have none, and are refused in configurationrules. */
export const policyProperties: ReadonlyMap<string, PropertyForm> = new Map<string, PropertyForm>([
  ['required_pcr_mask', { kind: 'integer', least: 0n, most: 16_777_215n }],
  ['require_valid_aik_cert', { kind: 'boolean' }],
  ['report_validity_in_minutes', { kind: 'integer', least: 1n, most: 525_600n }],
  ['omit_x5c', { kind: 'boolean' }],
  ['x-ms-sgx-tcbidentifier', { kind: 'string' }],
])

export const issuerNames: readonly ClaimIssuer[] = ['AttestationService', 'AttestationPolicy', 'CustomClaim']

export const valueTypeNames: readonly ClaimValueType[] = ['String', 'Integer', 'Boolean']
