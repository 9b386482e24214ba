import { createServer, type Server, type Socket } from 'node:net'
import { AttestdError } from '../base/errors.ts'
import type { RandomSource } from '../base/random.ts'
import { raisedRate } from '../policies/caller-policy.ts'
import type { ApiContext } from './api-context.ts'
import type { CallerIdentifier } from './caller-identifier.ts'
import type { ConnectionLedger } from './connection-ledger.ts'
import { CredentialCall } from './credential-call.ts'
import { type CredentialEntry, encodeCredential, findCredential } from './credential-entry.ts'
import { type CredentialName, parseCredentialName } from './credential-name.ts'
import { withDeadline } from './deadline.ts'
import { workloadApiErrors } from './errors.ts'
import { callerKey } from './rate-limits.ts'
import { drawRequestId } from './request-id.ts'
import { requireTokenJob, takeToken } from './token-operation.ts'
import { tokenParameters } from './token-parameters.ts'

/** Asks the kernel who is at the other end, and what it calls itself. */
export interface CredentialPeers extends CallerIdentifier {
  /** Name of the peer's end of the socket (getpeername), without its family; empty: it has none. Synchronous. */
  peerName(socket: Socket): Uint8Array
}

export interface CredentialSocketOptions {
  /** Of listener `cred`. */
  readonly context: ApiContext
  readonly peers: CredentialPeers
  readonly ledger: ConnectionLedger
  readonly random: RandomSource
  /** Those in force. */
  readonly entries: () => readonly CredentialEntry[]
}

/** Since the start of the agent. */
export interface CredentialCounts {
  readonly written: number
  /** Connections that were closed without data: the unit got an empty credential. */
  readonly empty: number
}

/** One connection, as far as it is known. A name that is not of the form is nowhere written down. */
interface Asked {
  readonly id: string
  readonly since: number
  name: CredentialName | null
}

interface Outcome {
  readonly status: number
  readonly code: string | null
  readonly source: string | null
}

function outcomeOf(error: unknown): Outcome {
  if (!(error instanceof AttestdError)) return { status: 500, code: 'internal', source: null }
  return { status: error.status, code: error.code, source: null }
}

/**
 * Gives tokens to the service manager, which connects for `LoadCredential=` and reads to the end (section 8.10). No HTTP:
 * the peer says nothing, its name says what it wants. There is no answer for "not available": the connection is closed
 * without data, which is logged and counted (API-167).
 */
export class CredentialSocket {
  readonly server: Server
  #options: CredentialSocketOptions
  #running = new Set<Promise<void>>()
  #sockets = new Set<Socket>()
  #stopped = new AbortController()
  #counts = { written: 0, empty: 0 }

  constructor(options: CredentialSocketOptions) {
    this.#options = options
    // The manager closes its sending side at once, and that is not the end of the connection.
    this.server = createServer({ allowHalfOpen: true }, (socket) => this.#accept(socket))
  }

  get counts(): CredentialCounts {
    return { ...this.#counts }
  }

  /** Takes nothing new, closes without data what waits, and resolves when all is closed. */
  async close(): Promise<void> {
    const closed = new Promise<void>((resolve) => this.server.close(() => resolve()))
    this.#stopped.abort(workloadApiErrors.error('deadline_exceeded', 'the agent stops'))
    await Promise.all(this.#running)
    for (const socket of this.#sockets) socket.destroySoon()
    await closed
  }

  #accept(socket: Socket): void {
    this.#sockets.add(socket)
    socket.on('error', () => undefined)
    socket.once('close', () => this.#sockets.delete(socket))
    const running = this.#serve(socket)
    this.#running.add(running)
    running.finally(() => this.#running.delete(running))
  }

  async #serve(socket: Socket): Promise<void> {
    const { context, random } = this.#options
    const asked: Asked = { id: drawRequestId(random), since: context.clock.monotonic(), name: null }
    try {
      await this.#answer(socket, asked)
    } catch (error) {
      if (!socket.destroyed) this.#end(socket, new Uint8Array())
      this.#record(asked, outcomeOf(error), error)
    }
  }

  /** What only the socket knows is read before the first wait. */
  async #answer(socket: Socket, asked: Asked): Promise<void> {
    const { context, peers, ledger, entries } = this.#options
    const place = ledger.takePlace(context.listener)
    if (place === null) throw workloadApiErrors.error('too_many_connections', 'no further connection is taken')
    socket.once('close', place)
    const name = parseCredentialName(peers.peerName(socket))
    if (name === null) throw workloadApiErrors.error('credential_peer', 'the name of the peer is not of the form')
    asked.name = name
    const call = new CredentialCall(socket, { id: asked.id, name }, { context, identifier: peers })
    const entry = findCredential(entries(), name)
    if (entry === null) {
      throw workloadApiErrors.error('credential_unknown', 'no [[credentials]] has this unit and id')
    }
    await this.#deliver(socket, { call, entry, asked })
  }

  /** API-167: all of it within the time of the entry, the look-up of the peer too. */
  async #deliver(
    socket: Socket,
    { call, entry, asked }: { readonly call: CredentialCall; readonly entry: CredentialEntry; readonly asked: Asked },
  ): Promise<void> {
    const { context } = this.#options
    const { waitMs: ms, audience, issuer } = entry
    const late = () => workloadApiErrors.error('deadline_exceeded', `no token within ${ms} ms`)
    const outer = AbortSignal.any([call.gone, this.#stopped.signal])
    await withDeadline({ clock: context.clock, ms, outer, late }, async (signal) => {
      await call.requireManager()
      const { policy, rates } = context
      rates.requireRequest(callerKey(call.caller), raisedRate(policy(), call.caller))
      const parameters = tokenParameters({ audience: [audience], issuer, timeoutMs: ms })
      const job = requireTokenJob(context, call, parameters)
      await takeToken(context, job, (token) => {
        if (signal.aborted) return
        const data = encodeCredential(entry, token)
        this.#end(socket, data)
        this.#record(asked, { status: 200, code: null, source: token.source })
      })
    })
  }

  /** Writes all there is and closes; a peer that does not read is dropped (API-22). */
  #end(socket: Socket, data: Uint8Array): void {
    const { clock, limits } = this.#options.context
    const closed = new AbortController()
    socket.once('close', () => closed.abort())
    socket.once('finish', () => socket.destroy())
    socket.end(data)
    clock.sleep(limits.writeStallMs, closed.signal).then(
      () => socket.destroy(),
      () => undefined,
    )
  }

  #record({ id, since, name }: Asked, { status, code, source }: Outcome, error?: unknown): void {
    const { listener, clock, log, observe } = this.#options.context
    const ms = clock.monotonic() - since
    observe({ event: 'answered', listener, route: 'credential', method: 'LOAD', status, code, source, durationMs: ms })
    const facts = { request_id: id, listener, unit: name?.unit ?? null, credential: name?.id ?? null, code, ms }
    if (code === null) {
      this.#counts.written++
      log.debug({ ...facts, source }, 'credential written')
      return
    }
    this.#counts.empty++
    const says = error instanceof AttestdError ? error.message : undefined
    log.warn({ ...facts, says }, 'a credential was left empty')
  }
}
