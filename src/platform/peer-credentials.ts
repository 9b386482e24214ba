import type { Socket } from 'node:net'
import { nativeErrors } from '../../native/errors.ts'
import { type Libc, loadLibc, socketConstants } from '../../native/libc.ts'
import { AttestdError } from '../base/errors.ts'
import type { CallerIdentity } from '../policies/caller-identity.ts'
import { CgroupReader } from './cgroup-reader.ts'
import { parseCgroups, type ServiceUnit } from './cgroup-unit.ts'
import { platformErrors } from './errors.ts'
import { holdPeer, type PeerProcess, type PeerState } from './peer-process.ts'
import { descriptorOf, readPeer, readPeerIds, readPeerName, type SocketPeer } from './peer-socket.ts'

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
   * only the socket knows is read before the first wait (NAT-60). Rejects with `caller_gone`, `caller_changed` or
   * `identity_unavailable`. A uid of null means that the kernel gave none (NAT-61).
   */
  identify(socket: Socket, listener: string): Promise<PeerIdentity>
  /** Name of the peer's end of a Unix socket: empty for most, NUL and an abstract name for a service manager (API-164). */
  peerName(socket: Socket): Uint8Array
  /** The uid alone, without a look-up in `/proc`; null where the kernel gives none. */
  peerUid(socket: Socket): number | null
}

const unknown: ServiceUnit = { unit: null, slice: null, container: null }

/** Facts count only if the process still lives, unchanged, after they were read (API-41, API-46, NAT-62). */
async function readUnit(reader: CgroupReader, peer: SocketPeer, held: PeerProcess): Promise<ServiceUnit> {
  const cgroups = held.visible ? await reader.read(peer.pid) : null
  const state = held.state()
  if (state !== 'there') throw platformErrors.error(state, 'the peer did not stay what it was when it connected')
  return cgroups === null ? unknown : parseCgroups(cgroups)
}

class KernelCredentials implements PeerCredentials {
  readonly identity: 'pidfd' | 'procfs'
  readonly degraded = null
  #libc: Libc
  #cgroups = new CgroupReader()

  constructor(libc: Libc, identity: 'pidfd' | 'procfs') {
    this.#libc = libc
    this.identity = identity
  }

  async identify(socket: Socket, listener: string): Promise<PeerIdentity> {
    const peer = readPeer(this.#libc, descriptorOf(socket))
    const held = holdPeer(this.#libc, peer)
    try {
      const { pid, uid, gid, groups } = peer
      const identity = peer.pidfd === null ? 'procfs' : 'pidfd'
      const caller = {
        identity,
        pid,
        uid,
        gid,
        groups,
        ...(await readUnit(this.#cgroups, peer, held)),
        listener,
      } as const
      return { caller, check: () => held.state(), close: () => held.close() }
    } catch (error) {
      held.close()
      throw error
    }
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

  async identify(_socket: Socket, listener: string): Promise<PeerIdentity> {
    const caller = { identity: 'socket', pid: 0, uid: null, gid: null, groups: [], ...unknown, listener } as const
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
