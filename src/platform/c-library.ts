/** The C library of this process, for whoever wires the host: `loadLibc` throws `NATIVE_UNAVAILABLE` without native code. */
export { type Libc, loadLibc } from '../../native/libc.ts'
