import { issuerErrors } from './errors.ts'

/** Hosts of services whose name no token of ours may bear (TOK-02). */
const foreignHosts = ['aliyuncs.com', 'attest.azure.net', 'trustauthority.intel.com', 'googleapis.com']

const loopbackHosts = new Set(['127.0.0.1', '[::1]', 'localhost'])

export interface IssuerUrlRules {
  /** Takes `http:` on a loopback host: for trying things out, never where others rely on the tokens. */
  readonly allowLoopbackHttp?: boolean
}

function invalid(problem: string) {
  return issuerErrors.error('ISSUER_URL_INVALID', `the issuer URL ${problem}`)
}

function parseUrl(text: string): URL {
  try {
    return new URL(text)
  } catch {
    throw invalid('is not a URL')
  }
}

/**
 * Takes the configured issuer as `iss` (TOK-10): https, at most 255 characters, no query, fragment, user or trailing
 * slash, and written exactly as a URL parser writes it, because relying parties compare bytes. Gives the text back.
 */
export function requireIssuerUrl(text: string, { allowLoopbackHttp = false }: IssuerUrlRules = {}): string {
  if (text.length > 255) throw invalid(`has ${text.length} characters, at most 255 are allowed`)
  const url = parseUrl(text)
  const loopback = url.protocol === 'http:' && loopbackHosts.has(url.hostname)
  if (url.protocol !== 'https:' && !(loopback && allowLoopbackHttp)) throw invalid('is not https')
  if (/[?#@]/.test(text)) throw invalid('has a query, a fragment or a user')
  if (text.endsWith('/')) throw invalid('ends with a slash')
  const written = url.pathname === '/' ? url.href.slice(0, -1) : url.href
  if (written !== text) throw invalid('is not in its normal form')
  // A name with a dot at its end is the same host under other bytes.
  if (url.hostname.endsWith('.')) throw invalid('names its host with a dot at the end')
  if (foreignHosts.some((host) => url.hostname === host || url.hostname.endsWith(`.${host}`))) {
    throw issuerErrors.error('ISSUER_FOREIGN', `${url.hostname} is the host of another service`)
  }
  return text
}
