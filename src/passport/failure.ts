import { AttestdError, type ErrorOptions } from '../base/errors.ts'
import { type PassportCode, passportErrors } from './errors.ts'

/** What a failed attempt means for what comes next (broker.md section 5). */
export type FailureClass =
  /** The issuer was not reached or could not serve: backoff, counts for the breaker. */
  | 'transport'
  /** This machine could not do its part: backoff, says nothing about the issuer. */
  | 'local'
  /** The token failed verification: backoff, three in a row open the breaker. */
  | 'bad-token'
  /** The token comes from the future: backoff, never an immediate retry (BRK-65). */
  | 'clock'
  /** The issuer appraised us and said no (BRK-47). */
  | 'verdict'
  /** Only a change of configuration helps: slow probe. */
  | 'misconfigured'
  /** This issuer cannot serve such a request, or must not: the source's own error is the answer. */
  | 'unsupported'

export interface Failure {
  readonly class: FailureClass
  /** What callers are told. */
  readonly error: AttestdError
  /** Wall clock, seconds. */
  readonly at: number
  readonly retryAfterMs: number | null
}

/** Where in an attempt an error came up: while the token was obtained, or while it was verified. */
export type Phase = 'obtain' | 'accept'

const classOfCode: Readonly<Partial<Record<PassportCode, FailureClass>>> = {
  issuer_rejected: 'verdict',
  issuer_bad_token: 'bad-token',
  issuer_misconfigured: 'misconfigured',
  issuer_unavailable: 'transport',
  evidence_unavailable: 'local',
  quote_queue_full: 'local',
  clock_unsafe: 'clock',
}

type Verdict = readonly [FailureClass, PassportCode]

const whileObtaining: Readonly<Record<string, Verdict>> = {
  unavailable: ['local', 'evidence_unavailable'],
  malformed: ['local', 'evidence_unavailable'],
  refused: ['verdict', 'issuer_rejected'],
  distrusted: ['bad-token', 'issuer_bad_token'],
  configuration: ['misconfigured', 'issuer_misconfigured'],
}

const whileAccepting: Readonly<Record<string, Verdict>> = {
  unavailable: ['transport', 'issuer_unavailable'],
  malformed: ['bad-token', 'issuer_bad_token'],
  refused: ['bad-token', 'issuer_bad_token'],
  distrusted: ['bad-token', 'issuer_bad_token'],
  unsupported: ['bad-token', 'issuer_bad_token'],
  forbidden: ['bad-token', 'issuer_bad_token'],
  configuration: ['misconfigured', 'issuer_misconfigured'],
}

/** Facts by which a caller or an operator finds the cause: the vocabulary of the problem documents. */
function factsOf(error: AttestdError, code: PassportCode): Record<string, string | number | boolean> {
  const facts = { ...error.facts, cause_code: error.code }
  if (code === 'issuer_rejected') return { upstream_code: error.code, ...facts }
  if (code === 'issuer_bad_token') return { ...facts, check: error.facts['rule'] ?? error.facts['check'] ?? error.code }
  return facts
}

function translated(error: AttestdError, code: PassportCode): AttestdError {
  const options: ErrorOptions = { facts: factsOf(error, code), cause: error, remedy: error.remedy }
  return passportErrors.error(code, error.message, options)
}

function isPassportCode(code: string): code is PassportCode {
  return Object.hasOwn(passportErrors.declared, code)
}

function judge(error: AttestdError, phase: Phase): readonly [FailureClass, AttestdError] {
  const known = isPassportCode(error.code) ? classOfCode[error.code] : undefined
  if (known !== undefined) return [known, error]
  const verdict = (phase === 'obtain' ? whileObtaining : whileAccepting)[error.kind]
  return verdict === undefined ? ['unsupported', error] : [verdict[0], translated(error, verdict[1])]
}

/**
 * Puts an error of a source into its class and into words for callers. A source that knows better throws one of
 * `passportErrors` itself. The fact `retry_after_ms` is the issuer's own wish (BRK-43). Bugs are not for here: what is not an
 * `AttestdError` is thrown on.
 */
export function classifyFailure(error: unknown, phase: Phase, wallMs: number): Failure {
  if (!(error instanceof AttestdError)) throw error
  const [failureClass, said] = judge(error, phase)
  const retryAfter = error.facts['retry_after_ms']
  return {
    class: failureClass,
    error: said,
    at: Math.floor(wallMs / 1000),
    retryAfterMs: typeof retryAfter === 'number' && retryAfter >= 0 ? retryAfter : null,
  }
}

/** True when trying again soon may help, so that a caller with time left is worth another attempt (BRK-42). */
export function isRetryable({ class: failureClass }: Failure): boolean {
  return failureClass === 'transport' || failureClass === 'local' || failureClass === 'bad-token'
}

/** The answer to one caller: what failed, with the facts of this caller's moment added (API-93). */
export function answerTo(failure: Failure, facts: Readonly<Record<string, number>>): AttestdError {
  const { error } = failure
  if (!isPassportCode(error.code)) return error
  return passportErrors.error(error.code, error.message, {
    facts: { ...error.facts, ...facts },
    cause: error.cause,
    remedy: error.remedy,
  })
}
