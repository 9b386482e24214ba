import type { AttestdError } from '../../base/errors.ts'
import { passportErrors } from '../errors.ts'
import { type AnswerClass, type Problem, retryAfterMs } from './answer.ts'
import type { AttestationAnswer } from './attestation-transport.ts'
import { excerptOf } from './excerpt.ts'

/** One endpoint that gave no token. */
export interface ExchangeFailure {
  readonly class: AnswerClass
  readonly error: AttestdError
  /** SVC-01: the next endpoint may do better. Never after an answer that is a verdict. */
  readonly tryNext: boolean
}

/** Least pause after a certificate that is not valid (broker.md section 5). */
const certificatePauseMs = 60_000

/** Codes of Node and OpenSSL for a certificate that does not verify: its time, its name or its chain. */
const certificateCode =
  /^(?:CERT_|ERR_TLS_CERT|UNABLE_TO_|SELF_SIGNED_CERT|DEPTH_ZERO_SELF_SIGNED|INVALID_(?:CA|PURPOSE)|HOSTNAME_MISMATCH|PATH_LENGTH_EXCEEDED)/

function codeIn(error: unknown, depth = 0): string | undefined {
  if (typeof error !== 'object' || error === null || depth > 3) return undefined
  const { code, cause } = error as { readonly code?: unknown; readonly cause?: unknown }
  if (typeof code === 'string' && /^[A-Z0-9_]{2,64}$/.test(code)) return code
  return codeIn(cause, depth + 1)
}

/** Nothing whole came: whatever the transport threw, for a peer decides what its parsers throw. */
export function exchangeBroken(endpoint: URL, cause: unknown): ExchangeFailure {
  const code = codeIn(cause) ?? 'UNKNOWN'
  const tls = certificateCode.test(code)
  const facts = {
    endpoint: endpoint.href,
    network_code: code,
    ...(tls ? { tls: true, retry_after_ms: certificatePauseMs } : {}),
  }
  const says = tls ? 'the certificate is not valid' : 'no complete answer came'
  const error = passportErrors.error('issuer_unavailable', `${endpoint.href}: ${says} (${code})`, { facts, cause })
  return { class: 'retryable', error, tryNext: true }
}

/** Endpoint, status, media type and the beginning of the body: what finds a captive portal (SVC-14). */
function describeAnswer(endpoint: URL, { status, contentType, body }: AttestationAnswer): string {
  const media = contentType === null ? 'no media type' : excerptOf(contentType)
  const begins = body.length === 0 ? 'an empty body' : `a body that begins '${excerptOf(body)}'`
  return `${endpoint.href} answered ${status} with ${media} and ${begins}`
}

const remedies: Readonly<Partial<Record<AnswerClass, string>>> = {
  dialect:
    'the service does not take our encoding of the evidence: check that the endpoint is a service of the configured kind; if it is, report this as a fault',
  rechallenge: 'the service demands a challenge, which this dialect has not: configure it as the kind that it is',
}

const codes = {
  retryable: 'issuer_unavailable',
  verdict: 'issuer_rejected',
  dialect: 'issuer_misconfigured',
  rechallenge: 'issuer_misconfigured',
  misconfiguration: 'issuer_misconfigured',
} as const satisfies Record<AnswerClass, string>

function describeProblem(endpoint: URL, { status }: AttestationAnswer, { code, field }: Problem): string {
  return `${endpoint.href} answered ${status} ${code}${field === null ? '' : ` about ${field}`}`
}

interface Refusal {
  readonly class: AnswerClass
  readonly problem: Problem | null
  /** Milliseconds since the epoch. */
  readonly now: number
}

function factsOf(endpoint: URL, answer: AttestationAnswer, { problem, now }: Refusal) {
  const retryAfter = retryAfterMs(answer.retryAfter, now)
  const upstream = problem?.code ?? `HTTP_${answer.status}`
  return {
    endpoint: endpoint.href,
    status: answer.status,
    upstream_code: upstream,
    ...(problem?.field == null ? {} : { upstream_field: problem.field }),
    ...(problem === null || problem.findings.length === 0 ? {} : { findings: problem.findings.join(' ') }),
    ...(retryAfter === null ? {} : { retry_after_ms: retryAfter }),
  }
}

/** An answer that is no token, as the error that the broker classifies (broker.md section 5, ERR-11). */
export function answerRefused(endpoint: URL, answer: AttestationAnswer, refusal: Refusal): ExchangeFailure {
  const { class: answerClass, problem } = refusal
  const detail = problem === null ? describeAnswer(endpoint, answer) : describeProblem(endpoint, answer, problem)
  const remedy = remedies[answerClass]
  const error = passportErrors.error(codes[answerClass], detail, {
    facts: factsOf(endpoint, answer, refusal),
    ...(remedy === undefined ? {} : { remedy }),
  })
  const verdict = answerClass === 'verdict' || answerClass === 'dialect'
  return { class: answerClass, error, tryNext: answer.status >= 500 && !verdict }
}
