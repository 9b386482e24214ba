import { fstatSync, readFileSync, type Stats, statSync } from 'node:fs'
import { FIOCLEX, type Libc, socketConstants } from '../../native/libc.ts'
import { platformErrors } from './errors.ts'

/** SD_LISTEN_FDS_START of sd_listen_fds(3). */
const usualFirstDescriptor = 3
const mostDescriptors = 64

export interface ActivationOptions {
  /** `process.env`: the variables of the protocol are taken out. */
  readonly environment: Record<string, string | undefined>
  readonly pid: number
  readonly libc: Libc | null
  /** Names that this program knows, as in FileDescriptorName=. */
  readonly names: readonly string[]
  /** Those of them that nobody but the owner may open. */
  readonly ownerOnly?: readonly string[]
  /** Default 3, where every service manager begins. */
  readonly firstDescriptor?: number
}

function refuse(problem: string) {
  return platformErrors.error('SOCKET_ACTIVATION', problem)
}

function socketOption(libc: Libc, fd: number, option: number): number | undefined {
  const value = Buffer.alloc(4)
  const length = Buffer.from([4, 0, 0, 0])
  const { errno } = libc.getsockopt(fd, socketConstants.SOL_SOCKET, option, value, length)
  return errno === 0 ? value.readInt32LE(0) : undefined
}

/**
 * A listening stream socket of this machine alone, and from now on not a descriptor of children. A unit that names an
 * internet address would let the network in, where nothing but the mode of a file decides who may (API-02, API-09).
 */
function requireListener(fd: number, name: string, libc: Libc | null): void {
  if (!isSocket(fd)) throw refuse(`descriptor ${fd} ('${name}') is not a socket`)
  if (libc === null) return
  const { AF_UNIX, SO_DOMAIN, SO_TYPE, SO_ACCEPTCONN, SOCK_STREAM } = socketConstants
  if (socketOption(libc, fd, SO_DOMAIN) !== AF_UNIX) throw refuse(`'${name}' is not a Unix socket`)
  if (socketOption(libc, fd, SO_TYPE) !== SOCK_STREAM) throw refuse(`'${name}' is not a stream socket`)
  if (socketOption(libc, fd, SO_ACCEPTCONN) !== 1) throw refuse(`'${name}' does not listen`)
  libc.ioctl(fd, FIOCLEX, null)
}

/** Where the socket lies, by the table of the kernel; null without a path. Its name begins with `@` if it is abstract. */
function pathOf(fd: number): string | null {
  const inode = String(fstatSync(fd).ino)
  for (const line of readFileSync('/proc/self/net/unix', 'utf8').split('\n')) {
    const [, found, path] = /^\S+: (?:\S+ ){5} *([0-9]+)(?: (.*))?$/.exec(line) ?? []
    if (found === inode) return path ?? null
  }
  return null
}

function statOf(path: string, name: string): Stats {
  try {
    return statSync(path)
  } catch (error) {
    const { code, syscall } = error as NodeJS.ErrnoException
    if (syscall === undefined) throw error
    throw refuse(`'${name}': ${path} cannot be looked at (${code})`)
  }
}

/**
 * Without SocketMode= a unit makes sockets that everybody may open (SYS-10), and here owner and mode are all that guards
 * (API-02): whoever SocketUser= names may connect too.
 */
function requireOwnerOnly(fd: number, name: string): void {
  const path = pathOf(fd)
  if (!path?.startsWith('/')) throw refuse(`'${name}' is no file whose mode says who may connect`)
  const { uid, mode: full } = statOf(path, name)
  const mode = full & 0o777
  if ((mode & 0o022) !== 0) throw refuse(`'${name}': others may connect to ${path} (mode ${mode.toString(8)})`)
  if (uid !== 0 && uid !== process.geteuid?.()) throw refuse(`'${name}': ${path} belongs to user ${uid}`)
}

function isSocket(fd: number): boolean {
  try {
    return fstatSync(fd).isSocket()
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EBADF') return false
    throw error
  }
}

function parseCount(text: string): number {
  const count = /^[0-9]{1,4}$/.test(text) ? Number(text) : 0
  if (count < 1 || count > mostDescriptors) throw refuse(`LISTEN_FDS is not 1 to ${mostDescriptors}`)
  return count
}

/**
 * Takes over the sockets that the service manager opened for this process: name → descriptor, for
 * `server.listen({ fd })`. By name, never by number: the order differs between two starts (SYS-11). Empty when
 * there are none, or when they are meant for another process. Throws `SOCKET_ACTIVATION` for an unknown, missing or
 * repeated name, for a descriptor that is not a listening Unix stream socket, and for one of `ownerOnly` that others may
 * connect to or own.
 */
export function takeActivatedSockets(options: ActivationOptions): ReadonlyMap<string, number> {
  const { environment, pid, libc, names, ownerOnly = [], firstDescriptor = usualFirstDescriptor } = options
  const { LISTEN_PID: target, LISTEN_FDS: count, LISTEN_FDNAMES: list } = environment
  for (const name of ['LISTEN_PID', 'LISTEN_FDS', 'LISTEN_FDNAMES']) delete environment[name]
  if (target === undefined || target !== String(pid) || count === undefined) return new Map()
  const given = list === undefined ? [] : list.split(':')
  const number = parseCount(count)
  if (given.length !== number) throw refuse(`${number} sockets were passed with ${given.length} names`)
  const found = new Map<string, number>()
  given.forEach((name, at) => {
    if (!names.includes(name)) throw refuse(`a socket named '${name}' was passed; known are ${names.join(', ')}`)
    if (found.has(name)) throw refuse(`two sockets named '${name}' were passed`)
    requireListener(firstDescriptor + at, name, libc)
    if (ownerOnly.includes(name)) requireOwnerOnly(firstDescriptor + at, name)
    found.set(name, firstDescriptor + at)
  })
  return found
}
