/** A refusal with the code and status of section 6 of the attestation service's specification. */
export class ServiceProblem extends Error {
  readonly status: number
  readonly code: string
  readonly field: string | undefined
  readonly findings: readonly { readonly id: string; readonly outcome: string }[]

  constructor(
    status: number,
    code: string,
    detail: string,
    more: { readonly field?: string; readonly findings?: ServiceProblem['findings'] } = {},
  ) {
    super(detail)
    this.status = status
    this.code = code
    this.field = more.field
    this.findings = more.findings ?? []
  }
}

/** The body of `application/problem+json` (ERR-01); no byte of the evidence is in it (ERR-02). */
export function encodeServiceProblem({ status, code, message, field, findings }: ServiceProblem): string {
  return JSON.stringify({
    type: `urn:attestd:problem:${code.toLowerCase()}`,
    title: code,
    status,
    code,
    detail: message,
    retryable: status >= 500 && code !== 'AS.INTERNAL.ERROR',
    ...(field === undefined ? {} : { field }),
    ...(findings.length === 0 ? {} : { findings }),
  })
}
