import { readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'

/** Where the kernel shows its tables; another root in tests. */
export interface KernelTables {
  readonly root?: string
}

const textOf = (path: string) => readFile(path, 'utf8').catch(() => '')

/**
 * The process that holds the lock on the file at `path`, as `takeLock` takes it; null if nobody does, or it cannot be
 * seen. Reads the table of the kernel: who tries the lock instead would keep others from it for a moment. The device in
 * that table is not compared, since overlays and subvolumes have another one there.
 */
export async function findLockHolder(path: string, { root = '/' }: KernelTables = {}): Promise<number | null> {
  const inode = await stat(path).then(
    ({ ino }) => ino,
    () => null,
  )
  if (inode === null) return null
  for (const line of (await textOf(join(root, 'proc/locks'))).split('\n')) {
    const found = /^\d+: FLOCK +\w+ +\w+ (-?\d+) [0-9a-f]+:[0-9a-f]+:(\d+) /.exec(line)
    if (found && Number(found[2]) === inode) return Number(found[1])
  }
  return null
}

/** Of the flags in the table of sockets: it listens. */
const acceptsConnections = 0x10000

/** Whether a socket listens that was bound to `path`. Connecting would start an agent that waits for its socket. */
export async function isListening(path: string, { root = '/' }: KernelTables = {}): Promise<boolean> {
  const lines = (await textOf(join(root, 'proc/net/unix'))).split('\n')
  return lines.some((line) => {
    const found = /^[0-9a-f]+: [0-9A-F]+ [0-9A-F]+ ([0-9A-F]+) 0001 \d\d +\d+ (\S.*)$/.exec(line)
    return found !== null && found[2] === path && (Number.parseInt(found[1] ?? '', 16) & acceptsConnections) !== 0
  })
}
