import { type JsonObject, parseJson } from '../../base/json.ts'
import type { Certificate } from '../../base/pki/certificate.ts'
import {
  azureParsingError,
  certificateThumbprint,
  describeCertificate,
  describeSigner,
  encodeUnsignedPolicy,
  type PolicyDiagnostic,
  type PolicySigner,
} from '../../policies/index.ts'
import { type AzureType, shippedPolicyOf, slotOfType } from './azure-types.ts'
import { azureErrors } from './errors.ts'

/** Where policies are kept, as this façade needs it; `by` is the name of an administrator. */
export interface PolicyAdministration {
  /** The active policy as it was uploaded; null for the shipped default. */
  active(slot: string): Promise<{ readonly policy: Uint8Array; readonly jws: string | null } | null>
  set(
    slot: string,
    upload: Uint8Array,
    by: string,
  ): Promise<
    | {
        readonly loaded: true
        readonly version: { readonly policyTokenHash: string | null }
        readonly signer: PolicySigner | null
      }
    | { readonly loaded: false; readonly diagnostics: readonly PolicyDiagnostic[] }
  >
  reset(slot: string, jws: string, by: string): Promise<boolean>
}

/** Who may sign policies, as this façade needs it. */
export interface SignerAdministration {
  trusted(): Promise<readonly Certificate[]>
  changeSigned(what: 'add' | 'remove', jws: string, by: string): Promise<{ readonly certificate: Certificate }>
}

/** Claims of the answer to `getPolicy`: the JWS as it was uploaded, or the unsigned form of what has none. */
export async function answerPolicy(policies: PolicyAdministration, type: AzureType): Promise<JsonObject> {
  const active = await policies.active(slotOfType(type))
  return { 'x-ms-policy': active?.jws ?? encodeUnsignedPolicy(active?.policy ?? shippedPolicyOf(type)) }
}

/**
 * Claims of the answer to `setPolicy`. A policy that does not load is refused with the message of POL-803; text that is
 * no JWS is not what this operation takes.
 */
export async function setPolicy(
  policies: PolicyAdministration,
  type: AzureType,
  body: Uint8Array,
  by: string,
): Promise<JsonObject> {
  requireCompact(body)
  const outcome = await policies.set(slotOfType(type), body, by)
  if (!outcome.loaded) throw parsingError(outcome.diagnostics)
  const { version, signer } = outcome
  return {
    'x-ms-policy-result': 'Updated',
    'x-ms-policy-token-hash': version.policyTokenHash,
    ...(signer === null ? {} : { 'x-ms-policy-signer': describeSigner(signer) }),
  }
}

/** Claims of the answer to `resetPolicy` (POL-904). */
export async function resetPolicy(
  policies: PolicyAdministration,
  type: AzureType,
  body: Uint8Array,
  by: string,
): Promise<JsonObject> {
  await policies.reset(slotOfType(type), requireCompact(body), by)
  return { 'x-ms-policy-result': 'Removed' }
}

/** Claims of the answer to `getPolicyManagementCertificates`. */
export async function answerCertificates(signers: SignerAdministration): Promise<JsonObject> {
  const keys = (await signers.trusted()).map(describeCertificate)
  return { 'x-ms-policy-certificates': { keys } }
}

/** Claims of the answer to adding or removing a signer; `body` is a JSON text that holds a JWS (POL-708). */
export async function changeCertificate(
  signers: SignerAdministration,
  what: 'add' | 'remove',
  body: Uint8Array,
  by: string,
): Promise<JsonObject> {
  const jws = parseJson(body, 'body', { maxDepth: 1, maxValues: 1 })
  if (typeof jws !== 'string') throw azureErrors.error('AZURE_REQUEST_INVALID', 'the body is not a JSON string')
  const { certificate } = await signers.changeSigned(what, jws, by)
  return {
    'x-ms-certificate-thumbprint': certificateThumbprint(certificate),
    'x-ms-policycertificates-result': what === 'add' ? 'IsPresent' : 'IsAbsent',
  }
}

function requireCompact(body: Uint8Array): string {
  const text = Buffer.from(body.buffer, body.byteOffset, body.length).toString('latin1')
  if (/^[A-Za-z0-9_-]*\.[A-Za-z0-9_-]*\.[A-Za-z0-9_-]*$/.test(text)) return text
  throw azureErrors.error('AZURE_REQUEST_INVALID', 'the body is not a compact JWS')
}

function parsingError(diagnostics: readonly PolicyDiagnostic[]): Error {
  const [first] = diagnostics
  const message = first === undefined ? 'the policy does not load' : azureParsingError(first).message
  return azureErrors.error('AZURE_POLICY_ERRORS', message)
}
