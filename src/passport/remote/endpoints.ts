import { remoteErrors } from './errors.ts'

const attestationPath = '/v1/attestation'
const loopbackHost = /^(?:localhost|127(?:\.[0-9]{1,3}){3}|\[::1\])$/

export interface EndpointRules {
  /** Takes `http:` to this host itself (SVC-01): for trying things out. */
  readonly allowLoopbackHttp: boolean
}

function endpointOf(text: string, { allowLoopbackHttp }: EndpointRules): URL {
  const invalid = (problem: string) => remoteErrors.error('ENDPOINT_INVALID', `an endpoint ${problem}`)
  if (!URL.canParse(text)) throw invalid('is not a URL')
  const url = new URL(text)
  const local = url.protocol === 'http:' && loopbackHost.test(url.hostname)
  if (url.protocol !== 'https:' && !(local && allowLoopbackHttp)) throw invalid('is not https')
  // Credentials in a URL end in logs; the route is anonymous (SVC-02).
  if (/[?#@]/.test(text)) throw invalid('has a query, a fragment or credentials')
  url.pathname = url.pathname.replace(/\/$/, '') + attestationPath
  return url
}

/**
 * Takes the configured base URLs of a service, in order of preference, and gives the URLs to post to (SVC-01). Throws
 * `ENDPOINT_INVALID`.
 */
export function requireEndpoints(bases: readonly string[], rules: EndpointRules): readonly URL[] {
  if (bases.length === 0) throw remoteErrors.error('ENDPOINT_INVALID', 'no endpoint is configured')
  return bases.map((base) => endpointOf(base, rules))
}
