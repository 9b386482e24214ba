import { type JsonObject, type JsonValue, parseJsonObject } from '../base/json.ts'
import { clientErrors } from './errors.ts'

/** A token as the agent gave it, verified by the agent (API-98). Times in seconds since the Unix epoch. */
export interface FetchedToken {
  /** The compact JWS, to be sent as it is. */
  readonly token: string
  readonly tokenType: string
  /** The claim `iss`. */
  readonly issuer: string
  readonly audience: readonly string[]
  readonly issuedAt: number
  readonly expiresAt: number
  /** From then on the agent wants to have a newer one. */
  readonly refreshAt: number
  readonly jti: string
  /** Where the agent had it from: `cache`, `cache-refreshing`, `cache-degraded` (refreshes fail at present), `issued`. */
  readonly source: string
  /** Names the request in the log of the agent. */
  readonly requestId: string
}

/** Longest answer with a token, in bytes. */
export const longestTokenAnswer = 65_536

const compactForm = /^[\w-]+\.[\w-]+\.[\w-]+$/
const isSeconds = (value: JsonValue | undefined): value is number => Number.isSafeInteger(value) && Number(value) >= 0
const isText = (value: JsonValue | undefined): value is string => typeof value === 'string' && value !== ''
const isTexts = (value: JsonValue | undefined): value is string[] =>
  Array.isArray(value) && value.length > 0 && value.every(isText)

const isSameSet = (some: readonly string[], others: readonly string[]) =>
  some.every((name) => others.includes(name)) && others.every((name) => some.includes(name))

function bad(member: string): never {
  throw clientErrors.error('AGENT_ANSWER', `the answer has no usable member ${member}`)
}

function required<T extends JsonValue>(
  answer: JsonObject,
  member: string,
  is: (value: JsonValue | undefined) => value is T,
): T {
  const value = answer[member]
  return is(value) ? value : bad(member)
}

function parseObject(body: string): JsonObject {
  try {
    return parseJsonObject(body, 'answer', { maxDepth: 4, maxItems: 64, integersOnly: true })
  } catch (cause) {
    throw clientErrors.error('AGENT_ANSWER', 'the answer is no JSON object', { cause })
  }
}

/**
 * Reads the JSON answer to a token request (section 6.1); unknown members are ignored. An answer that names other
 * audiences than were asked for is refused: a token for somebody else must not leave this process (API-96).
 */
export function parseFetchedToken(body: string, asked: readonly string[]): FetchedToken {
  const answer = parseObject(body)
  const token = required(answer, 'token', isText)
  const audience = required(answer, 'audience', isTexts)
  if (!compactForm.test(token)) bad('token')
  if (asked.length > 0 && !isSameSet(asked, audience)) bad('audience')
  return {
    token,
    tokenType: required(answer, 'token_type', isText),
    issuer: required(answer, 'issuer', isText),
    audience,
    issuedAt: required(answer, 'issued_at', isSeconds),
    expiresAt: required(answer, 'expires_at', isSeconds),
    refreshAt: required(answer, 'refresh_at', isSeconds),
    jti: required(answer, 'jti', isText),
    source: required(answer, 'source', isText),
    requestId: required(answer, 'request_id', isText),
  }
}
