import type { Socket } from 'node:net'
import { type Libc, tcpConstants } from '../../native/libc.ts'
import { type CallerIdentity, tcpCaller } from '../policies/caller-identity.ts'
import { platformErrors } from './errors.ts'
import { descriptorOf } from './peer-socket.ts'
import { type LoopbackConnection, loopbackConnection, TcpTables } from './tcp-table.ts'

/** The user at the other end of a loopback connection, and whether it still is. */
export interface TcpPeer {
  readonly caller: CallerIdentity
  /** To be asked before each request is answered: the user counts only while both sides are open (API-54). */
  check(): Promise<'there' | 'caller_unidentified'>
  close(): void
}

/** Says who is at the other end of loopback TCP connections. There is no `SO_PEERCRED` to ask without a look-up. */
export interface TcpPeers {
  /**
   * Looks up who connected; a uid of null: the kernel cannot say. To be called in the event that accepted the
   * connection. Rejects with `caller_gone` or `identity_unavailable`.
   */
  identify(socket: Socket, listener: string): Promise<TcpPeer>
}

export interface TcpPeersOptions {
  /** Null without native code: then nobody is identified (API-55). */
  readonly libc: Libc | null
  readonly tables?: Pick<TcpTables, 'uidOfClient'>
}

/** Whether the accepted end itself is in state ESTABLISHED: neither side has closed (`TCP_INFO`, about a microsecond). */
function isEstablished(libc: Libc, socket: Socket): boolean {
  const { IPPROTO_TCP, TCP_INFO, TCP_ESTABLISHED } = tcpConstants
  const [state, size] = [Buffer.alloc(1), Buffer.from([1, 0, 0, 0])]
  const { errno } = libc.getsockopt(descriptorOf(socket), IPPROTO_TCP, TCP_INFO, state, size)
  if (errno !== 0) throw platformErrors.error('identity_unavailable', `TCP_INFO failed with errno ${errno}`)
  return size.readUInt32LE(0) === 1 && state[0] === TCP_ESTABLISHED
}

class LoopbackPeers implements TcpPeers {
  #libc: Libc | null
  #tables: Pick<TcpTables, 'uidOfClient'>

  constructor({ libc, tables = new TcpTables() }: TcpPeersOptions) {
    this.#libc = libc
    this.#tables = tables
  }

  async identify(socket: Socket, listener: string): Promise<TcpPeer> {
    const connection = loopbackConnection(socket)
    const uid = connection === null ? null : await this.#confirmedUid(socket, connection)
    return {
      caller: tcpCaller(uid, listener),
      check: async () =>
        uid !== null && connection !== null && (await this.#uidOf(socket, connection)) === uid
          ? 'there'
          : 'caller_unidentified',
      close: () => undefined,
    }
  }

  /**
   * A line of the table is not written at once: a client that closes in between is still ESTABLISHED and has no owner any
   * more, for which older kernels print uid 0. So root is believed only if a second reading says the same.
   */
  async #confirmedUid(socket: Socket, connection: LoopbackConnection): Promise<number | null> {
    const uid = await this.#uidOf(socket, connection)
    return uid === 0 ? this.#uidOf(socket, connection) : uid
  }

  /**
   * Our end is looked at after the table: as long as it is ESTABLISHED nobody else can have had the client's port.
   * A port that was left and taken by another user meanwhile would otherwise lend its first user that name.
   */
  async #uidOf(socket: Socket, connection: LoopbackConnection): Promise<number | null> {
    if (this.#libc === null || !isEstablished(this.#libc, socket)) return null
    const uid = await this.#tables.uidOfClient(connection)
    return uid !== null && isEstablished(this.#libc, socket) ? uid : null
  }
}

/** Identifies callers of loopback TCP by the tables of the kernel (API-54); only their uid is known. */
export function openTcpPeers(options: TcpPeersOptions): TcpPeers {
  return new LoopbackPeers(options)
}
