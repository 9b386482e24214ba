/** How a token came, and with which proof of possession: what a DPoP proof (RFC 9449) is judged by. */
export interface PresentedProof {
  /** The scheme of the header `Authorization`: `DPoP`, in any case of letters; any other is none that proves. */
  readonly scheme: string
  /** Every value of the header `DPoP`: exactly one is accepted. */
  readonly proofs: readonly string[]
  /** Method of the request. */
  readonly method: string
  /** URL of the request as its client spells it: behind a proxy the public one. Query and fragment are of no account. */
  readonly url: string
  /** The nonces that you gave in `DPoP-Nonce` and still accept: the proof must have one. Default: none is demanded. */
  readonly nonces?: readonly string[]
}

/** The parts of a request of `node:http` that `readDpopRequest` looks at. */
export interface DpopRequest {
  readonly method?: string | undefined
  /** Path and query. */
  readonly url?: string | undefined
  readonly rawHeaders: readonly string[]
}

function valuesOf(rawHeaders: readonly string[], name: string): string[] {
  return rawHeaders.filter((_, at) => at % 2 === 1 && rawHeaders[at - 1]?.toLowerCase() === name)
}

/**
 * The path and query that a request line names. In absolute form, which servers must take too, it is that of the URL, as routers
 * read it: a proof for `/` must not fit whatever else is asked for. Empty for what names no path of this service.
 */
function pathIn(target: string): string {
  if (target.startsWith('/')) return target
  const [, rest] = /^https?:\/\/[^/?#\\]*(.*)$/i.exec(target) ?? []
  return rest === undefined ? '' : rest.startsWith('/') ? rest : `/${rest}`
}

const credentialsForm = /^([A-Za-z][A-Za-z0-9-]*) +([^ ]+)$/

/**
 * Reads token and proof of a request of `node:http`, for `accept(token, { possession })`. `origin` is what clients call
 * this service by: scheme, host and port, from your configuration and never from the header `Host`. Gives null if the
 * request has no token, or more than one. Repeated `DPoP` headers are kept apart, so that they are refused.
 */
export function readDpopRequest(
  { method = '', url = '', rawHeaders }: DpopRequest,
  origin: string,
): { readonly token: string; readonly possession: PresentedProof } | null {
  const [credentials, ...others] = valuesOf(rawHeaders, 'authorization')
  const [, scheme, token] = credentialsForm.exec(credentials ?? '') ?? []
  if (scheme === undefined || token === undefined || others.length > 0) return null
  const path = pathIn(url)
  const proofs = valuesOf(rawHeaders, 'dpop')
  return { token, possession: { scheme, proofs, method, url: path === '' ? '' : `${origin}${path}` } }
}
