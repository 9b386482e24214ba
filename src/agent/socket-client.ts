import type { ErrorDeclaration } from '../base/errors.ts'
import { type JsonObject, parseJsonObject } from '../base/json.ts'
import { problemError } from '../client/problem.ts'
import { askSocket, type SocketRequest } from '../client/socket-request.ts'
import { registryErrors } from '../registry/errors.ts'
import { storeErrors } from '../registry/store-errors.ts'

/** Codes of the registry, whose statuses do not tell their kinds. */
const declared: Readonly<Record<string, ErrorDeclaration>> = { ...registryErrors.declared, ...storeErrors.declared }

/** An agent that works until the time is over needs a moment more for saying so. */
const graceMs = 5000

/**
 * Asks an agent over its Unix socket, once. Throws the errors of `askSocket` if there is no answer, and the agent's own
 * error for an answer that is not 2xx. Never falls back to anything else (API-170).
 */
export async function askAgent(request: SocketRequest): Promise<string> {
  const answer = await askSocket({ ...request, timeoutMs: request.timeoutMs + graceMs }, null)
  if (answer.status >= 200 && answer.status < 300) return answer.body
  throw problemError(answer, declared)
}

/** As `askAgent`, for answers that are JSON objects. */
export async function askAgentForObject(request: SocketRequest): Promise<JsonObject> {
  return parseJsonObject(await askAgent(request), 'answer')
}
