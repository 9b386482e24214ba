import { AttestdError } from '../base/errors.ts'
import type { JsonObject } from '../base/json.ts'
import { attestationErrors } from './attestation-api/errors.ts'
import { EvidenceRefusal } from './attestation-api/evidence-refusal.ts'

/** A refusal as RFC 9457 has it (ERR-01): what to send, and with which status. */
export interface Problem {
  readonly status: number
  readonly code: string
  readonly body: string
}

export interface ProblemOptions {
  /** `urn:uuid:…`: the key under which the log has it. */
  readonly instance?: string
  /** Says nothing but status, code and instance (ERR-02). */
  readonly bare?: boolean
  /** Extension members (RFC 9457 section 3.2), which replace none of the others. */
  readonly extensions?: JsonObject
}

/** What a policy that denied may tell (POL-443): never a claim. */
const policyFacts = ['policy_id', 'reason', 'lines', 'rule', 'message'] as const
const deniedTitle = 'the evidence is genuine, and an appraisal policy does not permit a token for it'
const deniedRemedy =
  'bring the machine into the state that the named policy demands; whoever runs this service knows its rules'
/** Nothing that the machine could change would help (POL-424). */
const failedRemedy =
  'tell whoever runs this service: the named policy fails on this evidence, and has to be mended there'

/** Codes that are raised for an agent of its own machine have other words there. */
function wordsOf({ code, title, remedy, facts }: AttestdError): { readonly title: string; readonly remedy: string } {
  if (code !== 'AS.POLICY.DENIED') return { title, remedy }
  return { title: deniedTitle, remedy: facts['reason'] === 'error' ? failedRemedy : deniedRemedy }
}

function pickFacts(facts: AttestdError['facts'], names: readonly string[]): JsonObject {
  return Object.fromEntries(names.flatMap((name) => (facts[name] === undefined ? [] : [[name, facts[name]]])))
}

function fullProblem(error: AttestdError): JsonObject {
  const { code, status, message, retryable, facts } = error
  const type = `urn:attestd:problem:${code.toLowerCase()}`
  const { title, remedy } = wordsOf(error)
  const findings = error instanceof EvidenceRefusal ? error.findings.map((finding) => ({ ...finding })) : []
  return {
    ...{ type, title, status, code, detail: message, retryable, remedy },
    ...pickFacts(facts, ['field']),
    ...(code === 'AS.POLICY.DENIED' ? pickFacts(facts, policyFacts) : {}),
    ...(findings.length === 0 ? {} : { findings }),
  }
}

/**
 * An error as a problem document. What is not an `AttestdError` is a bug: the answer says nothing about it. A bare one
 * repeats the status, without which clients do not believe the code (ERR-10).
 */
export function composeProblem(
  error: unknown,
  { instance, bare = false, extensions = {} }: ProblemOptions = {},
): Problem {
  const known =
    error instanceof AttestdError ? error : attestationErrors.error('AS.INTERNAL.ERROR', 'the server failed to answer')
  const { code, status } = known
  const members = bare ? { status, code } : fullProblem(known)
  const body = JSON.stringify({ ...extensions, ...members, ...(instance === undefined ? {} : { instance }) })
  return { status, code, body }
}
