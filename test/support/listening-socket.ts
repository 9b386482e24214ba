import { openLibrary } from '../../native/ffi.ts'
import { loadLibc, socketConstants } from '../../native/libc.ts'
import { notifyAddress } from '../../src/platform/service-manager.ts'

/** A Unix socket that listens and that nobody accepts from, as a service manager makes it for a service. */
export interface ListeningSocket {
  readonly fd: number
  close(): void
}

export function listenOnly(path: string): ListeningSocket {
  const library = openLibrary(null)
  const bind = library.bind('bind', 'i32', ['i32', 'buffer', 'u32'])
  const listen = library.bind('listen', 'i32', ['i32', 'i32'])
  const libc = loadLibc()
  const { AF_UNIX, SOCK_STREAM, SOCK_CLOEXEC } = socketConstants
  const { value: fd } = libc.socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)
  const address = notifyAddress(path) ?? new Uint8Array()
  if (bind(fd, address, address.length) !== 0) throw new Error(`bind failed with errno ${bind.errno()}`)
  if (listen(fd, 16) !== 0) throw new Error(`listen failed with errno ${listen.errno()}`)
  return { fd, close: () => void libc.close(fd) }
}
