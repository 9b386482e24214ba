import { AttestdError, type ErrorDeclaration, type ErrorKind, errorKinds } from '../base/errors.ts'
import { type JsonObject, type JsonValue, parseJsonObject } from '../base/json.ts'
import { clientErrors } from './errors.ts'
import type { SocketAnswer } from './socket-request.ts'

type Declared = Readonly<Record<string, ErrorDeclaration>>

const documentMembers = new Set(['type', 'title', 'status', 'code', 'detail', 'retryable', 'remedy'])
const longestFact = 256
const mostFacts = 32

function kindOf(code: string, status: number, declared: Declared): ErrorKind {
  if (Object.hasOwn(declared, code)) return declared[code]?.kind ?? 'refused'
  const kinds = Object.keys(errorKinds) as ErrorKind[]
  return kinds.find((kind) => errorKinds[kind].status === status) ?? (status >= 500 ? 'unavailable' : 'refused')
}

const isFact = (value: JsonValue): value is string | number | boolean =>
  typeof value === 'number' || typeof value === 'boolean' || (typeof value === 'string' && value.length <= longestFact)

/** Extension members of the document, `request_id` among them, and when to come again (API-82). */
function factsOf(problem: JsonObject, retryAfter: string | undefined): AttestdError['facts'] {
  const members = Object.entries(problem).filter(([name]) => !documentMembers.has(name))
  const facts: Record<string, string | number | boolean> = {}
  for (const [name, value] of members.slice(0, mostFacts)) if (isFact(value)) facts[name] = value
  if (facts['retry_after_ms'] === undefined && retryAfter !== undefined && /^[0-9]{1,5}$/.test(retryAfter)) {
    facts['retry_after_ms'] = Number(retryAfter) * 1000
  }
  return facts
}

/**
 * An agent's problem document (RFC 9457, section 7 of the workload API) as the error that it stands for: code, remedy
 * and `retryable` are the agent's own, `facts.request_id` is what its log names. `declared` says the kinds of codes whose
 * statuses do not tell them.
 */
export function problemError({ status, headers, body }: SocketAnswer, declared: Declared = {}): AttestdError {
  let problem: JsonObject
  try {
    problem = parseJsonObject(body, 'problem', { maxDepth: 8, maxItems: 256 })
  } catch {
    return clientErrors.error('AGENT_ANSWER', `status ${status} without a problem document`)
  }
  const text = (member: string, otherwise: string) => {
    const value = problem[member]
    return typeof value === 'string' ? value : otherwise
  }
  const code = text('code', 'internal')
  const declaration = {
    kind: kindOf(code, status, declared),
    title: text('title', 'refused'),
    remedy: text('remedy', 'see docs/errors.md'),
    retryable: problem['retryable'] === true,
    status,
  }
  const facts = factsOf(problem, headers['retry-after'])
  return new AttestdError(code, declaration, text('detail', `status ${status}`), { facts })
}
