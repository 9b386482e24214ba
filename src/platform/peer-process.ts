import { errnoOf, type Libc, layouts, PIDFD_GET_INFO, POLLIN, pidfdInfoMask } from '../../native/libc.ts'
import type { SocketPeer } from './peer-socket.ts'
import { isDead, ProcFile, parseEffectiveUid, parseStat } from './proc-files.ts'

export type PeerState = 'there' | 'caller_gone' | 'caller_changed'

/** The process at the other end, held so that no other can be taken for it. */
export interface PeerProcess {
  /** Whether what `/proc` says under its number can be told to be about it. */
  readonly visible: boolean
  /**
   * The id of its control group in the unified hierarchy, which the kernel gives to no other group until the next boot;
   * null where the kernel does not say (before Linux 6.13), and once the process is gone.
   */
  controlGroup(): bigint | null
  /** Whether it lives, unchanged. What was read about it before counts only if this says `there` afterwards (API-41). */
  state(): PeerState
  /** Lets go of it, once; from then on it counts as gone. */
  close(): void
}

type Asked = Exclude<keyof typeof pidfdInfoMask, 'pid'>

/** The answer of PIDFD_GET_INFO (Linux 6.13); `absent` where the kernel does not say, null once the process is gone (NAT-64). */
function askInfo(libc: Libc, pidfd: number, asked: Asked): Buffer | null | 'absent' {
  const { pidfdInfo } = layouts
  const info = Buffer.alloc(pidfdInfo.size)
  info.writeBigUInt64LE(pidfdInfoMask[asked], pidfdInfo.mask)
  const { errno } = libc.ioctl(pidfd, PIDFD_GET_INFO, info)
  if (errno === errnoOf.ESRCH) return null
  const answered = errno === 0 && (info.readBigUInt64LE(pidfdInfo.mask) & pidfdInfoMask[asked]) !== 0n
  return answered ? info : 'absent'
}

function askEffectiveUid(libc: Libc, pidfd: number): number | null | 'absent' {
  const info = askInfo(libc, pidfd, 'credentials')
  return Buffer.isBuffer(info) ? info.readUInt32LE(layouts.pidfdInfo.euid) : info
}

/** A pidfd becomes readable when its process has ended, also as a zombie; poll answers at once. */
function hasEnded(libc: Libc, pidfd: number): boolean {
  const { pollfd } = layouts
  const asked = Buffer.alloc(pollfd.size)
  asked.writeInt32LE(pidfd, pollfd.fd)
  asked.writeInt16LE(POLLIN, pollfd.events)
  libc.poll(asked, 1n, 0)
  return asked.readInt16LE(pollfd.revents) !== 0
}

/** Held by a pidfd: the kernel never gives its number to another process while we look. */
class PidfdProcess implements PeerProcess {
  #libc: Libc
  #pidfd: number
  #uid: number | null
  #status: ProcFile | null
  readonly visible: boolean
  #open = true

  constructor(libc: Libc, { pid, uid }: SocketPeer, pidfd: number) {
    this.#libc = libc
    this.#pidfd = pidfd
    this.#uid = uid
    // A process in a namespace that we cannot see has no number here, and no facts (API-48).
    this.visible = pid !== 0
    const needsFile = this.visible && askEffectiveUid(libc, pidfd) === 'absent'
    this.#status = needsFile ? ProcFile.open(pid, 'status') : null
  }

  controlGroup(): bigint | null {
    const info = this.#open ? askInfo(this.#libc, this.#pidfd, 'cgroup') : null
    return Buffer.isBuffer(info) ? info.readBigUInt64LE(layouts.pidfdInfo.cgroup) : null
  }

  state(): PeerState {
    if (!this.#open) return 'caller_gone'
    const euid = this.visible ? this.#effectiveUid() : null
    if (hasEnded(this.#libc, this.#pidfd)) return 'caller_gone'
    return euid !== null && euid !== this.#uid ? 'caller_changed' : 'there'
  }

  close(): void {
    if (!this.#open) return
    this.#open = false
    this.#libc.close(this.#pidfd)
    this.#status?.close()
  }

  #effectiveUid(): number | null {
    if (this.#status) return parseEffectiveUid(this.#status.read() ?? '')
    const asked = askEffectiveUid(this.#libc, this.#pidfd)
    return asked === 'absent' ? null : asked
  }
}

/**
 * Held by files of procfs, for kernels without SO_PEERPIDFD (API-43). What is left: a number that was reused
 * between connect and accept by the same user borrows that user's unit; another user is told by its uid (API-46).
 */
class ProcfsProcess implements PeerProcess {
  readonly visible = true
  #uid: number | null
  #stat: ProcFile
  #status: ProcFile
  #startTime: string | undefined
  #open = true

  constructor(uid: number | null, stat: ProcFile, status: ProcFile) {
    this.#uid = uid
    this.#stat = stat
    this.#status = status
    this.#startTime = parseStat(stat.read() ?? '')?.startTime
  }

  controlGroup(): null {
    return null
  }

  state(): PeerState {
    if (!this.#open) return 'caller_gone'
    const euid = parseEffectiveUid(this.#status.read() ?? '')
    const stat = parseStat(this.#stat.read() ?? '')
    if (euid === null || stat === null || isDead(stat) || stat.startTime !== this.#startTime) return 'caller_gone'
    return euid === this.#uid ? 'there' : 'caller_changed'
  }

  close(): void {
    if (!this.#open) return
    this.#open = false
    this.#stat.close()
    this.#status.close()
  }
}

/** Signal 0 tells whether a process has this number, even one that `/proc` hides and that we may not signal. */
function isRunning(pid: number): boolean {
  try {
    return process.kill(pid, 0)
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM'
  }
}

/** Known by number only: what `/proc` hides (API-56), or what is in a namespace that we cannot see. */
class HiddenProcess implements PeerProcess {
  readonly visible = false
  #pid: number
  #open = true

  constructor(pid: number) {
    this.#pid = pid
  }

  controlGroup(): null {
    return null
  }

  state(): PeerState {
    return this.#open && (this.#pid === 0 || isRunning(this.#pid)) ? 'there' : 'caller_gone'
  }

  close(): void {
    this.#open = false
  }
}

interface ProcessFiles {
  readonly stat: ProcFile
  readonly status: ProcFile
}

function openFiles(pid: number): ProcessFiles | null {
  const stat = ProcFile.open(pid, 'stat')
  let status: ProcFile | null = null
  try {
    status = stat && ProcFile.open(pid, 'status')
    return stat && status ? { stat, status } : null
  } finally {
    if (status === null) stat?.close()
  }
}

/** When descriptors run out, those that each look-up already has must not be lost too (NAT-63). */
function holdPidfd(libc: Libc, peer: SocketPeer, pidfd: number): PeerProcess {
  try {
    return new PidfdProcess(libc, peer, pidfd)
  } catch (error) {
    libc.close(pidfd)
    throw error
  }
}

/** Nor those of a look-up that cannot read its files. */
function holdFiles({ uid }: SocketPeer, { stat, status }: ProcessFiles): PeerProcess {
  try {
    return new ProcfsProcess(uid, stat, status)
  } catch (error) {
    stat.close()
    status.close()
    throw error
  }
}

/** Takes hold of the peer, and of its pidfd, by the best means that this kernel has. Does not wait. */
export function holdPeer(libc: Libc, peer: SocketPeer): PeerProcess {
  if (peer.pidfd !== null) return holdPidfd(libc, peer, peer.pidfd)
  const files = peer.pid === 0 ? null : openFiles(peer.pid)
  return files ? holdFiles(peer, files) : new HiddenProcess(peer.pid)
}
