import type { Libc } from '../../native/libc.ts'

const PR_SET_DUMPABLE = 4

/**
 * Keeps the memory of this process, with its keys and tokens, out of core dumps and away from debuggers of the same
 * user (SYS-83). False where the kernel refuses.
 */
export function forbidCoreDumps(libc: Libc): boolean {
  return libc.prctl(PR_SET_DUMPABLE, 0n, 0n, 0n, 0n).errno === 0
}
