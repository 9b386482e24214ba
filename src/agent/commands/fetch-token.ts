import { type FetchedToken, parseFetchedToken } from '../../client/fetched-token.ts'
import { problemError } from '../../client/problem.ts'
import { askSocket } from '../../client/socket-request.ts'

export interface TokenQuestion {
  readonly socket: string
  /** Absent: the default of the agent. */
  readonly audience?: string
  /** From now to the last byte of the answer; the agent is told a little less, so that it can say why it is late. */
  readonly timeoutMs: number
}

const [longestWaitMs, headStartMs] = [60_000, 250]

/**
 * A token of the local agent, once and within the time. Throws the errors of `askSocket`, and the agent's own error where it
 * gives none. Nothing but the socket is asked (API-170).
 */
export async function fetchToken({ socket, audience, timeoutMs }: TokenQuestion): Promise<FetchedToken> {
  const waitMs = Math.min(longestWaitMs, Math.max(1, Math.floor(timeoutMs - headStartMs)))
  const asked = audience === undefined ? {} : { audience }
  const request = {
    socket,
    method: 'POST',
    path: '/v1/token',
    accept: 'application/json',
    body: { ...asked, timeout_ms: waitMs },
    timeoutMs,
  } as const
  const answer = await askSocket(request, null)
  if (answer.status !== 200) throw problemError(answer)
  return parseFetchedToken(answer.body, audience === undefined ? [] : [audience])
}
