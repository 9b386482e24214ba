import { createHash } from 'node:crypto'
import { toBase64url } from '../base/bytes.ts'
import { canonicalJson, type JsonObject } from '../base/json.ts'
import { reservedClaims } from '../results/reserved-claims.ts'
import type { PublicKeySet } from './key-ring.ts'
import type { SigningAlgorithm } from './signing-key.ts'

/** Endpoints that answer, as paths below the issuer (`/token`). What is not named here is not advertised (TOK-57). */
export interface IssuerEndpoints {
  readonly authorization_endpoint?: string
  readonly token_endpoint?: string
  readonly userinfo_endpoint?: string
  readonly introspection_endpoint?: string
  readonly revocation_endpoint?: string
  readonly pushed_authorization_request_endpoint?: string
}

export interface DiscoveryInputs {
  readonly issuer: string
  /** Algorithms with a key in the key set: an ID token whose algorithm is missing here is refused by clients (OP-10). */
  readonly algorithms: readonly SigningAlgorithm[]
  readonly endpoints?: IssuerEndpoints
  /** What the authorization endpoint answers; without one, what the tokens are. */
  readonly responseTypes?: readonly string[]
}

/** Served at the issuer's `/jwks.json`; the other paths are for relying parties with other habits (TOK-58). */
const jwksPath = '/jwks.json'

/** OpenID Connect Discovery 1.0 section 3 and RFC 8414 section 2: one document for both (TOK-57). */
export function composeDiscovery({ issuer, algorithms, endpoints = {}, responseTypes }: DiscoveryInputs): JsonObject {
  const located = Object.entries(endpoints).map(([name, path]) => [name, `${issuer}${path}`] as const)
  return {
    ...Object.fromEntries(located),
    issuer,
    jwks_uri: `${issuer}${jwksPath}`,
    response_types_supported: [...(responseTypes ?? ['id_token'])],
    subject_types_supported: ['public'],
    id_token_signing_alg_values_supported: [...algorithms],
    claims_supported: [...reservedClaims].filter((name) => !/^(?:x-ms-|__)/.test(name)).sort(),
  }
}

/** A document with everything that its answer needs. */
export interface IssuerDocument {
  readonly mediaType: string
  readonly body: Uint8Array
  /** Strong: from the bytes of the body. */
  readonly etag: string
}

function composeDocument(mediaType: string, content: unknown): IssuerDocument {
  const body = new TextEncoder().encode(canonicalJson(content))
  return { mediaType, body, etag: `"${toBase64url(createHash('sha256').update(body).digest())}"` }
}

export function composeDiscoveryDocument(inputs: DiscoveryInputs): IssuerDocument {
  return composeDocument('application/json', composeDiscovery(inputs))
}

export function composeKeySetDocument(keys: PublicKeySet): IssuerDocument {
  return composeDocument('application/jwk-set+json', keys)
}

/**
 * Where the two documents are found, as paths on the issuer's host (TOK-58). An issuer with a path has the OpenID
 * document below it and the RFC 8414 document with the path behind the well-known part.
 */
export function documentPaths(issuer: string): { readonly discovery: string[]; readonly keySet: string[] } {
  const { pathname } = new URL(issuer)
  const base = pathname === '/' ? '' : pathname
  const oauth = '/.well-known/oauth-authorization-server'
  return {
    discovery: [...new Set([`${base}/.well-known/openid-configuration`, `${oauth}${base}`, `${base}${oauth}`])],
    keySet: [jwksPath, '/.well-known/jwks.json', '/jwks'].map((path) => `${base}${path}`),
  }
}
