import { closeSync, openSync, read, readSync } from 'node:fs'
import { promisify } from 'node:util'
import { errnoOf, hiding } from './proc-files.ts'

/** Room for `cgroup`; a longer one is not read. Nearly all have a line or two: what fits is read without more. */
const rooms = [4096, 65_536] as const
/** How long the pool may take: well below the limit of a look-up (API-57), and many times what the read takes. */
const poolMs = 50

/** How the beginning of an open file is read into `into`; gives the bytes read, fewer than there is room for at its end. */
export interface FileReads {
  onPool(fd: number, into: Uint8Array): Promise<number>
  here(fd: number, into: Uint8Array): number
}

const readAsync = promisify(read)

const kernelReads: FileReads = {
  onPool: async (fd, into) => (await readAsync(fd, into, 0, into.length, 0)).bytesRead,
  here: (fd, into) => readSync(fd, into, 0, into.length, 0),
}

async function opened<T>(pid: number, use: (fd: number) => T | Promise<T>): Promise<T | null> {
  let fd: number | undefined
  try {
    fd = openSync(`/proc/${pid}/cgroup`, 'r')
    return await use(fd)
  } catch (error) {
    if ([...hiding, 'ESRCH'].includes(errnoOf(error))) return null
    throw error
  } finally {
    if (fd !== undefined) closeSync(fd)
  }
}

/** A room that is full may hold a part only: the unit of a caller is never told from a part (API-50). */
const whole = (bytes: Buffer, size: number) => (size < bytes.length ? bytes.toString('utf8', 0, size) : null)

async function readOnPool(reads: FileReads, fd: number): Promise<string | null> {
  for (const room of rooms) {
    const bytes = Buffer.allocUnsafe(room)
    const text = whole(bytes, await reads.onPool(fd, bytes))
    if (text !== null) return text
  }
  return null
}

function readHere(reads: FileReads, fd: number): string | null {
  for (const room of rooms) {
    const bytes = Buffer.allocUnsafe(room)
    const text = whole(bytes, reads.here(fd, bytes))
    if (text !== null) return text
  }
  return null
}

/**
 * Reads `/proc/<pid>/cgroup`: on the pool, for the kernel takes a contended lock. Disks, name servers and devices that hang
 * hold the threads of the pool for seconds; nobody may be refused for that, so that the read is then made at once, on this thread.
 */
export class CgroupReader {
  /** Reads that the pool has not come to in time: no other one is given to it before them. */
  #late = 0
  #reads: FileReads

  constructor(reads: FileReads = kernelReads) {
    this.#reads = reads
  }

  /** The text; null where it is not visible, or longer than there is room for. */
  async read(pid: number): Promise<string | null> {
    const here = (fd: number) => readHere(this.#reads, fd)
    if (this.#late > 0) return opened(pid, here)
    const onPool = opened(pid, (fd) => readOnPool(this.#reads, fd))
    return (await this.#inTime(onPool)) ? onPool : opened(pid, here)
  }

  async #inTime(onPool: Promise<unknown>): Promise<boolean> {
    let timer: NodeJS.Timeout | undefined
    const late = new Promise<boolean>((resolve) => {
      timer = setTimeout(resolve, poolMs, false)
    })
    const ended = onPool.then(
      () => true,
      () => true,
    )
    const inTime = await Promise.race([ended, late])
    clearTimeout(timer)
    if (inTime) return true
    this.#late++
    void ended.then(() => this.#late--)
    return false
  }
}
