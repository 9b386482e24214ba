import { parseText, toBase64 } from '../../base/bytes.ts'
import type { ClaimValue } from '../claim.ts'
import type { Alias, ClaimLine, ValueForm } from './claim-entry.ts'

type Convert = Alias['convert']

const same: Convert = (value) => value

/** Requests for TDs with or without GPUs have one name there. */
const attestationType: Convert = (value) => (value === 'tdx' || value === 'acstdxnvgpu' ? 'tdxvm' : value)

const debugStatus: Convert = (value) => (value === true ? 'enabled' : 'disabled')

const hexText = /^(?:[0-9a-f]{2})+$/

const hexBytes = (value: ClaimValue): Uint8Array | null =>
  typeof value === 'string' && hexText.test(value) ? parseText(value, 'hex', 'claim') : null

const base64Of: Convert = (value) => {
  const bytes = hexBytes(value)
  return bytes && toBase64(bytes)
}

/** Bytes of a quote are little-endian. */
const numberOf: Convert = (value) => {
  const bytes = hexBytes(value)
  return bytes?.reduceRight((number, byte) => number * 256n + BigInt(byte), 0n) ?? null
}

/** Bit 1 of the flags of an enclave is DEBUG. */
const enclaveDebug: Convert = (value) => {
  const [first] = hexBytes(value) ?? []
  return first === undefined ? null : (first & 2) !== 0
}

type AliasLine = readonly [name: string, of: string, form: ValueForm, convert?: Convert, debugValue?: ClaimValue]

const quoteFields: readonly (readonly [theirs: string, ours: string])[] = [
  ['mrtd', 'mr_td'],
  ['mrseam', 'mr_seam'],
  ['mrsignerseam', 'mrsigner_seam'],
  ['mrconfigid', 'mr_config_id'],
  ['mrowner', 'mr_owner'],
  ['mrownerconfig', 'mr_owner_config'],
  ['rtmr0', 'rtmr_0'],
  ['rtmr1', 'rtmr_1'],
  ['rtmr2', 'rtmr_2'],
  ['rtmr3', 'rtmr_3'],
  ['report_data', 'report_data'],
  ['seam_attributes', 'seam_attributes'],
  ['td_attributes', 'td_attributes'],
  ['xfam', 'xfam'],
  ['tee_tcb_svn', 'tcb_svn'],
]

const tdAttributes = ['debug', 'septve_disable', 'protection_keys', 'key_locker', 'perfmon']

const debugOf = (name: string): [true?] => (name === 'debug' ? [true] : [])

/** Current name, deprecated name, ours. */
const enclaveFields: readonly (readonly [name: string, deprecated: string, of: string, ValueForm, Convert, true?])[] = [
  ['x-ms-sgx-mrsigner', '$sgx-mrsigner', 'sgx.body.mr_signer', 'S', same],
  ['x-ms-sgx-mrenclave', '$sgx-mrenclave', 'sgx.body.mr_enclave', 'S', same],
  ['x-ms-sgx-product-id', '$product-id', 'sgx.body.isv_prod_id', 'I', numberOf],
  ['x-ms-sgx-svn', '$svn', 'sgx.body.isv_svn', 'I', numberOf],
  ['x-ms-sgx-is-debuggable', '$is-debuggable', 'sgx.body.attributes.flags', 'B', enclaveDebug, true],
]

const aliases: readonly AliasLine[] = [
  ['x-ms-attestation-type', 'attestation.type', 'S', attestationType],
  ...quoteFields.map(([theirs, ours]): AliasLine => [`tdx_${theirs}`, `tdx.quote.body.${ours}`, 'S']),
  ...tdAttributes.map(
    (name): AliasLine => [`tdx_td_attributes_${name}`, `tdx.td_attributes.${name}`, 'B', same, ...debugOf(name)],
  ),
  ['dbgstat', 'tdx.td_attributes.debug', 'S', debugStatus, 'enabled'],
  ['attester_tcb_status', 'tdx.tcb_status', 'S'],
  ...enclaveFields.flatMap(([name, deprecated, ...rest]): AliasLine[] => [
    [name, ...rest],
    [deprecated, ...rest],
  ]),
  ['aikValidated', 'tpm.ak_trusted', 'B'],
  ['aikPubHash', 'tpm.ak_pub_sha256', 'S', base64Of],
  ['secureBootEnabled', 'tpm.secure_boot', 'B'],
  ['events', 'tpm.events', 'S'],
  ['pcrs', 'tpm.pcrs', 'S'],
  ['tpmVersion', 'tpm.ak_trusted', 'I', () => 2n],
]

const meaningOf = (of: string, convert: Convert) => `${convert === same ? 'as' : 'from'} \`${of}\``

/** POL-433. */
export const aliasLines: readonly ClaimLine[] = aliases.map(([name, of, form, convert = same, debugValue = null]) => [
  name,
  form,
  name === 'tpmVersion' ? 'always 2' : meaningOf(of, convert),
  { alias: { of, convert }, debugValue },
])
