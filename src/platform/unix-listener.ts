import { once } from 'node:events'
import { lstat, unlink } from 'node:fs/promises'
import { createConnection, type Server } from 'node:net'
import { platformErrors } from './errors.ts'

/** Who may connect: owner and group (workloads), or the owner alone (administration). */
export type SocketMode = 0o660 | 0o600

const backlog = 256

/** What connecting to an existing path tells about it. */
async function probe(path: string): Promise<'live' | 'dead' | string> {
  const socket = createConnection(path)
  try {
    await once(socket, 'connect')
    return 'live'
  } catch (error) {
    const { code = 'unknown' } = error as NodeJS.ErrnoException
    // A full backlog: somebody listens and is busy.
    if (code === 'EAGAIN') return 'live'
    return code === 'ECONNREFUSED' ? 'dead' : code
  } finally {
    socket.destroy()
  }
}

function refuse(path: string, problem: string) {
  return platformErrors.error('SOCKET_PATH', `${path}: ${problem}`, { facts: { path } })
}

/** Removes a socket that nobody answers and that is root's or ours; anything else stays where it is (API-06). */
async function clearPath(path: string): Promise<void> {
  const found = await lstat(path).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined
    throw refuse(path, `cannot be looked at (${error.code})`)
  })
  if (found === undefined) return
  if (!found.isSocket()) throw refuse(path, 'is there already, and not a socket')
  const state = await probe(path)
  if (state === 'live')
    throw platformErrors.error('SOCKET_IN_USE', `${path}: somebody answers there`, { facts: { path } })
  if (state !== 'dead') throw refuse(path, `cannot be probed (${state})`)
  if (found.uid !== 0 && found.uid !== process.geteuid?.()) throw refuse(path, `belongs to user ${found.uid}`)
  await unlink(path)
}

/**
 * Binds `server` to a Unix socket and listens. The mode comes from the umask, which is set and put back in the same
 * tick in which Node binds: there is no moment at which another user could connect (API-05). The group is that of
 * the folder, if it is set-gid. Throws `SOCKET_IN_USE` or `SOCKET_PATH`.
 */
export async function listenUnix(server: Server, path: string, mode: SocketMode): Promise<void> {
  await clearPath(path)
  const before = process.umask(0o777 & ~mode)
  try {
    server.listen({ path, backlog })
  } finally {
    process.umask(before)
  }
  try {
    await once(server, 'listening')
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code === 'EADDRINUSE')
      throw platformErrors.error('SOCKET_IN_USE', `${path}: was taken meanwhile`, { cause: error })
    throw refuse(path, `cannot be bound (${code})`)
  }
}
