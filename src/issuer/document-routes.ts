import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import {
  composeDiscoveryDocument,
  composeKeySetDocument,
  documentPaths,
  type IssuerDocument,
  type IssuerEndpoints,
} from './discovery.ts'
import type { KeyRing } from './key-ring.ts'

export interface DocumentOptions {
  readonly issuer: string
  readonly keys: Pick<KeyRing, 'jwks' | 'algorithms'>
  /** Endpoints that some server answers under the issuer's URL; by default none. */
  readonly endpoints?: IssuerEndpoints
  /** Default 3 600; the key ring must know the same number (TOK-51). */
  readonly jwksMaxAgeS?: number
}

/** RFC 9110 section 13.1.2: `*`, or a list of which one is ours; a weak tag counts here. */
function matchesEtag(header: string | undefined, etag: string): boolean {
  if (header === undefined) return false
  return header.trim() === '*' || header.split(',').some((tag) => tag.trim().replace(/^W\//, '') === etag)
}

function sendDocument(request: FastifyRequest, reply: FastifyReply, document: IssuerDocument, maxAgeS: number) {
  reply.header('etag', document.etag).header('cache-control', `public, max-age=${maxAgeS}`)
  if (matchesEtag(request.headers['if-none-match'], document.etag)) return reply.code(304).send()
  return reply.type(document.mediaType).send(Buffer.from(document.body))
}

/**
 * Adds the public documents of an issuer: discovery (OpenID Connect and RFC 8414) and key set, at the paths of TOK-58,
 * with `Cache-Control`, strong `ETag`, 304 and HEAD (TOK-56). Gives the paths. The key set is answered as
 * `application/jwk-set+json`, which is JSON, whatever `Accept` says.
 */
export function addDocuments(app: FastifyInstance, options: DocumentOptions): readonly string[] {
  const { issuer, keys, endpoints = {}, jwksMaxAgeS = 3600 } = options
  const paths = documentPaths(issuer)
  const serve = (path: string, compose: () => IssuerDocument) =>
    app.get(path, (request, reply) => sendDocument(request, reply, compose(), jwksMaxAgeS))
  for (const path of paths.discovery) {
    serve(path, () => composeDiscoveryDocument({ issuer, algorithms: keys.algorithms(), endpoints }))
  }
  for (const path of paths.keySet) serve(path, () => composeKeySetDocument(keys.jwks()))
  return [...paths.discovery, ...paths.keySet]
}
