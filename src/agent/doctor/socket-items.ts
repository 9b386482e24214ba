import { stat } from 'node:fs/promises'
import { dirname } from 'node:path'
import { isListening } from '../../platform/in-use.ts'
import { findSocketMounts } from '../../platform/socket-mounts.ts'
import { type Item, ok, problem, warning } from './item.ts'

async function socketItem(id: string, path: string): Promise<Item> {
  if (await isListening(path)) return ok(id, `${path} is listened on`)
  const found = await stat(path).catch(() => null)
  if (found === null) return ok(id, `${path} is not there: no agent listens`)
  if (found.isSocket()) return ok(id, `${path} is left over, nobody listens; the agent replaces it`)
  return problem(id, `${path} is there and is no socket`, 'remove what lies there, or configure another path')
}

/** API-08: who may write the directory of a socket of root can put another one in its place. */
async function directoryItems(id: string, path: string): Promise<Item[]> {
  const [socket, directory] = await Promise.all([path, dirname(path)].map((one) => stat(one).catch(() => null)))
  if (!socket?.isSocket() || socket.uid !== 0 || !directory) return []
  const mode = directory.mode & 0o777
  if (directory.uid === 0 && (mode & 0o022) === 0) return []
  const says = `others than root can replace ${path}: ${dirname(path)} has mode ${mode.toString(8)} and belongs to uid ${directory.uid}`
  return [problem(`${id}.directory`, says, 'give the directory to root, mode 0755, as systemd/tmpfiles.d does')]
}

/** API-07: a socket that is mounted by itself leads to nobody once it was made anew. */
async function mountItems(id: string, path: string): Promise<Item[]> {
  const remedy = `restart the container, and mount ${dirname(path)} in place of the socket`
  return (await findSocketMounts(path)).map(({ pid, place, stale }) => {
    const where = `${path} is mounted by itself at ${place}, as process ${pid} sees it`
    if (stale) return warning(`${id}.mount`, `${where}, and is not the socket that is there now`, remedy)
    return warning(`${id}.mount`, `${where}: it will lead to nobody once the socket is made anew`, remedy)
  })
}

/** What there is to say about a socket of the agent. Connects to nothing, which would start an agent that waits for it. */
export async function socketItems(id: string, path: string): Promise<Item[]> {
  return [await socketItem(id, path), ...(await directoryItems(id, path)), ...(await mountItems(id, path))]
}
