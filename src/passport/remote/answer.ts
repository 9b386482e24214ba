import { MalformedError } from '../../base/errors.ts'
import { isJsonObject, type JsonObject, parseJsonObject } from '../../base/json.ts'
import type { AttestationAnswer } from './attestation-transport.ts'
import { encodingCodes, problemCodes } from './problem-codes.ts'

/** Longest token that is taken (BRK-48). */
const longestToken = 65_536
const longestProblem = 65_536
const compactForm = /^[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+$/

/**
 * What an answer means (ERR-11). `verdict`: the machine was appraised and refused. `dialect`: our encoding was refused,
 * which says nothing about the machine (ERR-13). `rechallenge`: the challenge was refused.
 */
export type AnswerClass = 'retryable' | 'rechallenge' | 'verdict' | 'dialect' | 'misconfiguration'

/** A problem document that is believed (ERR-10). */
export interface Problem {
  readonly code: string
  readonly retryable: boolean | null
  /** Path of the refused member of the request, or null. */
  readonly field: string | null
  /** Ids of the checks that failed at the service. */
  readonly findings: readonly string[]
}

export type JudgedAnswer =
  | { readonly kind: 'token'; readonly token: string }
  | { readonly kind: 'refused'; readonly class: AnswerClass; readonly problem: Problem | null }

const namePattern = /^[A-Za-z0-9_.[\]-]{1,64}$/

function failedFindings(findings: JsonObject[string] | undefined): readonly string[] {
  if (!Array.isArray(findings)) return []
  const ids = findings.slice(0, 256).flatMap((finding) => {
    const { id, outcome } = isJsonObject(finding) ? finding : {}
    return typeof id === 'string' && namePattern.test(id) && outcome === 'failed' ? [id] : []
  })
  return ids.slice(0, 16)
}

/** ERR-10: one that does not parse, contradicts the status line or has an unknown code counts as absent. */
function problemIn({ status, contentType, body }: AttestationAnswer): Problem | null {
  const media = contentType?.split(';')[0]?.trim().toLowerCase()
  if (media !== 'application/problem+json' || body.length > longestProblem) return null
  const document = parsedObject(body)
  const { code, retryable, field } = document ?? {}
  if (document === null || document['status'] !== status) return null
  if (typeof code !== 'string' || !problemCodes.has(code)) return null
  return {
    code,
    retryable: typeof retryable === 'boolean' ? retryable : null,
    field: typeof field === 'string' && namePattern.test(field) ? field : null,
    findings: failedFindings(document['findings']),
  }
}

function parsedObject(body: Uint8Array): JsonObject | null {
  try {
    return parseJsonObject(body, 'problem')
  } catch (error) {
    if (error instanceof MalformedError) return null
    throw error
  }
}

const transientStatuses: ReadonlySet<number> = new Set([408, 425, 429])

function classOfStatus(status: number): AnswerClass {
  if (status === 409 || status === 422) return 'verdict'
  return status >= 500 || transientStatuses.has(status) ? 'retryable' : 'misconfiguration'
}

function classOfProblem(status: number, { code, retryable }: Problem): AnswerClass {
  if (status < 400) return 'misconfiguration'
  if (encodingCodes.has(code)) return 'dialect'
  if (code.startsWith('AS.EVIDENCE.') || code.startsWith('AS.POLICY.')) return 'verdict'
  if (code.startsWith('AS.CHALLENGE.') && status === 401) return 'rechallenge'
  const byStatus = classOfStatus(status)
  if (byStatus === 'retryable' && retryable === false) return 'misconfiguration'
  return byStatus
}

/** SVC-14: a token is the whole body, with at most one final newline. */
function tokenIn({ status, body }: AttestationAnswer): string | null {
  if (status !== 200 || body.length > longestToken + 1) return null
  const text = Buffer.from(body.buffer, body.byteOffset, body.length).toString('latin1').replace(/\n$/, '')
  return text.length <= longestToken && compactForm.test(text) ? text : null
}

/** What an answer is: a token, not verified in any way, or a refusal of one of the classes of ERR-11. */
export function judgeAnswer(answer: AttestationAnswer): JudgedAnswer {
  const token = tokenIn(answer)
  if (token !== null) return { kind: 'token', token }
  const problem = problemIn(answer)
  const { status } = answer
  const refused = problem === null ? classOfStatus(status) : classOfProblem(status, problem)
  return { kind: 'refused', class: refused, problem }
}

const imfDate = /^[A-Z][a-z]{2}, [0-9]{2} [A-Z][a-z]{2} [0-9]{4} [0-9]{2}:[0-9]{2}:[0-9]{2} GMT$/
const longestRetryAfterMs = 120_000

/**
 * `Retry-After` in milliseconds, at most 120 s (BRK-43): seconds, or a date of RFC 9110 section 5.6.7, of which `now`
 * (milliseconds since the epoch) is taken. Null where there is none that can be read: then backoff decides.
 */
export function retryAfterMs(header: string | null, now: number): number | null {
  if (header === null) return null
  const text = header.trim()
  const ms = /^[0-9]{1,10}$/.test(text) ? Number(text) * 1000 : imfDate.test(text) ? Date.parse(text) - now : Number.NaN
  return Number.isNaN(ms) ? null : Math.min(Math.max(ms, 0), longestRetryAfterMs)
}
