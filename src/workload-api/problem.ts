import { AttestdError } from '../base/errors.ts'
import { workloadApiErrors } from './errors.ts'

/** Titles of the codes of section 7 that the token broker raises. */
const brokerTitles: Readonly<Record<string, string>> = {
  nonce_unsupported: 'the issuer cannot bind nonces',
  request_unsupported: 'the issuer cannot do what the request asks for',
  min_valid_unattainable: 'the issuer gives no tokens that live that long',
  issuer_rejected: 'the verifier did not affirm this machine',
  issuer_bad_token: 'the issuer gave a token that does not verify',
  issuer_misconfigured: 'the issuer does not answer as an issuer of this kind does',
  issuer_unavailable: 'the issuer cannot be reached',
  quote_queue_full: 'too many quotes are waiting',
  clock_unsafe: 'the clock of this machine cannot be trusted at present',
  draining: 'the agent is stopping',
}

/** Titles of what the registry answers administrators. */
const registryTitles: Readonly<Record<string, string>> = {
  ak_unknown: 'the attestation key is not enrolled',
  enrolment_state: 'the enrolment is suspended or revoked',
  enrolment_conflict: 'other changes of the same enrolment were faster',
  registry_unavailable: 'the database of the registry does not answer',
  registry_storage_full: 'the registry has no room to write',
  registry_access: 'the database of the registry does not let the verifier in',
  registry_corrupt: 'what the registry holds is damaged',
  registry_statement: 'the database refused a statement of the registry',
}

/** Titles of what stands between a token and the credentials of a cloud role. */
const cloudTitles: Readonly<Record<string, string>> = {
  sts_refused: 'the cloud refused the role to this machine',
  sts_unavailable: 'the token service of the cloud does not answer',
  sts_answer_invalid: 'the token service of the cloud does not answer as one of its kind does',
  sts_token_size: 'the token is longer than the token service of the cloud takes',
}

const titles: readonly Readonly<Record<string, string>>[] = [brokerTitles, registryTitles, cloudTitles]

const maxDetail = 500
const maxQuoted = 64
const maxFact = 256

const escapeControls = (text: string) =>
  text.replace(/[\p{Cc}\p{Cs}\u2028\u2029]/gu, (one) => `\\u${one.charCodeAt(0).toString(16).padStart(4, '0')}`)

/** The longest beginning of `text` that takes at most `bytes` bytes of UTF-8. */
function shortened(text: string, bytes: number): string {
  let [size, kept] = [0, '']
  for (const one of text) {
    size += Buffer.byteLength(one)
    if (size > bytes) return `${kept}…`
    kept += one
  }
  return kept
}

/** A value of the caller for a message: in quotes, escaped, at most 64 bytes of it (section 7). */
export function quoted(value: string): string {
  return `"${escapeControls(shortened(value, maxQuoted)).replaceAll('"', '\\"')}"`
}

/** The message of an error for an answer: at most 500 characters, escaped, of quoted input little. */
export function shownDetail(detail: string): string {
  // Bounds also what came out of a parser that quotes its input.
  const bounded = detail.replace(/"(?:[^"\\]|\\.)*"/g, (found) =>
    found.length > maxQuoted + 2 ? `"${shortened(found.slice(1, -1), maxQuoted)}"` : found,
  )
  return [...escapeControls(bounded)].slice(0, maxDetail).join('')
}

function titleOf(code: string): string | undefined {
  const { declared } = workloadApiErrors
  if (Object.hasOwn(declared, code)) return declared[code as keyof typeof declared].title
  return titles.find((named) => Object.hasOwn(named, code))?.[code]
}

/** Codes that a device error becomes on this surface, by its kind; the remaining kinds are faults of the agent. */
function foreignError({ kind, code, message }: AttestdError): AttestdError | undefined {
  const options = { facts: { cause_code: code } }
  if (kind === 'unavailable') return workloadApiErrors.error('evidence_unavailable', message, options)
  if (kind === 'unsupported') return workloadApiErrors.error('not_supported', message, options)
  return undefined
}

/** The error as this API tells it; undefined: a fault of the agent, of which the caller learns nothing. */
export function apiError(error: unknown): AttestdError | undefined {
  if (!(error instanceof AttestdError)) return undefined
  return titleOf(error.code) === undefined ? foreignError(error) : error
}

/** An error as a listener tells it. */
export interface ProblemAnswer {
  readonly status: number
  readonly code: string
  readonly type: string
  readonly body: string
  readonly headers: Readonly<Record<string, string>>
}

/** How a listener tells an error of the codes of section 7; `requestId` is ours. */
export type ErrorEncoder = (error: AttestdError, requestId: string) => ProblemAnswer

/** Headers that the error calls for: when to come again (API-82), which methods there are (API-33). */
export function problemHeaders({
  allow,
  retry_after_ms: ms,
  retry_after_s: s,
}: AttestdError['facts']): Record<string, string> {
  const milliseconds = typeof ms === 'number' ? ms : typeof s === 'number' ? s * 1000 : null
  return {
    ...(typeof allow === 'string' ? { allow } : {}),
    ...(milliseconds === null ? {} : { 'retry-after': String(Math.max(1, Math.ceil(milliseconds / 1000))) }),
  }
}

const boundedFact = (value: string | number | boolean) =>
  typeof value === 'string' ? escapeControls(shortened(value, maxFact)) : value

/**
 * The problem document of an error (RFC 9457, section 7): `detail` bounded and escaped, facts as extension members,
 * which never replace the members of the document. `errors` lists single faults of a refused configuration.
 */
export function encodeProblem(error: AttestdError, requestId: string, errors?: readonly string[]): ProblemAnswer {
  const extensions = Object.entries(error.facts).map(([name, value]) => [name, boundedFact(value)] as const)
  const document = {
    type: `urn:attestd:problem:${error.code}`,
    title: titleOf(error.code) ?? error.title,
    status: error.status,
    code: error.code,
    detail: shownDetail(error.message),
    retryable: error.retryable,
    request_id: requestId,
    remedy: error.remedy,
  }
  const body = JSON.stringify({
    ...document,
    ...Object.fromEntries(extensions),
    ...document,
    ...(errors ? { errors } : {}),
  })
  const { status, code } = error
  return { status, code, type: 'application/problem+json', body, headers: problemHeaders(error.facts) }
}
