/**
 * Tokens and evidence for a workload, from the agent of its machine. There is nothing to configure: the agent knows who
 * calls from the kernel, and finds its rules itself.
 *
 * ```ts
 * import { fetchToken } from 'attestd/client'
 *
 * const { token } = await fetchToken({ audience: 'https://payments.example' })
 * await fetch('https://payments.example/charges', { headers: { authorization: `Bearer ${token}` } })
 * ```
 *
 * Call it for every use: a token is kept as long as it is good enough, and renewed ahead of its end.
 */
import { openedOnce } from '../base/opened-once.ts'
import { type AttestdClient, SocketClient } from './attestd-client.ts'
import type { EvidenceOptions } from './evidence-options.ts'
import type { FetchedToken } from './fetched-token.ts'
import { processClock } from './process-clock.ts'
import { workloadSocket } from './socket-path.ts'
import { askSocket, openSocketPool } from './socket-request.ts'
import type { TokenOptions } from './token-wish.ts'

export { AttestdError } from '../base/errors.ts'
export type { AttestdClient } from './attestd-client.ts'
export type { EvidenceOptions } from './evidence-options.ts'
export type { FetchedToken } from './fetched-token.ts'
export { createProofKey, type ProofKey, type ProvenRequest } from './proof-key.ts'
export type { TokenOptions } from './token-wish.ts'

export interface ClientOptions {
  /** Path of the workload socket. Default: ATTESTD_SOCKET, else /run/attestd/api.sock. */
  readonly socket?: string | undefined
}

/** Makes a client of its own, with its own tokens and connections. Most programs need none: see `fetchToken`. */
export function createClient({ socket = workloadSocket(process.env) }: ClientOptions = {}): AttestdClient {
  const pool = openSocketPool()
  return new SocketClient({
    socket,
    ask: (request) => askSocket(request, pool),
    clock: processClock,
    draw: Math.random,
    disconnect: () => pool.close(),
  })
}

/** One client for the process, as tokens and connections are worth sharing by everything that runs in it. */
const clientOfProcess = openedOnce(async () => createClient())

/** As `fetchToken` of a client, by the one client of this process. */
export async function fetchToken(options?: TokenOptions): Promise<FetchedToken> {
  return (await clientOfProcess()).fetchToken(options)
}

/** As `fetchEvidence` of a client, by the one client of this process. */
export async function fetchEvidence(options: EvidenceOptions): Promise<string> {
  return (await clientOfProcess()).fetchEvidence(options)
}
