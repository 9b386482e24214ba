import { stsErrors } from './errors.ts'

/** A role of a cloud as the operator configured it. */
export interface CloudRole {
  /** `https://host` of the token service; nothing that a caller or a token says selects another (API-112). */
  readonly endpoint: URL
  readonly roleArn: string
  readonly sessionName: string
  /** Life to ask for, in seconds. */
  readonly durationS: number
}

export interface EndpointRules {
  /** Takes `http:` to this host itself, for trying things out. */
  readonly allowLoopbackHttp: boolean
}

const loopbackHost = /^(?:localhost|127(?:\.[0-9]{1,3}){3}|\[::1\])$/

/**
 * The endpoint of a token service: https, a host and nothing behind it, for the requests name the rest (BRK-48). Throws
 * `STS_CONSUMER_INVALID`.
 */
export function requireStsEndpoint(text: string, { allowLoopbackHttp }: EndpointRules): URL {
  const invalid = (problem: string) => stsErrors.error('STS_CONSUMER_INVALID', `endpoint: ${problem}`)
  if (!URL.canParse(text)) throw invalid('is not a URL')
  const url = new URL(text)
  const local = url.protocol === 'http:' && loopbackHost.test(url.hostname)
  if (url.protocol !== 'https:' && !(local && allowLoopbackHttp)) throw invalid('is not https')
  if (url.pathname !== '/' || /[?#@]/.test(text)) throw invalid('has a path, a query, a fragment or credentials')
  return url
}

const [shortestToken, longestToken] = [4, 20_000]

/** API-152, API-154: a longer token is not sent; it would be refused, and others could read it on the way. */
export function requireTokenSize(token: string): void {
  if (token.length >= shortestToken && token.length <= longestToken) return
  const says = `the token has ${token.length} characters; ${shortestToken} to ${longestToken} are taken`
  throw stsErrors.error('sts_token_size', says)
}
