import { MalformedError } from '../../base/errors.ts'
import { isJsonObject, type JsonObject, type JsonValue, parseJsonObject } from '../../base/json.ts'
import type { TdxEvidence } from '../../evidence/tdx/evidence.ts'
import { attestationErrors } from './errors.ts'
import { decodeEvidence } from './evidence-member.ts'
import { type InitData, parseInitData } from './init-data.ts'
import { invalidArgument } from './invalid-argument.ts'
import { type BoundData, parseRuntimeData } from './runtime-data.ts'

/** A request to attest one TD, in form and nothing more. */
export interface AttestationRequest {
  /** What stands before the path of a member: nothing, or the first request of the newer shape (ERR-01). */
  readonly place: string
  readonly evidence: TdxEvidence
  readonly runtimeData: BoundData | null
  readonly initData: InitData | null
  readonly policyIds: readonly string[]
  /** Members of the top level that mean nothing here (SVC-10). */
  readonly ignoredMembers: number
}

const [mostPolicies, mostRequests] = [10, 16]
const policyIdForm = /^[A-Za-z0-9._-]{1,128}$/
const requestMembers = [
  'tee',
  'evidence',
  'runtime_data',
  'runtime_data_hash_algorithm',
  'init_data',
  'init_data_hash_algorithm',
] as const
const newerShape = 'verification_requests'

/**
 * Values of a body: a request has a dozen members, and structured runtime data of 64 KiB some hundred values. A hundred
 * thousand small members of a hostile body would hold up everybody else for a fifth of a second.
 */
const mostValues = 4096

/** Strict JSON: a body that two parsers read differently is none (SVC-10). The error has line and column. */
export function parseBody(body: Uint8Array): JsonObject {
  try {
    return parseJsonObject(body, 'body', { maxDepth: 32, maxValues: mostValues, refuseLoneSurrogates: true })
  } catch (error) {
    if (!(error instanceof MalformedError)) throw error
    throw attestationErrors.error('AS.REQUEST.INVALID_JSON', error.message)
  }
}

/** SVC-06. The detail does not say what a member is missing in the words that make clients fall back (AS-07). */
export function requireTdx(tee: JsonValue | undefined, field: string): void {
  if (tee === 'tdx') return
  const named = typeof tee === 'string' ? `${JSON.stringify(tee.slice(0, 32))} is not` : 'nothing else is'
  const says = `this service appraises tdx; ${named} appraised here`
  throw attestationErrors.error('AS.REQUEST.UNSUPPORTED_TEE', says, { facts: { field } })
}

/** SVC-08. Whether there are such policies is not known here. */
function parsePolicyIds(value: JsonValue | undefined): readonly string[] {
  if (value === undefined || value === null) return []
  if (!Array.isArray(value)) throw invalidArgument('policy_ids', 'is not a list')
  if (value.length > mostPolicies) throw invalidArgument('policy_ids', `has more than ${mostPolicies} ids`)
  return value.map((id, at) => {
    if (typeof id === 'string' && policyIdForm.test(id)) return id
    throw invalidArgument(`policy_ids[${at}]`, 'is not an id of 1 to 128 letters, digits, dots, _ and -')
  })
}

/** What stands beside the list would be left out, and whoever sent it believes that it counts. */
function requireOneShape(body: JsonObject): void {
  const both = requestMembers.find((name) => Object.hasOwn(body, name))
  if (both !== undefined) throw invalidArgument(both, `stands beside ${newerShape}: send one of the two shapes`)
}

function soleRequest(body: JsonObject): JsonObject {
  const list = body[newerShape]
  if (!Array.isArray(list) || list.length === 0) throw invalidArgument(newerShape, 'is not a list with one request')
  if (list.length > mostRequests) throw invalidArgument(newerShape, `has more than ${mostRequests} requests`)
  list.forEach((one, at) => {
    if (!isJsonObject(one)) throw invalidArgument(`${newerShape}[${at}]`, 'is not an object')
    requireTdx(one['tee'], `${newerShape}[${at}].tee`)
  })
  const [first, second] = list
  if (second !== undefined) {
    throw invalidArgument(`${newerShape}[1]`, 'is not appraised: this service takes one TD, and no devices beside it')
  }
  if (!isJsonObject(first)) throw new TypeError('the only request was looked at before')
  return first
}

function requireNoAdditionalData(request: JsonObject, place: string): void {
  const value = request['additional_data'] ?? ''
  if (value !== '') throw invalidArgument(`${place}additional_data`, 'is not appraised by this service')
}

/**
 * Reads the body of a request for attestation (SVC-06 to SVC-10) in either of its two shapes, told apart by
 * `verification_requests` (AS-01). Throws errors of `attestationErrors` that name the member.
 */
export function parseAttestationRequest(bytes: Uint8Array): AttestationRequest {
  const body = parseBody(bytes)
  const isNewer = Object.hasOwn(body, newerShape)
  if (isNewer) requireOneShape(body)
  const place = isNewer ? `${newerShape}[0].` : ''
  const request = isNewer ? soleRequest(body) : body
  requireTdx(request['tee'], `${place}tee`)
  if (isNewer) requireNoAdditionalData(request, place)
  const known: readonly string[] = ['policy_ids', ...(isNewer ? [newerShape] : requestMembers)]
  return {
    place,
    evidence: decodeEvidence(request['evidence'], place),
    runtimeData: parseRuntimeData(request, place),
    initData: parseInitData(request, place),
    policyIds: parsePolicyIds(body['policy_ids']),
    ignoredMembers: Object.keys(body).filter((name) => !known.includes(name)).length,
  }
}
