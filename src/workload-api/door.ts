import { STATUS_CODES } from 'node:http'
import type { Socket } from 'node:net'
import type { Clock } from '../base/clock.ts'
import { AttestdError } from '../base/errors.ts'
import type { RandomSource } from '../base/random.ts'
import type { CallerIdentity } from '../policies/caller-identity.ts'
import type { CallerIdentifier } from './caller-identifier.ts'
import { CallerWatch } from './caller-watch.ts'
import { Connection } from './connection.ts'
import type { ConnectionLedger, ReleasePlace } from './connection-ledger.ts'
import { workloadApiErrors } from './errors.ts'
import type { WorkloadLimits } from './limits.ts'
import type { ErrorEncoder } from './problem.ts'
import type { RateLimits } from './rate-limits.ts'
import { drawRequestId } from './request-id.ts'
import type { WorkloadObserver } from './workload-log.ts'

export interface DoorOptions {
  readonly listener: string
  /** null: this listener does not ask who is calling; its file mode decides. */
  readonly identifier: CallerIdentifier | null
  readonly ledger: ConnectionLedger
  readonly rates: RateLimits
  readonly clock: Clock
  readonly random: RandomSource
  readonly limits: WorkloadLimits
  readonly observe: WorkloadObserver
  /** How this listener tells an error (API-123). */
  readonly encodeError: ErrorEncoder
}

/** A whole HTTP answer for the socket itself, where there is no request to answer; it closes the connection. */
export function rawProblem(
  error: AttestdError,
  { random, encodeError }: { readonly random: RandomSource; readonly encodeError: ErrorEncoder },
): string {
  const id = drawRequestId(random)
  const { status, type, body, headers } = encodeError(error, id)
  const fields = Object.entries({
    'cache-control': 'no-store',
    'x-content-type-options': 'nosniff',
    'attestd-request-id': id,
    'content-type': type,
    'content-length': String(Buffer.byteLength(body)),
    connection: 'close',
    ...headers,
  })
  const lines = fields.map(([name, value]) => `${name}: ${value}\r\n`).join('')
  return `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? 'Problem'}\r\n${lines}\r\n${body}`
}

/**
 * Stands at accept: counts connections (API-23, API-80) and starts the look-up of the caller before a byte is parsed
 * (API-40). Connections that are refused never reach the HTTP parser.
 */
export class Door {
  #options: DoorOptions
  #connections = new Map<Socket, Connection>()

  constructor(options: DoorOptions) {
    this.#options = options
  }

  get connections(): Iterable<Connection> {
    return this.#connections.values()
  }

  connectionOf(socket: Socket): Connection {
    const connection = this.#connections.get(socket)
    if (!connection) throw new TypeError('a request on a connection that was never let in')
    return connection
  }

  /** The connection, let in; or null when it was refused, answered and closed. */
  letIn(socket: Socket): Connection | null {
    socket.on('error', () => undefined)
    const places: ReleasePlace[] = []
    socket.once('close', () => {
      for (const release of places) release()
      this.#connections.delete(socket)
    })
    try {
      this.#takePlaces(socket, places)
    } catch (error) {
      if (!(error instanceof AttestdError)) throw error
      this.#refuse(socket, error)
      return null
    }
    return this.#open(socket, places)
  }

  #takePlaces(socket: Socket, places: ReleasePlace[]): void {
    const { listener, ledger, identifier } = this.#options
    const place = ledger.takePlace(listener)
    if (!place) throw workloadApiErrors.error('too_many_connections', 'no further connection is taken')
    places.push(place)
    this.#takePlaceOfUid(identifier?.peerUid?.(socket) ?? null, places)
  }

  #takePlaceOfUid(uid: number | null, places: ReleasePlace[]): void {
    if (uid === null) return
    const place = this.#options.ledger.takePlaceOf(uid)
    if (!place) {
      throw workloadApiErrors.error('rate_limited', 'this user has all connections that one user may have', {
        facts: { retry_after_ms: 1000 },
      })
    }
    places.push(place)
    this.#options.rates.requireAccept(uid)
  }

  #refuse(socket: Socket, error: AttestdError): void {
    const { listener, observe } = this.#options
    observe({ event: 'connection_refused', listener, code: error.code })
    socket.pause()
    socket.once('finish', () => socket.destroy())
    socket.end(rawProblem(error, this.#options))
  }

  #open(socket: Socket, places: ReleasePlace[]): Connection {
    const { clock, limits, identifier, listener, observe } = this.#options
    const connection = new Connection(socket, clock, limits)
    this.#connections.set(socket, connection)
    if (identifier) {
      const counted = identifier.peerUid !== undefined
      connection.caller = new CallerWatch(socket, {
        identifier,
        listener,
        clock,
        identityMs: limits.identityMs,
        gone: () => connection.gone,
        admit: counted ? () => undefined : (caller) => this.#admitLate(caller, places),
        ...(counted ? {} : { refused: (error: AttestdError) => this.#refuseLate(connection, error) }),
        judged: (identity, result) => observe({ event: 'caller_identified', listener, identity, result }),
      })
    }
    return connection
  }

  /** Where accept could not count by uid: who cannot be counted is not let in, or nothing would bound such connections. */
  #admitLate({ identity, uid }: CallerIdentity, places: ReleasePlace[]): void {
    if (identity === 'tcp-uid' && uid === null) {
      throw workloadApiErrors.error('caller_unidentified', 'the kernel does not say who holds the other end')
    }
    this.#takePlaceOfUid(uid, places)
  }

  /** A place is not kept until a request comes. One that has come is told by itself, and closes the connection. */
  #refuseLate(connection: Connection, error: AttestdError): void {
    const { listener, observe } = this.#options
    observe({ event: 'connection_refused', listener, code: error.code })
    if (connection.idle) connection.failParsing(error, rawProblem(error, this.#options))
  }
}
