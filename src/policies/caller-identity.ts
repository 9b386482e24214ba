/** Who is calling, as the kernel says (API-40 to API-56). The caller never names itself. */
export interface CallerIdentity {
  /** How far the kernel could be asked: a pidfd, procfs handles, the user of a loopback TCP connection, or nothing. */
  readonly identity: 'pidfd' | 'procfs' | 'tcp-uid' | 'socket'
  /** 0 where it is not known: over TCP, and in namespaces that we cannot see. */
  readonly pid: number
  readonly uid: number | null
  readonly gid: number | null
  /** Supplementary groups. */
  readonly groups: readonly number[]
  /** systemd unit, without the manager's escaping: `payments.service`. */
  readonly unit: string | null
  readonly slice: string | null
  /** 64 hexadecimal digits out of a container scope's name. */
  readonly container: string | null
  /** Class of the listening socket: `api`, `admin`, `tcp:SURFACE` (API-10). */
  readonly listener: string
}

/** A caller of loopback TCP, of whom the kernel tells the user at most (API-54). */
export function tcpCaller(uid: number | null, listener: string): CallerIdentity {
  const unknown = { gid: null, groups: [], unit: null, slice: null, container: null }
  return { identity: 'tcp-uid', pid: 0, uid, ...unknown, listener }
}
