import { Client } from 'undici'
import { AttestdError, type ErrorDeclaration, type ErrorKind, errorKinds } from '../base/errors.ts'
import { type JsonObject, parseJsonObject } from '../base/json.ts'
import { registryErrors } from '../registry/errors.ts'
import { storeErrors } from '../registry/store-errors.ts'
import { agentErrors } from './errors.ts'

export interface SocketAnswer {
  readonly status: number
  readonly body: string
}

export interface SocketRequest {
  readonly socket: string
  readonly method: 'GET' | 'POST'
  readonly path: string
  readonly body?: JsonObject
  readonly accept?: string
  readonly timeoutMs: number
}

const maximumAnswer = 1 << 20

/** Codes of the registry, whose statuses do not tell their kinds. */
const declared: Readonly<Record<string, ErrorDeclaration>> = { ...registryErrors.declared, ...storeErrors.declared }

function kindOf(code: string, status: number): ErrorKind {
  if (Object.hasOwn(declared, code)) return declared[code]?.kind ?? 'refused'
  const kinds = Object.keys(errorKinds) as ErrorKind[]
  return kinds.find((kind) => errorKinds[kind].status === status) ?? (status >= 500 ? 'unavailable' : 'refused')
}

/** An agent's problem document (RFC 9457) as the error that it stands for, so that exit codes and remedies agree. */
export function problemError({ status, body }: SocketAnswer): AttestdError {
  let problem: JsonObject
  try {
    problem = parseJsonObject(body, 'problem')
  } catch {
    return agentErrors.error('AGENT_ANSWER', `status ${status} without a problem document`)
  }
  const text = (member: string, otherwise: string) => {
    const value = problem[member]
    return typeof value === 'string' ? value : otherwise
  }
  const code = text('code', 'internal')
  const declaration = {
    kind: kindOf(code, status),
    title: text('title', 'refused'),
    remedy: text('remedy', 'see docs/errors.md'),
    retryable: problem['retryable'] === true,
    status,
  }
  return new AttestdError(code, declaration, text('detail', `status ${status}`))
}

/**
 * Asks an agent over its Unix socket. Throws `AGENT_NOT_REACHED` if nobody answers, and the agent's own error for
 * an answer that is not 2xx. Never falls back to anything else (API-170).
 */
export async function askAgent(request: SocketRequest): Promise<string> {
  const client = new Client('http://localhost', {
    socketPath: request.socket,
    connect: { timeout: 3000 },
    headersTimeout: request.timeoutMs + 5000,
    bodyTimeout: 10_000,
    maxResponseSize: maximumAnswer,
  })
  try {
    const { statusCode, body } = await client.request({
      method: request.method,
      path: request.path,
      headers: {
        ...(request.accept ? { accept: request.accept } : {}),
        ...(request.body ? { 'content-type': 'application/json' } : {}),
      },
      ...(request.body ? { body: JSON.stringify(request.body) } : {}),
    })
    const text = await body.text()
    if (statusCode >= 200 && statusCode < 300) return text
    throw problemError({ status: statusCode, body: text })
  } catch (cause) {
    if (cause instanceof AttestdError) throw cause
    const reason = cause instanceof Error && 'code' in cause ? String(cause.code) : 'no answer'
    throw agentErrors.error('AGENT_NOT_REACHED', `${request.socket}: ${reason}`, { cause })
  } finally {
    await client.destroy()
  }
}

/** As `askAgent`, for answers that are JSON objects. */
export async function askAgentForObject(request: SocketRequest): Promise<JsonObject> {
  return parseJsonObject(await askAgent(request), 'answer')
}
