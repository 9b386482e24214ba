import { AttestdError, type ErrorDeclaration, MalformedError } from '../base/errors.ts'
import { type JsonObject, parseJsonObject } from '../base/json.ts'
import { problemError } from '../client/problem.ts'
import { askSocket, type SocketAnswer, type SocketRequest } from '../client/socket-request.ts'
import { administrationErrors } from '../issuer/administration/errors.ts'
import { signedPolicyErrors } from '../policies/signed/errors.ts'
import { registryErrors } from '../registry/errors.ts'
import { storeErrors } from '../registry/store-errors.ts'
import { agentErrors } from './errors.ts'

/** Codes of which the statuses do not tell the kinds. */
const declared: Readonly<Record<string, ErrorDeclaration>> = {
  ...administrationErrors.declared,
  ...signedPolicyErrors.declared,
  ...registryErrors.declared,
  ...storeErrors.declared,
}

const timeoutMs = 30_000
/** A page of versions, or a policy with its upload and its text. */
const longestBody = 8 << 20
/** A comparison of two texts of 64 KiB that have nothing but line ends. */
const answerLimits = { maxItems: 200_000, maxValues: 1_000_000 }

/** What a client of an agent says of its socket, as it is to be said of the one of a verifier. */
const codes = {
  AGENT_NOT_REACHED: 'VERIFIER_NOT_REACHED',
  SOCKET_FORBIDDEN: 'VERIFIER_SOCKET_FORBIDDEN',
  AGENT_ANSWER: 'VERIFIER_ANSWER',
  AGENT_TOO_SLOW: 'VERIFIER_TOO_SLOW',
} as const

export type VerifierRequest = Omit<SocketRequest, 'timeoutMs' | 'longestBody' | 'signal' | 'accept'>

/**
 * Asks a verifier over its administration socket, once, and gives any answer, refusals included. Throws
 * `VERIFIER_NOT_REACHED`, `VERIFIER_SOCKET_FORBIDDEN`, `VERIFIER_TOO_SLOW` or `VERIFIER_ANSWER`.
 */
export async function askVerifier(request: VerifierRequest): Promise<SocketAnswer> {
  try {
    return await askSocket({ ...request, timeoutMs, longestBody }, null)
  } catch (error) {
    throw inWordsOfVerifier(error)
  }
}

/** As `askVerifier`, for an answer that is a JSON object. Throws besides the verifier's own error for one that is not 2xx. */
export async function askVerifierForObject(request: VerifierRequest): Promise<JsonObject> {
  return readVerifierAnswer(await askVerifier(request))
}

/** The object of an answer, or its refusal as an error. */
export function readVerifierAnswer(answer: SocketAnswer): JsonObject {
  if (answer.status < 200 || answer.status > 299) throw inWordsOfVerifier(problemError(answer, declared))
  return parseJsonObject(answer.body, 'answer', answerLimits)
}

/** The document of a refusal that says where a policy is wrong; null for every other answer. */
export function diagnosedRefusal({ status, body }: SocketAnswer): JsonObject | null {
  if (status !== 400) return null
  try {
    const document = parseJsonObject(body, 'problem')
    return document['code'] === 'ADMINISTRATION_POLICY_ERRORS' ? document : null
  } catch (error) {
    if (error instanceof MalformedError) return null
    throw error
  }
}

function inWordsOfVerifier(error: unknown): unknown {
  if (!(error instanceof AttestdError) || !Object.hasOwn(codes, error.code)) return error
  return agentErrors.error(codes[error.code as keyof typeof codes], error.message, { cause: error })
}
