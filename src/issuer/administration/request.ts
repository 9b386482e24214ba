import type { FastifyRequest } from 'fastify'
import { type JsonObject, parseJsonObject } from '../../base/json.ts'
import { administrationErrors, invalidField } from './errors.ts'

/** Parameters of the query, each at most once, and none but `known`. Throws `ADMINISTRATION_REQUEST_INVALID`. */
export function readQuery(request: FastifyRequest, known: readonly string[]): ReadonlyMap<string, string> {
  const found = new Map<string, string>()
  for (const [name, value] of new URL(request.url, 'http://admin.invalid').searchParams) {
    if (!known.includes(name)) throw invalidField(shownField(name), 'is a parameter that is not known here')
    if (found.has(name)) throw invalidField(name, 'is there twice')
    found.set(name, value)
  }
  return found
}

/** A name of a member or parameter for a message: whatever somebody sent, cut and without control characters. */
function shownField(name: string): string {
  return JSON.stringify(name.slice(0, 64)).slice(1, -1)
}

/** Of a path or a query: 1 to 9 decimal digits, without zeros before them. */
export function readNumber(field: string, text: string | undefined): number {
  if (text !== undefined && /^[1-9][0-9]{0,8}$/.test(text)) return Number(text)
  throw invalidField(field, 'is not a whole number from 1 on')
}

/** A parameter of the path. */
export function readParameter({ params }: FastifyRequest, name: string): string {
  const all: Readonly<Record<string, unknown>> = typeof params === 'object' && params !== null ? { ...params } : {}
  const value = all[name]
  if (typeof value === 'string') return value
  throw new TypeError(`the route has no parameter ${name}`)
}

const uploadTypes = ['application/octet-stream', 'text/plain', 'application/jwt']

function mediaTypeOf({ headers }: FastifyRequest): string {
  return (headers['content-type'] ?? '').split(';')[0]?.trim().toLowerCase() ?? ''
}

function requireMediaType(request: FastifyRequest, accepted: readonly string[]): void {
  const isEncoded = (request.headers['content-encoding'] ?? 'identity') !== 'identity'
  if (!isEncoded && accepted.includes(mediaTypeOf(request))) return
  const says = `the body is not ${accepted.join(' or ')} without an encoding`
  throw administrationErrors.error('ADMINISTRATION_MEDIA_TYPE', says, { facts: { field: 'content-type' } })
}

/**
 * An uploaded policy, as it is. Whether it is text or a JWS is known from its bytes, not from what the header says. An empty
 * one is a policy that does not load (POL-111), and refused like every other such.
 */
export function readUpload(request: FastifyRequest): Uint8Array {
  const { body } = request
  requireMediaType(request, uploadTypes)
  if (!(body instanceof Uint8Array)) return new Uint8Array()
  return new Uint8Array(body.buffer, body.byteOffset, body.length)
}

/** Members of a body that is a JSON object; of no body, none. Unknown ones are refused: somebody counts on each. */
export function readMembers(request: FastifyRequest, known: readonly string[]): JsonObject {
  const { body } = request
  if (!(body instanceof Uint8Array) || body.length === 0) return {}
  requireMediaType(request, ['application/json'])
  const members = parseJsonObject(body, 'body', { maxDepth: 1, maxItems: 8, maxValues: 16, integersOnly: true })
  const unknown = Object.keys(members).find((name) => !known.includes(name))
  if (unknown !== undefined) throw invalidField(shownField(unknown), 'is a member that is not known here')
  return members
}
