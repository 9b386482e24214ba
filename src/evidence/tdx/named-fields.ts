import { toHex } from '../../base/bytes.ts'
import type { BodyKind } from './quote-body.ts'
import type { SignedPart } from './signed-part.ts'

/** Fields in the order of the quote, under the names of claims, with their sizes in bytes (TDX-250, TDX-251). */
export type NamedFields = readonly (readonly [name: string, size: number])[]

const tdHeader: NamedFields = [
  ['version', 2],
  ['att_key_type', 2],
  ['tee_type', 4],
  ['reserved', 4],
  ['vendor_id', 16],
  ['user_data', 20],
]

const sgxHeader: NamedFields = [
  ['version', 2],
  ['att_key_type', 2],
  ['att_key_data_0', 4],
  ['qe_svn', 2],
  ['pce_svn', 2],
  ['vendor_id', 16],
  ['user_data', 20],
]

/** What version 5 has between header and body. */
const descriptor: NamedFields = [
  ['type', 2],
  ['size', 4],
]

/** `tcb_svn` is the claim name of TEE_TCB_SVN. */
const td10: NamedFields = [
  ['tcb_svn', 16],
  ['mr_seam', 48],
  ['mrsigner_seam', 48],
  ['seam_attributes', 8],
  ['td_attributes', 8],
  ['xfam', 8],
  ['mr_td', 48],
  ['mr_config_id', 48],
  ['mr_owner', 48],
  ['mr_owner_config', 48],
  ['rtmr_0', 48],
  ['rtmr_1', 48],
  ['rtmr_2', 48],
  ['rtmr_3', 48],
  ['report_data', 64],
]

const td15: NamedFields = [...td10, ['tee_tcb_svn2', 16], ['mr_servicetd', 48]]

const tdExtended: NamedFields = [
  ...td15,
  ['vmid', 1],
  ['td_id', 32],
  ['devinfo', 48],
  ['init_servtd_hash', 48],
  ['init_servtd_attr', 8],
  ['init_cpusvn', 16],
  ['init_tee_tcb_svn', 16],
  ['init_tee_fmspc', 12],
  ['curr_servtd_hash', 48],
  ['curr_servtd_attr', 8],
]

const sgx: NamedFields = [
  ['cpu_svn', 16],
  ['misc_select', 4],
  ['reserved1', 12],
  ['isv_ext_prod_id', 16],
  ['attributes.flags', 8],
  ['attributes.xfrm', 8],
  ['mr_enclave', 32],
  ['reserved2', 32],
  ['mr_signer', 32],
  ['reserved3', 32],
  ['config_id', 64],
  ['isv_prod_id', 2],
  ['isv_svn', 2],
  ['config_svn', 2],
  ['reserved4', 42],
  ['isv_family_id', 16],
  ['report_data', 64],
]

const bodies: Readonly<Record<BodyKind, NamedFields>> = {
  sgx,
  'td-1.0': td10,
  'td-1.5': td15,
  'td-1.5-extended': tdExtended,
}

/** The names of a signed part; `descriptor` is empty in versions 3 and 4. */
export function namesOf({ version, kind }: { version: 3 | 4 | 5; kind: BodyKind }): Record<Part, NamedFields> {
  return {
    header: kind === 'sgx' ? sgxHeader : tdHeader,
    descriptor: version === 5 ? descriptor : [],
    body: bodies[kind],
  }
}

export type Part = 'header' | 'descriptor' | 'body'

/** Lower-case hexadecimal in the byte order of the quote: numbers stay little-endian (TDX-250, TDX-255). */
export type HexMembers = Record<string, string>

/** `digits` and `start` count hexadecimal digits, two a byte. */
function slice(digits: string, start: number, fields: NamedFields): { members: HexMembers; end: number } {
  const members: HexMembers = {}
  let at = start
  for (const [name, size] of fields) {
    members[name] = digits.slice(at, at + 2 * size)
    at += 2 * size
  }
  return { members, end: at }
}

/** The fields of a signed part by name; `signedBytes` are its bytes. */
export function nameFields(signedBytes: Uint8Array, { header, body }: SignedPart): Record<Part, HexMembers> {
  const names = namesOf({ version: header.version, kind: body.kind })
  const digits = toHex(signedBytes)
  const first = slice(digits, 0, names.header)
  const second = slice(digits, first.end, names.descriptor)
  return {
    header: first.members,
    descriptor: second.members,
    body: slice(digits, second.end, names.body).members,
  }
}
