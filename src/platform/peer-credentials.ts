import type { Socket } from 'node:net'
import { nativeErrors } from '../../native/errors.ts'
import { type Libc, loadLibc, socketConstants } from '../../native/libc.ts'
import { AttestdError } from '../base/errors.ts'
import type { CallerIdentity } from '../policies/caller-identity.ts'
import type { ServiceUnit } from './cgroup-unit.ts'
import { holdPeer, type PeerProcess, type PeerState } from './peer-process.ts'
import { descriptorOf, readPeer, readPeerIds, readPeerName } from './peer-socket.ts'
import { PeerUnits, unknownUnit } from './peer-units.ts'

/** The process that connected, held for the life of the connection. */
export interface PeerIdentity {
  readonly caller: CallerIdentity
  /** To be asked before each request is answered (API-47): a descriptor handed on dies with the process that connected. */
  check(): PeerState
  /** Closes what holds the process; on every path, once the connection ends (NAT-63). */
  close(): void
}

export interface PeerCredentials {
  /** How callers are identified here: by pidfd, by procfs, or by nothing but the socket they came through (API-55). */
  readonly identity: 'pidfd' | 'procfs' | 'socket'
  /** Why nothing but the socket is known; null otherwise. To be logged once. */
  readonly degraded: AttestdError | null
  /**
   * Looks up who connected. To be called in the event that accepted the connection, before anything is awaited: what
   * only the socket knows is read before the first wait (NAT-60); a promise only where there is something to wait for.
   * Throws, or rejects with, `caller_gone`, `caller_changed` or `identity_unavailable`. A uid of null means that the
   * kernel gave none (NAT-61).
   */
  identify(socket: Socket, listener: string): PeerIdentity | Promise<PeerIdentity>
  /** Name of the peer's end of a Unix socket: empty for most, NUL and an abstract name for a service manager (API-164). */
  peerName(socket: Socket): Uint8Array
  /** The uid alone, without a look-up in `/proc`; null where the kernel gives none. */
  peerUid(socket: Socket): number | null
}

/** What holds the process is closed on every path (NAT-63). */
function closingOnFailure<T>(held: PeerProcess, act: () => T | Promise<T>): T | Promise<T> {
  const fail = (error: unknown): never => {
    held.close()
    throw error
  }
  try {
    const done = act()
    return done instanceof Promise ? done.catch(fail) : done
  } catch (error) {
    return fail(error)
  }
}

class KernelCredentials implements PeerCredentials {
  readonly identity: 'pidfd' | 'procfs'
  readonly degraded = null
  #libc: Libc
  #units = new PeerUnits()

  constructor(libc: Libc, identity: 'pidfd' | 'procfs') {
    this.#libc = libc
    this.identity = identity
  }

  identify(socket: Socket, listener: string): PeerIdentity | Promise<PeerIdentity> {
    const peer = readPeer(this.#libc, descriptorOf(socket))
    const held = holdPeer(this.#libc, peer)
    const { pid, uid, gid, groups } = peer
    const identity = peer.pidfd === null ? 'procfs' : 'pidfd'
    const of = (unit: ServiceUnit): PeerIdentity => ({
      caller: { identity, pid, uid, gid, groups, ...unit, listener },
      check: () => held.state(),
      close: () => held.close(),
    })
    return closingOnFailure(held, () => {
      const unit = this.#units.unitOf(pid, held)
      return unit instanceof Promise ? unit.then(of) : of(unit)
    })
  }

  peerName(socket: Socket): Uint8Array {
    return readPeerName(this.#libc, descriptorOf(socket))
  }

  peerUid(socket: Socket): number | null {
    return readPeerIds(this.#libc, descriptorOf(socket)).uid
  }
}

/** Without native code nobody can be told from anybody: only rules about the listener can match (API-55). */
class SocketCredentials implements PeerCredentials {
  readonly identity = 'socket'
  readonly degraded: AttestdError

  constructor(degraded: AttestdError) {
    this.degraded = degraded
  }

  identify(_socket: Socket, listener: string): PeerIdentity {
    const caller = { identity: 'socket', pid: 0, uid: null, gid: null, groups: [], ...unknownUnit, listener } as const
    return { caller, check: () => 'there', close: () => undefined }
  }

  peerName(): Uint8Array {
    return new Uint8Array()
  }

  peerUid(): null {
    return null
  }
}

/** One question whose answer is known: who is at the other end of a pair of our own sockets (NAT-14). */
function selfTest(libc: Libc): 'pidfd' | 'procfs' {
  const { AF_UNIX, SOCK_STREAM, SOCK_CLOEXEC } = socketConstants
  const ends = Buffer.alloc(8)
  const { errno } = libc.socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends)
  if (errno !== 0)
    throw nativeErrors.error('NATIVE_SELFTEST', `socketpair failed with errno ${errno}`, { facts: { errno } })
  const [left, right] = [ends.readInt32LE(0), ends.readInt32LE(4)]
  try {
    const { pid, uid, gid, pidfd } = readPeer(libc, left)
    if (pidfd !== null) libc.close(pidfd)
    const isOurselves = pid === process.pid && uid === process.geteuid?.() && gid === process.getegid?.()
    if (isOurselves) return pidfd === null ? 'procfs' : 'pidfd'
    throw nativeErrors.error('NATIVE_SELFTEST', 'SO_PEERCRED of our own socket is not ourselves')
  } finally {
    libc.close(left)
    libc.close(right)
  }
}

/**
 * Chooses how callers are identified on this host, by a self-test. Where the native layer is missing or gives
 * wrong answers the result identifies nobody, and says why: it never takes everybody for allowed (API-55).
 */
export function openPeerCredentials(load: () => Libc = loadLibc): PeerCredentials {
  try {
    const libc = load()
    return new KernelCredentials(libc, selfTest(libc))
  } catch (error) {
    if (error instanceof AttestdError) return new SocketCredentials(error)
    throw error
  }
}
