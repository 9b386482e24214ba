import { closeSync, openSync, read, readSync } from 'node:fs'
import { promisify } from 'node:util'
import { errnoOf, hiding } from './proc-files.ts'

/** Room for `cgroup`; a longer one is not read. Nearly all have a line or two: what fits is read without more. */
const rooms = [4096, 65_536] as const
/** How long the pool may take: well below the limit of a look-up (API-57), and many times what the read takes. */
const poolMs = 50

const readAsync = promisify(read)

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

async function readOnPool(fd: number): Promise<string | null> {
  for (const room of rooms) {
    const bytes = Buffer.allocUnsafe(room)
    const { bytesRead } = await readAsync(fd, bytes, 0, room, 0)
    if (bytesRead < room) return bytes.toString('utf8', 0, bytesRead)
  }
  return null
}

function readHere(fd: number): string | null {
  for (const room of rooms) {
    const bytes = Buffer.allocUnsafe(room)
    const size = readSync(fd, bytes, 0, room, 0)
    if (size < room) return bytes.toString('utf8', 0, size)
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

  /** The text; null where it is not visible. */
  async read(pid: number): Promise<string | null> {
    if (this.#late > 0) return opened(pid, readHere)
    const onPool = opened(pid, readOnPool)
    return (await this.#inTime(onPool)) ? onPool : opened(pid, readHere)
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
