import { defaultPolicyFor, type EvidenceKind } from '../../policies/index.ts'
import { azureErrors } from './errors.ts'

/** What the default policy of a type is about; a type about which we can say nothing has the one that permits nothing. */
const evidenceOf = {
  SgxEnclave: ['sgx'],
  OpenEnclave: ['sgx'],
  Tpm: ['tpm'],
  TdxVm: ['tdx'],
  SevSnpVm: [],
  AzureGuest: [],
} as const satisfies Readonly<Record<string, readonly EvidenceKind[]>>

/** Attestation types of Azure (POL-901): each can hold a policy. */
export type AzureType = keyof typeof evidenceOf

export const azureTypes = Object.keys(evidenceOf) as readonly AzureType[]

/** Case counts. Throws the error for `InvalidParameter`. */
export function requireAzureType(text: string): AzureType {
  const type = azureTypes.find((known) => known === text)
  if (type !== undefined) return type
  throw azureErrors.error('AZURE_REQUEST_INVALID', `the attestation type is none of ${azureTypes.join(', ')}`)
}

/** Under which name the policy of a type is kept. */
export function slotOfType(type: AzureType): string {
  return `type:${type}`
}

/** UTF-8 text of the policy that a type has where none was set (POL-441). */
export function shippedPolicyOf(type: AzureType): Uint8Array {
  return new TextEncoder().encode(defaultPolicyFor(evidenceOf[type]).text)
}
