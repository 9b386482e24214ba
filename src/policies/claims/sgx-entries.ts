import { type ClaimLine, claimEntries } from './claim-entry.ts'
import { platformLines } from './tdx-entries.ts'

const hex = (prefix: string, names: string): ClaimLine[] =>
  names.split(' ').map((name): ClaimLine => [`${prefix}.${name}`, 'S', 'hex, in the byte order of the quote'])

const header = 'version att_key_type att_key_data_0 qe_svn pce_svn vendor_id user_data'
const body =
  'cpu_svn misc_select reserved1 isv_ext_prod_id attributes.flags attributes.xfrm mr_enclave reserved2 mr_signer reserved3 config_id isv_prod_id isv_svn config_svn reserved4 isv_family_id report_data'

/** TDX-251. */
export const sgxEntries = claimEntries(
  ['sgx'],
  [...hex('sgx.header', header), ...hex('sgx.body', body), ...platformLines('sgx')],
)
