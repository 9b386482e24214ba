import { errnoOf, type Libc, loadLibc, PIDFD_GET_INFO, socketConstants } from '../../native/libc.ts'

const libc = loadLibc()

/** Kernels by what they know of peers: older ones ask the real one, but refuse what they would not know. */
export const kernels: Readonly<Record<string, () => Libc>> = {
  'with PIDFD_GET_INFO': () => libc,
  'without PIDFD_GET_INFO': () => ({
    ...libc,
    ioctl: (fd, request, argument) =>
      request === PIDFD_GET_INFO ? { value: -1, errno: errnoOf.ENOTTY } : libc.ioctl(fd, request, argument),
  }),
  'without pidfds': () => ({
    ...libc,
    getsockopt: (fd, level, name, value, length) =>
      name === socketConstants.SO_PEERPIDFD
        ? { value: -1, errno: errnoOf.ENOPROTOOPT }
        : libc.getsockopt(fd, level, name, value, length),
  }),
}
