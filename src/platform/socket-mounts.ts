import { readdir, readFile, stat } from 'node:fs/promises'
import { basename, join } from 'node:path'

/** A socket that somebody mounted over a path of its own: a file, not the directory that it lies in. */
export interface SocketMount {
  /** A process that sees the mount. */
  readonly pid: number
  /** Where it lies for that process. */
  readonly place: string
  /** True: it is another inode than the one that lies at the path now, so that nobody answers there (API-07). */
  readonly stale: boolean
}

const octal = (text: string) =>
  text.replace(/\\([0-7]{3})/g, (_, digits) => String.fromCharCode(Number.parseInt(digits, 8)))

interface MountLine {
  readonly root: string
  readonly place: string
}

/** Mounts of a single file of that name. The kernel marks a file that was removed since. */
function mountsOfFile(table: string, name: string): MountLine[] {
  return table.split('\n').flatMap((line) => {
    const [, , , root = '', place = ''] = line.split(' ').map(octal)
    return root.endsWith(`/${name}`) || root.endsWith(`/${name}//deleted`) ? { root, place } : []
  })
}

async function inodeOf(path: string): Promise<string | null> {
  const found = await stat(path, { bigint: true }).catch(() => null)
  return found?.isSocket() === true ? `${found.dev}:${found.ino}` : null
}

/** The tables of all processes that can be seen, each namespace of mounts once. */
async function mountTables(proc: string): Promise<{ readonly pid: number; readonly table: string }[]> {
  const found = new Map<string, { pid: number; table: string }>()
  for (const name of await readdir(proc)) {
    if (!/^[0-9]+$/.test(name)) continue
    const table = await readFile(join(proc, name, 'mountinfo'), 'utf8').catch(() => '')
    if (table !== '' && !found.has(table)) found.set(table, { pid: Number(name), table })
  }
  return [...found.values()]
}

/**
 * Looks for places where the socket at `path` is mounted by itself, in the mount namespaces of all processes that this
 * user may look into. Such a mount keeps the inode: after the socket was made anew it leads to nobody.
 */
export async function findSocketMounts(path: string, { proc = '/proc' } = {}): Promise<readonly SocketMount[]> {
  const live = await inodeOf(path)
  const mounts: SocketMount[] = []
  for (const { pid, table } of await mountTables(proc)) {
    for (const { root, place } of mountsOfFile(table, basename(path))) {
      const there = await inodeOf(join(proc, String(pid), 'root', place))
      if (there === null && !root.endsWith('//deleted')) continue
      mounts.push({ pid, place, stale: there !== live })
    }
  }
  return mounts
}
