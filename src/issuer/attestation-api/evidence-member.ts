import { parseText } from '../../base/bytes.ts'
import { MalformedError } from '../../base/errors.ts'
import type { JsonObject, JsonValue } from '../../base/json.ts'
import { parseJsonObject } from '../../base/json.ts'
import type { TdxEvidence } from '../../evidence/tdx/evidence.ts'
import { parseTdxEvidence } from '../../evidence/tdx/evidence-json.ts'
import { attestationErrors } from './errors.ts'

/** Members of evidence that older or other services appraise, and this one does not (SVC-20). */
const uncounted = ['gpu_evidence'] as const

type Refused = 'AS.EVIDENCE.INVALID_ENCODING' | 'AS.EVIDENCE.INVALID_FORMAT' | 'AS.EVIDENCE.INVALID_QUOTE'

function refused(code: Refused, field: string, says: string) {
  return attestationErrors.error(code, `${field}${says}`, { facts: { field } })
}

/** Runs `read`; what does not parse becomes a refusal with the code, the path and the words of the parser. */
function reading<T>(code: (path: string) => Refused, place: string, read: () => T): T {
  try {
    return read()
  } catch (error) {
    if (!(error instanceof MalformedError)) throw error
    const field = `${place}${error.path}`
    throw refused(code(error.path), field, error.message.slice(error.path.length))
  }
}

function isBase64(text: string): boolean {
  try {
    parseText(text, 'base64', '')
    return true
  } catch (error) {
    if (error instanceof MalformedError) return false
    throw error
  }
}

/** Text in the wrong alphabet, a quote of a length that none has, or a member of another kind. */
function codeFor(container: JsonObject, path: string): Refused {
  const value = container[path.replace(/^evidence\./, '')]
  const isBinary = path === 'evidence.quote' || path === 'evidence.cc_eventlog'
  if (!isBinary || typeof value !== 'string' || value === '') return 'AS.EVIDENCE.INVALID_FORMAT'
  if (!isBase64(value)) return 'AS.EVIDENCE.INVALID_ENCODING'
  return path === 'evidence.quote' ? 'AS.EVIDENCE.INVALID_QUOTE' : 'AS.EVIDENCE.INVALID_FORMAT'
}

/** The token would not speak of it, and whoever sent it believes that it does. */
function refuseUncounted(container: JsonObject, place: string): void {
  for (const name of uncounted) {
    if (container[name] === undefined || container[name] === null) continue
    throw refused('AS.EVIDENCE.INVALID_FORMAT', `${place}evidence.${name}`, ': is not appraised by this service')
  }
}

/**
 * Decodes the member `evidence` of a request (SVC-07, SVC-20): base64url without padding of the JSON of a TD's evidence,
 * whose binary members are standard base64 with padding. `place` stands before the path in errors. Nothing is verified.
 */
export function decodeEvidence(value: JsonValue | undefined, place: string): TdxEvidence {
  const path = 'evidence'
  if (typeof value !== 'string') {
    throw refused('AS.EVIDENCE.INVALID_FORMAT', `${place}${path}`, ': is not a text with base64url of JSON')
  }
  const bytes = reading(
    () => 'AS.EVIDENCE.INVALID_ENCODING',
    place,
    () => parseText(value, 'base64url', path),
  )
  const container = reading(
    () => 'AS.EVIDENCE.INVALID_FORMAT',
    place,
    () => parseJsonObject(bytes, path, { maxDepth: 8, maxValues: 2048 }),
  )
  refuseUncounted(container, place)
  return reading(
    (where) => codeFor(container, where),
    place,
    () => parseTdxEvidence(container),
  )
}
