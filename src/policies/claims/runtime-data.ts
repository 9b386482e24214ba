import { toBase64url } from '../../base/bytes.ts'
import { MalformedError } from '../../base/errors.ts'
import { parseUtf8 } from '../../base/json.ts'
import type { Claim } from '../claim.ts'
import { isMembers, parseExactJson } from '../jmespath/exact-json.ts'
import { jsonText } from '../jmespath/json-text.ts'
import { StepMeter } from '../step-meter.ts'

const unbounded = Number.POSITIVE_INFINITY

/**
 * RFC 8785 text of an object, with exact integers. Two readers that disagree on a document would judge two documents: what
 * is not strict JSON, or holds an integer that queries could not read, is bytes alone (POL-501).
 */
function documentOf(bytes: Uint8Array): string | null {
  try {
    const document = parseExactJson(parseUtf8(bytes, 'runtime_data'), 'runtime_data')
    return isMembers(document) ? jsonText(document, unbounded, new StepMeter(unbounded)) : null
  } catch (error) {
    if (error instanceof MalformedError) return null
    throw error
  }
}

/** POL-435: the workload wrote them, so that they are never claims of the service. */
export function presentRuntimeData(bytes: Uint8Array): readonly Claim[] {
  const issuer = 'CustomClaim'
  const data: Claim = { type: 'runtime.data', value: toBase64url(bytes), issuer }
  const document = documentOf(bytes)
  return document === null ? [data] : [data, { type: 'runtime.claims', value: document, issuer }]
}
