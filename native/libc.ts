import { type CArguments, type CType, type NativeFunction, openLibrary } from './ffi.ts'

/**
 * The C library, as far as Node lacks it (NAT 4). Numbers are those of Linux on x86-64 and arm64, where they agree.
 * Variadic functions are declared with fixed arguments: the same calling convention there (NAT-10).
 */
export const socketConstants = {
  AF_UNIX: 1,
  SOCK_STREAM: 1,
  SOCK_DGRAM: 2,
  SOCK_CLOEXEC: 0o2000000,
  SOL_SOCKET: 1,
  SO_TYPE: 3,
  SO_PEERCRED: 17,
  SO_ACCEPTCONN: 30,
  SO_DOMAIN: 39,
  SO_PEERGROUPS: 59,
  SO_PEERPIDFD: 77,
  MSG_DONTWAIT_NOSIGNAL: 0x4040,
} as const

export const errnoOf = {
  ENOENT: 2,
  ESRCH: 3,
  EINTR: 4,
  EAGAIN: 11,
  EINVAL: 22,
  ENOTTY: 25,
  ERANGE: 34,
  ENODATA: 61,
  ENOPROTOOPT: 92,
  ECONNREFUSED: 111,
} as const

/** Readiness of poll(2), the only one asked for. */
export const POLLIN = 1
/** CLOCK_BOOTTIME runs through suspend. */
export const CLOCK_BOOTTIME = 7
/** LOCK_EX | LOCK_NB. */
export const LOCK_EXCLUSIVE_NOW = 6
/** ioctl that sets close-on-exec. */
export const FIOCLEX = 0x5451n
export const PIDFD_GET_INFO = 0xc040ff0bn
/** Bits of the mask of PIDFD_GET_INFO, both asked for and answered (NAT-64). */
export const pidfdInfoMask = { pid: 1n, credentials: 2n } as const

/** Sizes and offsets in bytes; a test compares them with the C headers (NAT-06, NAT-204). */
export const layouts = {
  ucred: { size: 12, pid: 0, uid: 4, gid: 8 },
  pollfd: { size: 8, fd: 0, events: 4, revents: 6 },
  timespec: { size: 16, seconds: 0, nanoseconds: 8 },
  sockaddrUn: { size: 110, family: 0, path: 2 },
  pidfdInfo: { size: 64, mask: 0, pid: 16, euid: 36, egid: 40 },
} as const

/** Value of a call, and errno: 0 unless the value is negative. */
interface CallResult {
  readonly value: number
  readonly errno: number
}

type LibcFunction<P extends readonly CType[]> = (...values: CArguments<P>) => CallResult

function reporting<const P extends readonly CType[]>(raw: NativeFunction<P, 'i32' | 'ssize'>): LibcFunction<P> {
  return (...values) => {
    const value: number = raw(...values)
    return { value, errno: value < 0 ? raw.errno() : 0 }
  }
}

/**
 * Binds the functions of the running process's C library. Throws `NATIVE_UNAVAILABLE` where native code cannot
 * be called. Every function here returns at once: none is used in a way that could block (NAT-10).
 */
export function loadLibc() {
  const library = openLibrary(null)
  const memcpy = library.bind('memcpy', 'address', ['buffer', 'address', 'size'])
  return {
    getsockopt: reporting(library.bind('getsockopt', 'i32', ['i32', 'i32', 'i32', 'buffer', 'buffer'])),
    getpeername: reporting(library.bind('getpeername', 'i32', ['i32', 'buffer', 'buffer'])),
    poll: reporting(library.bind('poll', 'i32', ['buffer', 'u64', 'i32'])),
    socket: reporting(library.bind('socket', 'i32', ['i32', 'i32', 'i32'])),
    socketpair: reporting(library.bind('socketpair', 'i32', ['i32', 'i32', 'i32', 'buffer'])),
    sendto: reporting(library.bind('sendto', 'ssize', ['i32', 'buffer', 'size', 'i32', 'buffer', 'u32'])),
    close: reporting(library.bind('close', 'i32', ['i32'])),
    ioctl: reporting(library.bind('ioctl', 'i32', ['i32', 'u64', 'buffer'])),
    flock: reporting(library.bind('flock', 'i32', ['i32', 'i32'])),
    clockGettime: reporting(library.bind('clock_gettime', 'i32', ['i32', 'buffer'])),
    /** Ends the process: no handler runs, and no thread is waited for that hangs in a call. */
    exitNow: library.bind('_exit', 'void', ['i32']),
    prctl: reporting(library.bind('prctl', 'i32', ['i32', 'u64', 'u64', 'u64', 'u64'])),
    /** Copies `size` bytes of memory that C owns; the address must have come from C (NAT-05). */
    peek: (address: bigint, size: number): Buffer => {
      if (address === 0n) throw new TypeError('a null pointer is not an address')
      const copy = Buffer.alloc(size)
      memcpy(copy, address, size)
      return copy
    },
  }
}

export type Libc = ReturnType<typeof loadLibc>
