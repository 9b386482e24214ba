import { AttestdError } from '../../base/errors.ts'

/** A refusal in the form of Azure Attestation (POL-902). */
export interface AzureRefusal {
  readonly status: number
  readonly code: string
  readonly message: string
}

/** Refusals that are about what is allowed, not about the form of the request. */
const refusedOperations: ReadonlySet<string> = new Set([
  'AZURE_OPERATION_REFUSED',
  'POLICY_SIGNER_REQUIRED',
  'POLICY_SIGNER_REFUSED',
  'policy_signer_key',
  'policy_signer_last',
  'policy_signers_full',
  'policy_versions_full',
])

/** What those are told who did nothing wrong: no address, path or state of ours. */
const internal: AzureRefusal = { status: 500, code: 'InternalError', message: 'the server failed to answer' }

export interface RefusalOptions {
  /** Who asks runs this verifier: what it lacks at present is told with its remedy. */
  readonly tellsRemedy?: boolean
}

/** What is not an `AttestdError` is a bug, and what is not about the request is our affair: the answer tells neither. */
export function refusalOf(error: unknown, { tellsRemedy = false }: RefusalOptions = {}): AzureRefusal {
  if (!(error instanceof AttestdError)) return internal
  const { code, kind, message, remedy } = error
  if (code === 'AZURE_POLICY_ERRORS') return { status: 400, code: 'PolicyParsingError', message }
  if (code === 'AZURE_POLICY_DENIED') return { status: 400, code: 'PolicyEvaluationError', message }
  if (code === 'AZURE_UNAUTHORIZED') return { status: 401, code: 'Unauthorized', message }
  if (code === 'AZURE_TOO_MANY') return { status: 429, code: 'TooManyRequests', message }
  if (refusedOperations.has(code)) return { status: 400, code: 'InvalidOperation', message }
  if (kind === 'unavailable' || error.retryable) {
    const says = `try again later (${code})`
    return { status: 503, code: 'ServiceUnavailable', message: tellsRemedy ? `${says}: ${remedy}` : says }
  }
  if (kind === 'configuration' || kind === 'refused') return internal
  const { status } = error
  return { status: status === 404 || status === 413 ? status : 400, code: 'InvalidParameter', message }
}

export function composeAzureError({ code, message }: AzureRefusal): string {
  return JSON.stringify({ error: { code, message } })
}
