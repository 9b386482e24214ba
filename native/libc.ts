import { AttestdError } from '../src/base/errors.ts'
import { type CArguments, type CType, type NativeFunction, type NativeLibrary, openLibrary } from './ffi.ts'

/**
 * The C library, as far as Node lacks it (NAT 4). Numbers are those of Linux on x86-64 and arm64, where they agree.
 * Variadic functions are declared with fixed arguments: the same calling convention there (NAT-10).
 */
export const socketConstants = {
  AF_UNIX: 1,
  AF_VSOCK: 40,
  SOCK_STREAM: 1,
  SOCK_DGRAM: 2,
  SOCK_CLOEXEC: 0o2000000,
  SOL_SOCKET: 1,
  SO_TYPE: 3,
  SO_PEERCRED: 17,
  SO_RCVTIMEO: 20,
  SO_SNDTIMEO: 21,
  SO_ACCEPTCONN: 30,
  SO_DOMAIN: 39,
  SO_PEERGROUPS: 59,
  SO_PEERPIDFD: 77,
  MSG_DONTWAIT_NOSIGNAL: 0x4040,
} as const

/** State of a TCP connection: the first byte of `struct tcp_info`. */
export const tcpConstants = { IPPROTO_TCP: 6, TCP_INFO: 11, TCP_ESTABLISHED: 1 } as const

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
/** Number of the host among vsock addresses. */
export const VMADDR_CID_HOST = 2
/**
 * Requests to `/dev/tdx_guest` (NAT-72). GET_REPORT0 is of mainline kernels, the others are of vendors; GET_QUOTE has
 * been declared in three directions, and a driver knows one of them.
 */
export const tdxGuestRequests = {
  getReport0: 0xc4405401n,
  extendRtmr: 0x80315403n,
  getQuote: [0x80105404n, 0xc0105404n, 0x40105404n],
} as const
/** Bits of the mask of PIDFD_GET_INFO, both asked for and answered (NAT-64). */
export const pidfdInfoMask = { pid: 1n, credentials: 2n, cgroup: 4n } as const

/** Sizes and offsets in bytes; a test compares them with the C headers (NAT-06, NAT-204). */
export const layouts = {
  ucred: { size: 12, pid: 0, uid: 4, gid: 8 },
  pollfd: { size: 8, fd: 0, events: 4, revents: 6 },
  timespec: { size: 16, seconds: 0, nanoseconds: 8 },
  sockaddrUn: { size: 110, family: 0, path: 2 },
  pidfdInfo: { size: 64, mask: 0, cgroup: 8, pid: 16, euid: 36, egid: 40 },
  timeval: { size: 16, seconds: 0, microseconds: 8 },
  sockaddrVm: { size: 16, family: 0, port: 4, cid: 8 },
} as const

/** Value of a call, and errno: 0 unless the value is negative. */
interface CallResult {
  readonly value: number
  readonly errno: number
}

type LibcFunction<P extends readonly CType[]> = (...values: CArguments<P>) => CallResult
type LaterFunction<P extends readonly CType[]> = (...values: CArguments<P>) => Promise<CallResult>

function reporting<const P extends readonly CType[]>(raw: NativeFunction<P, 'i32' | 'ssize'>): LibcFunction<P> {
  return (...values) => {
    const value: number = raw(...values)
    return { value, errno: value < 0 ? raw.errno() : 0 }
  }
}

/** On a thread of the pool: for calls that may block (NAT-10). The buffers stay in place until C has returned (NAT-03). */
function reportingLater<const P extends readonly CType[]>(raw: NativeFunction<P, 'i32' | 'ssize'>): LaterFunction<P> {
  return async (...values) => {
    const { value, errno } = await raw.later(...values)
    return { value, errno: value < 0 ? errno : 0 }
  }
}

/** Memory of C, zeroed, for structures that hold addresses; never moved, and freed by `free` alone (NAT-05). */
function foreignMemory(library: NativeLibrary) {
  const [read, write] = [
    library.bind('memcpy', 'address', ['buffer', 'address', 'size']),
    library.bind('memcpy', 'address', ['address', 'buffer', 'size']),
  ]
  const requireAddress = (address: bigint) => {
    if (address === 0n) throw new TypeError('a null pointer is not an address')
  }
  return {
    /** 0n where there is no memory. */
    calloc: library.bind('calloc', 'address', ['size', 'size']),
    free: library.bind('free', 'void', ['address']),
    /** Copies `size` bytes of memory that C owns; the address must have come from C (NAT-05). */
    peek: (address: bigint, size: number): Buffer => {
      requireAddress(address)
      const copy = Buffer.alloc(size)
      read(copy, address, size)
      return copy
    },
    /** Copies all of `bytes` to memory that C gave us, and that is large enough. */
    poke: (address: bigint, bytes: Uint8Array): void => {
      requireAddress(address)
      write(address, bytes, bytes.length)
    },
  }
}

/** `malloc_trim`; other C libraries than glibc give freed memory back by themselves. */
function trimming(library: NativeLibrary): () => void {
  try {
    const trim = library.bind('malloc_trim', 'i32', ['size'])
    return () => void trim(0)
  } catch (error) {
    if (error instanceof AttestdError && error.code === 'NATIVE_SYMBOL_MISSING') return () => undefined
    throw error
  }
}

/**
 * Binds the functions of the running process's C library. Throws `NATIVE_UNAVAILABLE` where native code cannot
 * be called. Functions that end in `Later` may block; every other returns at once, and is used in no way in which it
 * could block (NAT-10).
 */
export function loadLibc() {
  const library = openLibrary(null)
  return {
    getsockopt: reporting(library.bind('getsockopt', 'i32', ['i32', 'i32', 'i32', 'buffer', 'buffer'])),
    getpeername: reporting(library.bind('getpeername', 'i32', ['i32', 'buffer', 'buffer'])),
    poll: reporting(library.bind('poll', 'i32', ['buffer', 'u64', 'i32'])),
    socket: reporting(library.bind('socket', 'i32', ['i32', 'i32', 'i32'])),
    socketpair: reporting(library.bind('socketpair', 'i32', ['i32', 'i32', 'i32', 'buffer'])),
    sendto: reporting(library.bind('sendto', 'ssize', ['i32', 'buffer', 'size', 'i32', 'buffer', 'u32'])),
    setsockopt: reporting(library.bind('setsockopt', 'i32', ['i32', 'i32', 'i32', 'buffer', 'u32'])),
    connectLater: reportingLater(library.bind('connect', 'i32', ['i32', 'buffer', 'u32'])),
    close: reporting(library.bind('close', 'i32', ['i32'])),
    ioctl: reporting(library.bind('ioctl', 'i32', ['i32', 'u64', 'buffer'])),
    ioctlLater: reportingLater(library.bind('ioctl', 'i32', ['i32', 'u64', 'buffer'])),
    flock: reporting(library.bind('flock', 'i32', ['i32', 'i32'])),
    clockGettime: reporting(library.bind('clock_gettime', 'i32', ['i32', 'buffer'])),
    /** Ends the process: no handler runs, and no thread is waited for that hangs in a call. */
    exitNow: library.bind('_exit', 'void', ['i32']),
    prctl: reporting(library.bind('prctl', 'i32', ['i32', 'u64', 'u64', 'u64', 'u64'])),
    /** Gives memory that C has freed back to the system; takes some milliseconds. */
    trimMemory: trimming(library),
    ...foreignMemory(library),
  }
}

export type Libc = ReturnType<typeof loadLibc>
