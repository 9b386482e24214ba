import type { Socket } from 'node:net'
import { errnoOf, type Libc, layouts, socketConstants } from '../../native/libc.ts'
import { platformErrors } from './errors.ts'

/** What the kernel says about the other end of a Unix socket: the values at connect(2) (API-40). */
export interface SocketPeer {
  /** 0 for a process in a namespace that we cannot see, and on sockets that are not local. */
  readonly pid: number
  /** Effective ids; null where the kernel gives none. */
  readonly uid: number | null
  readonly gid: number | null
  readonly groups: readonly number[]
  /** Owned by the caller of `readPeer`, who closes it; null before Linux 6.5. */
  readonly pidfd: number | null
}

/** Not an id: what the kernel answers for sockets without credentials, TCP for one (NAT-61). */
const noId = 0xffffffff
const firstGroupsRoom = 256
/** NGROUPS_MAX ids. */
const mostGroupsRoom = 65_536 * 4

/** The descriptor of an accepted connection; Node has no documented way to it. Throws `caller_gone` after its end (NAT-60). */
export function descriptorOf(socket: Socket): number {
  const fd = (socket as unknown as { readonly _handle?: { readonly fd?: unknown } | null })._handle?.fd
  if (typeof fd === 'number' && fd >= 0) return fd
  throw platformErrors.error('caller_gone', 'the connection was closed before its peer could be looked up')
}

interface Answer {
  readonly errno: number
  readonly value: Buffer
  /** Bytes that the kernel has, which may be more than fitted. */
  readonly length: number
}

function ask(libc: Libc, fd: number, option: number, room: number): Answer {
  const value = Buffer.alloc(room)
  const length = Buffer.alloc(4)
  length.writeUInt32LE(room)
  const { errno } = libc.getsockopt(fd, socketConstants.SOL_SOCKET, option, value, length)
  const size = length.readUInt32LE(0)
  return { errno, value: value.subarray(0, Math.min(size, room)), length: size }
}

function unavailable(option: string, errno: number) {
  return platformErrors.error('identity_unavailable', `${option} failed with errno ${errno}`, { facts: { errno } })
}

export interface PeerIds {
  readonly pid: number
  readonly uid: number | null
  readonly gid: number | null
}

/** SO_PEERCRED alone. */
export function readPeerIds(libc: Libc, fd: number): PeerIds {
  const { ucred } = layouts
  const { errno, value } = ask(libc, fd, socketConstants.SO_PEERCRED, ucred.size)
  if (errno !== 0 || value.length !== ucred.size) throw unavailable('SO_PEERCRED', errno)
  const id = (offset: number) => (value.readUInt32LE(offset) === noId ? null : value.readUInt32LE(offset))
  return { pid: value.readInt32LE(ucred.pid), uid: id(ucred.uid), gid: id(ucred.gid) }
}

/** Errors of options that a kernel, or a kind of socket, does not have. */
const absent: readonly number[] = [errnoOf.ENOPROTOOPT, errnoOf.ENODATA]

function readGroups(libc: Libc, fd: number): number[] {
  let answer = ask(libc, fd, socketConstants.SO_PEERGROUPS, firstGroupsRoom)
  if (answer.errno === errnoOf.ERANGE && answer.length <= mostGroupsRoom) {
    answer = ask(libc, fd, socketConstants.SO_PEERGROUPS, answer.length)
  }
  if (absent.includes(answer.errno)) return []
  if (answer.errno !== 0) throw unavailable('SO_PEERGROUPS', answer.errno)
  return Array.from({ length: answer.value.length / 4 }, (_, at) => answer.value.readUInt32LE(4 * at))
}

/** Kernels between 6.5 and 6.15 have no pidfd for a peer that was already waited for. */
const goneErrors: readonly number[] = [errnoOf.ESRCH, errnoOf.EINVAL]

function openPidfd(libc: Libc, fd: number): number | null {
  const { errno, value } = ask(libc, fd, socketConstants.SO_PEERPIDFD, 4)
  if (absent.includes(errno)) return null
  if (goneErrors.includes(errno))
    throw platformErrors.error('caller_gone', 'the peer had ended before it was looked up')
  if (errno !== 0 || value.length !== 4) throw unavailable('SO_PEERPIDFD', errno)
  return value.readInt32LE(0)
}

/** Asks for everything at once, without waiting. Throws `caller_gone` or `identity_unavailable`. */
export function readPeer(libc: Libc, fd: number): SocketPeer {
  return { ...readPeerIds(libc, fd), groups: readGroups(libc, fd), pidfd: openPidfd(libc, fd) }
}

/**
 * The name that the peer bound its own end to: empty for most, NUL and an abstract name for a service manager that
 * fetches a credential (API-164). Throws `identity_unavailable`.
 */
export function readPeerName(libc: Libc, fd: number): Uint8Array {
  const { sockaddrUn } = layouts
  const address = Buffer.alloc(sockaddrUn.size)
  const length = Buffer.alloc(4)
  length.writeUInt32LE(sockaddrUn.size)
  const { errno } = libc.getpeername(fd, address, length)
  const size = length.readUInt32LE(0)
  if (errno !== 0 || size > sockaddrUn.size) throw unavailable('getpeername', errno)
  return new Uint8Array(address.subarray(sockaddrUn.path, Math.max(size, sockaddrUn.path)))
}
