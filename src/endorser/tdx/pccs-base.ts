import { endorserErrors } from '../errors.ts'

/** One server of the provisioning interface (Intel's PCS, or a caching service). */
export interface PccsBase {
  /** What stands before `/sgx/…` and `/tdx/…`; no slash at the end. */
  readonly prefix: string
  /** Version 3 serves SGX only; TDX is then asked for under version 4. */
  readonly sgxVersion: 3 | 4
  /** Where the root's list is, if it is not among the paths of the server. */
  readonly rootCrl: string | null
}

export interface PccsBaseOptions {
  /**
   * Allows plain http and certificates that nobody verifies, on this host and in the VPC only: collateral is signed,
   * but its absence is not (PCS-02, TDX-206).
   */
  readonly insecure?: boolean
}

export const intelPcs = 'https://api.trustedservices.intel.com'
const intelRootCrl = 'https://certificates.trustedservices.intel.com/IntelSGXRootCA.der'
const loopbackHost = /^(?:localhost|127(?:\.[0-9]{1,3}){3}|\[::1\])$/
/** Name of a region of Alibaba Cloud: `cn-beijing`, `ap-southeast-1`. */
export const regionForm = /^[a-z]{2}(?:-[a-z]{2,16}){1,3}(?:-[0-9]{1,2})?$/
const vpcHost = /^sgx-dcap-server-vpc\.([a-z0-9-]+)\.aliyuncs\.com$/
const endpoint = /^(.*)\/(sgx|tdx)\/certification\/v([0-9]+)$/

function refuse(place: string, says: string) {
  return endorserErrors.error('collateral_source_invalid', `${place.slice(0, 200)}: ${says}`)
}

/** Whether errors in transit on the way to `host` can be left unnoticed because the way is short. */
export function isNearHost(host: string): boolean {
  return loopbackHost.test(host) || regionForm.test(vpcHost.exec(host)?.[1] ?? '')
}

function requireUrl(text: string, insecure: boolean): URL {
  // A URL may carry a password where it does not belong: none of it is repeated before that is ruled out.
  if (!URL.canParse(text)) throw refuse('the source', 'is not a URL')
  const url = new URL(text)
  if (url.username !== '' || url.password !== '') throw refuse(url.host, 'the URL carries credentials')
  if (url.search !== '' || url.hash !== '') throw refuse(url.host, 'the URL has a query or a fragment')
  if (url.protocol !== 'https:' && url.protocol !== 'http:')
    throw refuse(url.host, `${url.protocol} is not spoken here`)
  if (insecure && !isNearHost(url.hostname)) {
    throw refuse(url.host, 'only this host and hosts of the VPC may be reached without verified certificates')
  }
  if (url.protocol === 'http:' && !insecure) throw refuse(url.host, 'plain http has to be allowed explicitly')
  return url
}

/**
 * A server by the URL that an operator writes: bare, or with the path of one interface as in sgx_default_qcnl.conf
 * (`…/sgx/certification/v4/`), from which the others follow (TDX-201). Throws `collateral_source_invalid`.
 */
export function parsePccsBase(text: string, { insecure = false }: PccsBaseOptions = {}): PccsBase {
  const url = requireUrl(text, insecure)
  const path = url.pathname.replace(/\/+$/, '')
  const [, before = path, tee, version = '4'] = endpoint.exec(path) ?? []
  const known = tee === 'tdx' ? version === '4' : version === '3' || version === '4'
  if (!known) throw refuse(url.host, `version ${version} of the ${tee} interface is not known`)
  if (/\/certification(?:\/|$)/.test(before)) throw refuse(url.host, 'the path is not that of a provisioning interface')
  return {
    prefix: `${url.origin}${before}`,
    sgxVersion: version === '3' ? 3 : 4,
    rootCrl: url.origin === intelPcs ? intelRootCrl : null,
  }
}

/**
 * The mirror that Alibaba Cloud keeps in `region`, from the internet or from inside the VPC. The region comes from the
 * configuration, never from evidence (TDX-191). Throws `collateral_source_invalid`.
 */
export function alibabaMirror(region: string, network: 'public' | 'vpc'): PccsBase {
  if (!regionForm.test(region)) throw refuse('the region', 'is not of the form cn-beijing or ap-southeast-1')
  return parsePccsBase(`https://sgx-dcap-server${network === 'vpc' ? '-vpc' : ''}.${region}.aliyuncs.com`)
}
