import { parseText } from '../../src/base/bytes.ts'
import { MalformedError } from '../../src/base/errors.ts'
import { isJsonObject, type JsonObject, type JsonValue, parseJsonObject } from '../../src/base/json.ts'
import type { TdxEvidence } from '../../src/evidence/tdx/evidence.ts'
import { parseTdxEvidence } from '../../src/evidence/tdx/evidence-json.ts'
import { ServiceProblem } from './problem.ts'
import { decodeRaw } from './runtime-data.ts'

/** One request as the service understood it. */
export interface ServiceRequest {
  readonly evidence: TdxEvidence
  readonly policyIds: readonly string[]
  /** 1 to 64 bytes, or null: nothing is bound. */
  readonly raw: Uint8Array | null
}

/** SVC-05: the documented command line sends JSON as a form. */
const mediaTypes = /^(?:application\/(?:json|x-www-form-urlencoded|[\w.-]+\+json)|text\/plain)$/

export function requireMedia(contentType: string | undefined): void {
  const media = contentType?.split(';')[0]?.trim().toLowerCase()
  if (media === undefined || media === '' || mediaTypes.test(media)) return
  throw new ServiceProblem(415, 'AS.REQUEST.UNSUPPORTED_MEDIA_TYPE', 'the body is not announced as JSON')
}

function refusing<T>(code: string, field: string | undefined, work: () => T): T {
  try {
    return work()
  } catch (error) {
    if (!(error instanceof MalformedError)) throw error
    throw new ServiceProblem(400, code, error.message, field === undefined ? {} : { field })
  }
}

function invalid(field: string, says: string): ServiceProblem {
  return new ServiceProblem(400, 'AS.REQUEST.INVALID_ARGUMENT', `${field} ${says}`, { field })
}

/** SVC-07: base64url without padding of a JSON object. */
function evidenceIn(value: JsonValue | undefined): TdxEvidence {
  if (typeof value !== 'string') throw invalid('evidence', 'is not a string')
  const bytes = refusing('AS.EVIDENCE.INVALID_ENCODING', 'evidence', () => parseText(value, 'base64url', 'evidence'))
  return refusing('AS.EVIDENCE.INVALID_FORMAT', 'evidence', () => parseTdxEvidence(bytes))
}

/** SVC-08. */
function policyIdsIn(value: JsonValue | undefined, known: ReadonlySet<string>): readonly string[] {
  if (value === undefined || value === null) return []
  if (!Array.isArray(value) || value.length > 10) throw invalid('policy_ids', 'is not a list of at most 10 ids')
  return value.map((id, at) => {
    if (typeof id === 'string' && known.has(id)) return id
    throw invalid(`policy_ids[${at}]`, 'is not a policy of this service')
  })
}

/** SVC-09: the hosted service compares raw bytes and knows nothing else. */
function rawIn(value: JsonValue | undefined): Uint8Array | null {
  if (value === undefined || value === null) return null
  const { raw, ...others } = isJsonObject(value) ? value : {}
  if (typeof raw !== 'string' || Object.keys(others).length > 0) throw invalid('runtime_data', 'is not {"raw": base64}')
  const bytes = decodeRaw(raw)
  if (bytes === undefined) throw invalid('runtime_data.raw', 'is not base64 of 1 to 64 bytes')
  return bytes
}

/** Reads the body of `POST /v1/attestation` (SVC-06 to SVC-10, SVC-24); throws `ServiceProblem`. */
export function readServiceRequest(body: Uint8Array, policies: ReadonlySet<string>): ServiceRequest {
  const document: JsonObject = refusing('AS.REQUEST.INVALID_JSON', undefined, () => parseJsonObject(body, 'request'))
  if (document['tee'] !== 'tdx') {
    throw new ServiceProblem(400, 'AS.REQUEST.UNSUPPORTED_TEE', 'tee is not one that this service takes', {
      field: 'tee',
    })
  }
  return {
    evidence: evidenceIn(document['evidence']),
    policyIds: policyIdsIn(document['policy_ids'], policies),
    raw: rawIn(document['runtime_data']),
  }
}
