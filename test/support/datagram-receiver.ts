import { openLibrary } from '../../native/ffi.ts'
import { loadLibc, socketConstants } from '../../native/libc.ts'

/** A Unix datagram socket that a service manager would read: Node has none. */
export interface DatagramReceiver {
  readonly fd: number
  /** The next datagram that is there; null if there is none. Never waits. */
  receive(): string | null
  close(): void
}

/** Binds to the bytes of a socket address (family and name). Throws if that is refused. */
export function bindReceiver(address: Uint8Array): DatagramReceiver {
  const library = openLibrary(null)
  const bind = library.bind('bind', 'i32', ['i32', 'buffer', 'u32'])
  const recv = library.bind('recv', 'ssize', ['i32', 'buffer', 'size', 'i32'])
  const libc = loadLibc()
  const { AF_UNIX, SOCK_DGRAM, SOCK_CLOEXEC, MSG_DONTWAIT_NOSIGNAL } = socketConstants
  const { value: fd } = libc.socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0)
  if (bind(fd, address, address.length) !== 0) throw new Error(`bind failed with errno ${bind.errno()}`)
  return {
    fd,
    receive() {
      const room = Buffer.alloc(4096)
      const size = recv(fd, room, room.length, MSG_DONTWAIT_NOSIGNAL)
      return size < 0 ? null : room.toString('utf8', 0, size)
    },
    close() {
      libc.close(fd)
    },
  }
}
