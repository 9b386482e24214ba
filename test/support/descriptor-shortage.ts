import { closeSync, openSync } from 'node:fs'
import { openLibrary } from '../../native/ffi.ts'

const RLIMIT_NOFILE = 7
/** Above what a test process has open, and quickly used up. */
const lowLimit = 512n

/**
 * Runs `work` while this process can open `spare` more descriptors and no further one. Only the synchronous part of
 * `work` has the shortage: nothing else of the process comes to run meanwhile.
 */
export function withDescriptorsLeft<T>(spare: number, work: () => T): T {
  const library = openLibrary(null)
  const getrlimit = library.bind('getrlimit', 'i32', ['i32', 'buffer'])
  const setrlimit = library.bind('setrlimit', 'i32', ['i32', 'buffer'])
  const before = Buffer.alloc(16)
  if (getrlimit(RLIMIT_NOFILE, before) !== 0) throw new Error('getrlimit failed')
  const low = Buffer.from(before)
  low.writeBigUInt64LE(lowLimit, 0)
  const taken: number[] = []
  try {
    if (setrlimit(RLIMIT_NOFILE, low) !== 0) throw new Error('setrlimit failed')
    takeAll(taken)
    for (const fd of taken.splice(0, spare)) closeSync(fd)
    return work()
  } finally {
    for (const fd of taken) closeSync(fd)
    setrlimit(RLIMIT_NOFILE, before)
  }
}

function takeAll(taken: number[]): void {
  for (;;) {
    try {
      taken.push(openSync('/dev/null', 'r'))
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'EMFILE') return
      throw error
    }
  }
}
